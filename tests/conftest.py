"""Settings of the whole suite: the conditions of every pass are checked, whichever test compiles."""

from __future__ import annotations

import os

os.environ["SNNERGY_DEBUG"] = "1"
