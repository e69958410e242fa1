"""Lets a package be called like the function that it is named after.

The interface asks for both: `snnergy.export(checkpoint)` writes a graph, and `snnergy.export` holds the modules that
do. The function is imported when the package is first called.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class CallablePackage(ModuleType):
    """A package with a function of its own; `_function` is its place, `module:name`."""

    _function: str

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Call the function."""
        module, _, name = self._function.partition(":")
        return getattr(import_module(module), name)(*arguments, **options)


def make_callable(package: str, function: str) -> None:
    """Let the loaded package be called.

    Args:
        package: its name, `__name__` in its own file.
        function: `module:name` of what is called.
    """
    module = sys.modules[package]
    module.__class__ = CallablePackage
    vars(module)["_function"] = function
