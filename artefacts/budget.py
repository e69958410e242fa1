"""How much memory and work a file may ask for: known, and refused, before anything of that size is begun.

A small file can describe a large array (compressed zeros, an extent that nobody stored), and a file can come from
anyone. The budget is one gibibyte; the variable `SNNERGY_MEMORY`, such as `4GiB`, sets another. The work that a network
may ask for in one time step grows with it.
"""

from __future__ import annotations

import os
import re

from snnergy.artefacts.errors import UserError

VARIABLE = "SNNERGY_MEMORY"
_DEFAULT = 1 << 30
_SMALLEST = 1 << 20
_OPERATIONS_A_BYTE = 16  # 2^34 for one gibibyte, of which a core does some 10^9 a second
_UNITS = {"": 1, "B": 1, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)\s*([KMGT]iB|B|)", re.IGNORECASE)


def memory() -> int:
    """The budget in bytes.

    Raises:
        UserError: the variable holds no size.
    """
    text = os.environ.get(VARIABLE)
    return _DEFAULT if not text else parse_size(text, VARIABLE)


def parse_size(text: str, where: str) -> int:
    """Bytes of a size such as `512MiB`, `4GiB` or `1073741824`.

    Args:
        where: how messages name what holds it.

    Raises:
        UserError: it is none, or less than 1 MiB.
    """
    found = _SIZE.fullmatch(text.strip())
    size = 0 if found is None else int(float(found[1]) * _UNITS[found[2].upper()])
    if size < _SMALLEST:
        raise UserError(
            f"{where} {text!r}: is no size of {size_text(_SMALLEST)} or more; give one such as 512MiB or 4GiB"
        )
    return size


def refuse_excess(what: str, needed: int, share: float = 1.0) -> None:
    """Raise `UserError` where `needed` bytes exceed that share of the budget.

    Args:
        what: file, object and why it needs so much, as in `model.nir: node 'pool': a kernel of 32768 × 32768`.
    """
    limit = memory()
    if needed > share * limit:
        wanted = int(needed / share)
        raise UserError(
            f"{what}: needs {size_text(needed)} of memory, {size_text(int(share * limit))} are allowed; if that is "
            f"right, set {VARIABLE} to {size_text(wanted, up=True)} or more"
        )


def refuse_work(what: str, operations: int) -> None:
    """Raise `UserError` where a network asks for more multiplications in one time step than the budget has.

    Args:
        what: as for `refuse_excess`.
    """
    limit = memory() * _OPERATIONS_A_BYTE
    if operations > limit:
        raise UserError(
            f"{what}: {operations:.3g} multiplications a time step, {limit:.3g} are allowed; if that is right, set "
            f"{VARIABLE} to {size_text(-(-operations // _OPERATIONS_A_BYTE), up=True)} or more"
        )


def size_text(size: int, *, up: bool = False) -> str:
    """A size in the largest binary unit that it fills, as `parse_size` takes it; `up` rounds up, to whole units."""
    power = min(4, max(0, (size.bit_length() - 1) // 10))
    unit = 1 << (10 * power)
    name = ("B", "KiB", "MiB", "GiB", "TiB")[power]
    return f"{-(-size // unit)}{name}" if up or power == 0 else f"{size / unit:.1f}{name}"
