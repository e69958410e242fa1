"""The one shape that every pass of lowering has: a name, what it requires, what it ensures, and a call.

    ir → [requires hold] → pass → [ensures hold] → ir

Both are for our own mistakes: what a user can get wrong is refused by the pass itself, with a `UserError`. They are
checked where the environment says SNNERGY_DEBUG=1, as the tests do; a compile without it pays nothing for them.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

In = TypeVar("In")
Out = TypeVar("Out")
IR = TypeVar("IR", contravariant=True)


@dataclass(frozen=True)
class Condition(Generic[IR]):
    """Something that holds for an IR. violations: yields a line for each place where it does not."""

    name: str
    violations: Callable[[IR], Iterable[str]]


class BrokenCondition(AssertionError):
    """A pass was given, or made, what its conditions exclude: a fault of this program, not of the user."""


class Pass(ABC, Generic[In, Out]):
    """One step of lowering. Parameters of a step are fields of its object; it keeps no state and changes no input."""

    name: ClassVar[str]
    requires: ClassVar[tuple[Condition[In], ...]]
    ensures: ClassVar[tuple[Condition[Out], ...]]

    @abstractmethod
    def rewrite(self, ir: In) -> Out:
        """What the pass makes of `ir`."""

    def __call__(self, ir: In) -> Out:
        """`rewrite`, between its conditions.

        Raises:
            UserError: the network cannot be lowered as it is.
            BrokenCondition: in debugging, a condition of this pass does not hold.
        """
        debugging = os.environ.get("SNNERGY_DEBUG") == "1"
        if debugging:
            self._hold("requires", self.requires, ir)
        done = self.rewrite(ir)
        if debugging:
            self._hold("ensures", self.ensures, done)
        return done

    def _hold(self, side: str, conditions: tuple[Condition[IR], ...], ir: IR) -> None:
        for condition in conditions:
            violations = list(condition.violations(ir))
            if violations:
                raise BrokenCondition("\n".join([f"pass {self.name} {side} {condition.name!r}:", *violations]))
