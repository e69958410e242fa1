"""The command line: puts the commands together, and ends each with the exit code that its outcome means.

0 done   1 the tool failed   2 the input is wrong   3 a check that was asked for did not hold
130 interrupted (SIGINT)   143 terminated (SIGTERM)   129 the terminal has closed (SIGHUP)
"""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Sequence
from functools import lru_cache
from types import TracebackType

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from snnergy import interruption
from snnergy.artefacts.display import printable
from snnergy.artefacts.errors import OutputRefused, SnnergyError, UserError
from snnergy.commands import compile as compile_
from snnergy.commands import demo, energy, export, inspect, samples, simulate, train
from snnergy.commands.options import Version
from snnergy.terminal import Terminal, print_safely
from snnergy.threads import wait_briefly

_COMMANDS = {
    "demo": demo,
    "train": train,
    "samples": samples,
    "export": export,
    "inspect": inspect,
    "compile": compile_,
    "simulate": simulate,
    "energy": energy,
}
_INTERRUPTED = 130  # what typer makes of KeyboardInterrupt

app = typer.Typer(
    help="Spiking networks from PyTorch through NIR to a bit-exact Loihi model, with an exact ledger of operations.",
    epilog="Example: snnergy demo",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: drawing it with rich takes as long as everything else together
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _name, _module in _COMMANDS.items():
    app.command(_name, epilog=f"Example: {_module.EXAMPLE}")(_module.command)


@app.callback()
def _group(_version: Version = False) -> None: ...


@lru_cache(maxsize=1)
def program() -> TyperGroup:
    """All commands, with the options that install a shell's completion; putting them together takes a while."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return group


def run(arguments: Sequence[str], *, prog_name: str = "snnergy", only: str | None = None) -> int:
    """Run one command line and return its exit code; our own errors become lines on standard error.

    Args:
        arguments: without the program's name.
        prog_name: that name, as help and errors show it.
        only: command that `arguments` belong to; None takes it from `arguments`.
    """
    group = program()
    command = group if only is None else group.commands[only]
    terminal = Terminal()
    try:
        code = command.main(
            args=list(arguments) or ["--help"], prog_name=prog_name, standalone_mode=False, obj=terminal
        )
    except BaseException as error:
        # An interruption may surface as another error, as where it cuts off an import.
        if interruption.received() is None:
            return _explain(error, terminal, prog_name)
        code = _INTERRUPTED
    return _say_interrupted(prog_name) if code == _INTERRUPTED else code or 0


def main() -> int:
    """Entry point of `snnergy`."""
    return _run_program(prog_name="snnergy")


def export_nir_main() -> int:
    """Entry point of `export-nir`, which is `snnergy export`."""
    return _run_program(prog_name="export-nir", only="export")


def _run_program(**program: str) -> int:
    interruption.take()
    sys.excepthook = _explain_bug
    print_safely()
    wait_briefly()
    try:
        return run(sys.argv[1:], **program)
    finally:
        interruption.ignore()


def _say_interrupted(prog_name: str) -> int:
    interruption.ignore()
    print(f"{prog_name}: interrupted", file=sys.stderr)
    return 128 + (interruption.received() or signal.SIGINT)  # as shells count


def _explain(error: BaseException, terminal: Terminal, prog_name: str) -> int:
    """Print what ended a command, and return the exit code that it means; a bug of ours is raised again."""
    if isinstance(error, TyperException):
        return _explain_usage(error, prog_name)
    if isinstance(error, SystemExit):
        # Lightning cleans up after Ctrl-C and then exits with code 1.
        return _say_interrupted(prog_name) if isinstance(error.__context__, KeyboardInterrupt) else 1
    if not isinstance(error, SnnergyError):
        raise error
    if terminal.debug:
        _print_lines("".join(traceback.format_exception(error)))
    for violation in _lines(error):
        print(printable(f"{prog_name}: {violation}"), file=sys.stderr)
    return error.exit_code


def _lines(error: SnnergyError) -> tuple[str, ...]:
    """What is wrong, with the options that help where the library does not know them."""
    if isinstance(error, OutputRefused):
        advice = "--force to replace it or -o to write elsewhere" if error.replaceable else "-o with another path"
        return (f"{error.fact}; pass {advice}",)
    return error.lines if isinstance(error, UserError) else tuple(str(error).split("\n"))


def _explain_usage(error: TyperException, prog_name: str) -> int:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else prog_name
    print(printable(f"{path}: {error.format_message()}; see {path} --help"), file=sys.stderr)
    return UserError.exit_code


def _explain_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What the interpreter calls before it exits with code 1: an error that nobody foresaw."""
    if "--debug" in sys.argv:
        _print_lines("".join(traceback.format_exception(kind, error, trace)))
    else:
        print(
            printable(f"snnergy: internal error, {kind.__name__}: {error}; --debug shows the traceback"),
            file=sys.stderr,
        )


def _print_lines(text: str) -> None:
    for line in text.rstrip("\n").split("\n"):
        print(printable(line), file=sys.stderr)
