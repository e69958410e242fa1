"""Makes an environment for each framework, and in it our networks with the files and the output of that framework.

python -m benchmarks.frameworks FOLDER [FRAMEWORK ...]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

# Framework → Python and what is installed. sinabs takes no nir beyond 1.0.4.
_TORCH_310 = ("torch==2.3.1", "numpy<2", "nir==1.0.8", "nirtorch==2.6")
ENVIRONMENTS = {
    "snntorch": ("3.10", ("snntorch==1.0.0", *_TORCH_310)),
    "spikingjelly": ("3.12", ("spikingjelly==2.0.0", "torch==2.15.0", "nir==1.0.8", "nirtorch==2.6")),
    "sinabs": ("3.12", ("sinabs==3.1.3", "torch==2.15.0", "nir==1.0.4", "nirtorch==2.0.2")),
    "norse": ("3.10", ("norse==1.1.0", "torchvision==0.18.1", *_TORCH_310)),
    "rockpool": ("3.10", ("rockpool==3.1.0", *_TORCH_310)),
    "spyx": ("3.12", ("spyx==1.0.0", "jax==0.12.0.1", "nir==1.0.8")),
    "lava_dl": ("3.10", ("lava-dl==0.6.0", "lava-nc==0.10.0", "torch==2.3.1", "numpy<2")),
}
_REPOSITORY = Path(__file__).parents[2]


def main() -> None:
    """Run the maker of each framework that is named, or all, each in its environment."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.frameworks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("folder", type=Path)
    parser.add_argument("frameworks", nargs="*", choices=[[], *ENVIRONMENTS], metavar="FRAMEWORK")
    options = parser.parse_args()
    failed = [name for name in options.frameworks or ENVIRONMENTS if not _made(name, options.folder.resolve())]
    if failed:
        sys.exit(f"not made: {', '.join(failed)}")


def _made(name: str, folder: Path) -> bool:
    version, packages = ENVIRONMENTS[name]
    with tempfile.TemporaryDirectory() as scratch:
        python = Path(scratch) / "bin" / "python"
        steps = (
            ["uv", "venv", "--quiet", "--python", version, scratch],
            ["uv", "pip", "install", "--quiet", "--python", str(python), *packages],
            [str(python), "-W", "ignore", "-m", f"benchmarks.frameworks.from_{name}", str(folder)],
        )
        return all(subprocess.run(step, cwd=_REPOSITORY).returncode == 0 for step in steps)


if __name__ == "__main__":
    main()
