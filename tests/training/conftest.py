"""Media that the tests of several data sets copy."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training import media_files as files


@pytest.fixture(scope="session")
def samples(tmp_path_factory):
    """One file of each kind, to be copied under the names of a data set."""
    folder = tmp_path_factory.mktemp("samples")
    files.write_flv(folder / "a.flv")
    files.write_mp4(folder / "a.mp4")
    files.write_still(folder / "a.jpg")
    files.write_wav(folder / "a.wav", files.tone(0.5))
    files.write_wav(folder / "silent.wav", np.zeros(8000))
    files.write_wav(folder / "short.wav", files.tone(0.01))
    return folder
