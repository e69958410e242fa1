"""First file of a Lava child: finds this package where its parent has it, and nothing where the user stands.

    python -I start.py JOB_FOLDER PACKAGE NAME=FOLDER…

The interpreter is isolated: neither the working directory nor PYTHONPATH is on its path. PACKAGE is the folder of the
parent's `snnergy`, whichever way that was found. NAME=FOLDER says where the parent found a package that the isolated
interpreter may not have on its path, as in a user's own site-packages.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path


def main(folder: str, package: str, *found: str) -> None:
    """Import the child and run the job in `folder`."""
    for name, _, where in (pair.partition("=") for pair in found):
        if find_spec(name) is None:
            sys.path.append(where)  # last: it must not stand in for what is there
    spec = spec_from_file_location("snnergy", Path(package, "__init__.py"), submodule_search_locations=[package])
    assert spec is not None and spec.loader is not None
    sys.modules["snnergy"] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules["snnergy"])
    from snnergy.neuromorphic.lava import child

    child.main(Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
