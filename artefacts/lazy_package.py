"""Packages that load what they export when it is asked for, and that may be called by their main function.

`import snnergy` must not bring torch or matplotlib, so names are bound to the module they live in, and imported at the
first look. `snnergy.energy` is a package and, as the API has it, a function too: a module whose class has `__call__` is
both (the Python language reference, "Customizing module attribute access").
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any


class LazyPackage(ModuleType):
    """A package whose exports are imported on demand."""

    _homes: Mapping[str, str]
    _main: str | None

    def __getattr__(self, name: str) -> Any:
        home = self._homes.get(name)
        if home is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        module = import_module(home)
        value = module if home == f"{self.__name__}.{name}" else getattr(module, name)
        setattr(self, name, value)
        return value

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._homes})

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the main function of the package."""
        if self._main is None:
            raise TypeError(f"module {self.__name__!r} is not callable")
        return getattr(self, self._main)(*args, **kwargs)


def make_lazy(package: str, homes: Mapping[str, str], *, main: str | None = None) -> None:
    """Turn an imported package into a lazy one.

    Args:
        package: its `__name__`.
        homes: exported name → module that it is imported from; a submodule of that name stands for itself.
        main: the export that a call of the package calls.
    """
    module = sys.modules[package]
    module.__dict__.update(_homes=homes, _main=main)
    module.__class__ = LazyPackage
