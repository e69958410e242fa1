"""The part of YAML that an experiment needs: text, numbers, lists and mappings, each value where it is written."""

from __future__ import annotations

from typing import Any

import yaml

LARGEST = 1 << 16  # bytes; a written-out experiment has two thousand
_DEEPEST = 16
_LONGEST_INTEGER = 1 << 63
# What the parser raises, and its constructors of a tag (!!int, !!timestamp) over a text of another kind.
_DAMAGE = (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class _Loader(yaml.SafeLoader):
    """Refuses aliases, which let a few lines stand for gigabytes, depth, and keys that are there twice."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """One value, after a look at what comes next."""
        if self.check_event(yaml.AliasEvent):
            raise ValueError("an alias (*name); write the value out")
        self.depth += 1
        if self.depth > _DEEPEST:
            raise ValueError(f"more than {_DEEPEST} values within each other")
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping whose keys are text, each there once."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if not isinstance(key, str):
                raise ValueError(f"a key that is no text, {type(key).__name__}")
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise ValueError(f"{twice[0]!r} is there twice")
        return dict(zip(keys, (self.construct_object(value, deep=True) for _, value in node.value), strict=True))


def parsed(source: str | bytes) -> Any:
    """The value that a text holds.

    Raises:
        ValueError: it is no YAML in UTF-8, or holds what no experiment needs; the message is one line.
    """
    if len(source) > LARGEST:
        raise ValueError(f"more than {LARGEST} bytes")
    try:
        value = yaml.load(source if isinstance(source, str) else source.decode(), _Loader)
    except _DAMAGE as error:
        raise ValueError(" ".join(ascii(str(error))[1:-1].replace("\\n", " ").split())[:300]) from None
    _refuse_odd(value)
    return value


def _refuse_odd(value: Any) -> None:
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list):
        for item in value:
            _refuse_odd(item)
    elif isinstance(value, int) and not -_LONGEST_INTEGER <= value < _LONGEST_INTEGER:
        raise ValueError("an integer of more than 64 bits")
    elif isinstance(value, str):
        value.encode()  # half of a surrogate pair cannot be written anywhere
    elif value is not None and not isinstance(value, bool | int | float):
        raise ValueError(f"a {type(value).__name__}, which no field takes")
