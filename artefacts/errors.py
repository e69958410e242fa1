"""The exceptions that a user can meet, and the exit code each one ends a command with.

SnnergyError            exit 1   the tool failed
├── UserError           exit 2   the input is wrong: says which object, value and limit, and what to do next
│   └── OutputRefused            an output cannot be written where it was asked for
├── CheckFailed         exit 3   a check that was asked for did not hold (parity, --verify, limits)
└── BackendFailed       exit 1   a simulator died or hung; carries its own traceback
"""

from __future__ import annotations

from collections.abc import Sequence

_SHOWN = 10  # violations that a message spells out: a damaged file can have one for each of its nodes


class SnnergyError(Exception):
    """Root of every error that this project raises on purpose."""

    exit_code = 1


class UserError(SnnergyError):
    """The user's input is wrong.

    Args:
        violations: one line for each thing that is wrong (object, value, limit, next step); a
            single string is one violation. All violations are reported at once.
    """

    exit_code = 2

    def __init__(self, violations: str | Sequence[str]) -> None:
        self.violations = (violations,) if isinstance(violations, str) else tuple(violations)
        super().__init__("\n".join(self.lines))

    @property
    def lines(self) -> tuple[str, ...]:
        """The first violations, and how many more there are."""
        more = len(self.violations) - _SHOWN
        return self.violations if more <= 0 else (*self.violations[:_SHOWN], f"and {more} more violations")


class OutputRefused(UserError):
    """An output cannot be written where it was asked for.

    The next step has other words on a command line than in Python, so that the fact is kept apart from it.

    Args:
        fact: path and what stands against it, as in `model.net: exists already`.
        replaceable: whether what is there may be replaced if the user asks for it. Never true of an input.
    """

    def __init__(self, fact: str, *, replaceable: bool = False) -> None:
        self.fact = fact
        self.replaceable = replaceable
        super().__init__(f"{fact}; {'force=True replaces it, or ' if replaceable else ''}write to another path")


class CheckFailed(SnnergyError):
    """A check that the user asked for did not hold."""

    exit_code = 3


class BackendFailed(SnnergyError):
    """A simulator backend died, raised or exceeded its time-out."""
