"""`snnergy simulate`: samples through an integer network, in the emulator or in Lava, recorded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snnergy.artefacts.errors import CheckFailed, UserError
from snnergy.commands.options import Debug, Force, Json, Output, Readout, Version
from snnergy.neuromorphic.simulation.backends import Backend, BackendName, Emulator, Lava
from snnergy.show import show_warnings
from snnergy.terminal import Terminal

if TYPE_CHECKING:
    from snnergy.neuromorphic.simulation.run import Run
    from snnergy.neuromorphic.simulation.verify import Verification

EXAMPLE = "snnergy simulate model.net --input test.npz --verify -o activity.h5"


def command(
    context: typer.Context,
    model: Annotated[Path, typer.Argument(help="netx network (.net), ours or lava-dl's.", show_default=False)],
    inputs: Annotated[Path, typer.Option("--input", help="Samples (.npz or .npy).", show_default=False)],
    backend: Annotated[BackendName, typer.Option(help="Simulator.")] = "emulator",
    device: Annotated[
        str | None,
        typer.Option(help="What the emulator computes on, such as cuda.", show_default="the processor"),
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Compare emulator and Lava, every node and step.")] = False,
    verify_samples: Annotated[int, typer.Option(min=1, help="First samples that --verify compares.")] = 4,
    readout: Readout = None,
    record_state: Annotated[bool, typer.Option("--record-state", help="Record u and v too.")] = False,
    count: Annotated[int | None, typer.Option(min=1, help="First samples only.", show_default="all")] = None,
    num_layers: Annotated[
        int | None, typer.Option(min=1, help="First layers of a lava-dl file only.", show_default="all")
    ] = None,
    time_last: Annotated[bool, typer.Option("--time-last", help="The input's last axis is time; one sample.")] = False,
    timeout: Annotated[
        float | None,
        typer.Option(
            min=1,
            help="Seconds without a step after which Lava is given up.",
            show_default="600 until it has begun, then 20 times what a step took, at least 60",
        ),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(help="Memory to keep within, such as 4GiB.", show_default="SNNERGY_MEMORY, else 1GiB"),
    ] = None,
    output: Output = None,
    force: Force = False,
    _json: Json = False,
    _debug: Debug = False,
    _version: Version = False,
) -> None:
    """Run samples and record every node's activity (activity.h5) for `snnergy energy`."""
    from snnergy.artefacts.budget import parse_size
    from snnergy.artefacts.files import refuse_overwrite
    from snnergy.artefacts.kinds import NETX, SAMPLES, require
    from snnergy.artefacts.samples import read_samples
    from snnergy.neuromorphic.inputs import shapes_of
    from snnergy.neuromorphic.simulation.networks import Named, load
    from snnergy.neuromorphic.simulation.simulate import planned_run, simulate
    from snnergy.neuromorphic.simulation.verify import verify as compare

    terminal: Terminal = context.obj
    target = output or model.with_name("activity.h5")
    allowed = None if memory is None else parse_size(memory, "--memory")
    require((model, NETX), (inputs, SAMPLES))
    net = Named(load(model, num_layers=num_layers), model.name)
    samples = read_samples(inputs, shapes_of(net.net.inputs), time_last=time_last).first(count)
    refuse_overwrite(target, force, inputs=[model, inputs])
    runner = _runner(backend, device, timeout)
    plan = planned_run(net.net, samples, runner, record_state=record_state, output=target, memory=allowed)
    fields: dict[str, Any] = {"net": model, "backend": backend, "samples": len(samples)}
    fields |= {"memory_bytes": plan.memory_bytes, "samples_at_once": plan.at_once}
    if verify:
        first = samples.first(verify_samples)
        with terminal.progress(f"comparing emulator and Lava on {len(first)} samples"):
            verification = compare(net, first, timeout_s=timeout, memory=allowed)
        terminal.say(str(verification))
        fields["verification"] = _verification_fields(verification)
        if verification.mismatches:
            terminal.result(fields)
            raise CheckFailed(f"{model}: emulator and Lava differ in {', '.join(verification.mismatches)}")
    terminal.say(str(plan))
    with terminal.progress(f"simulating on {backend}", total=len(samples)) as advance:
        run = simulate(
            net, samples, backend=runner, readout=readout, record_state=record_state, output=target, force=force,
            memory=allowed, progress=advance,
        )  # fmt: skip
    terminal.result(fields | {"activity": target} | _show(terminal, run))


def _runner(backend: BackendName, device: str | None, timeout: float | None) -> Backend:
    if backend == Emulator.name:
        return Emulator(device=device)
    if device is not None:
        raise UserError(f"--device {device}: is for the emulator; Lava computes on the processor")
    return Lava(timeout)


def _show(terminal: Terminal, run: Run) -> dict[str, Any]:
    """Print what a run came to, and return it as plain types."""
    neurons = [row for row in run.rows() if row["kind"] == "neuron"]
    spikes = sum(row["spikes"] for row in neurons)
    overflows = sum(wrapped + clipped for wrapped, clipped in run.overflows.values())
    terminal.say(f"{run.path}: {run.activity.samples} samples, {spikes} spikes of {len(neurons)} populations")
    show_warnings(terminal, run.warnings)
    if run.accuracy is not None:
        terminal.say(f"accuracy {run.accuracy:.2%}")
    return {
        "readout": run.readout,
        "spikes": spikes,
        "overflows": overflows,
        "accuracy": run.accuracy,
        "warnings": run.warnings,
    }


def _verification_fields(verification: Verification) -> dict[str, Any]:
    """A verification as plain types."""
    return {
        "samples": verification.samples,
        "nodes": verification.nodes,
        "values_compared": verification.values_compared,
        "mismatches": verification.mismatches,
    }
