"""`snnergy simulate`: samples through an integer network, in the emulator or in Lava, recorded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from snnergy.artefacts.errors import CheckFailed
from snnergy.commands.options import Debug, Force, Json, Output
from snnergy.terminal import Terminal

if TYPE_CHECKING:
    from snnergy.neuromorphic.backends import Verification

EXAMPLE = "snnergy simulate model.net --input test.npz --verify -o activity.h5"


def command(
    context: typer.Context,
    model: Annotated[Path, typer.Argument(help="netx network (.net), ours or lava-dl's.", show_default=False)],
    inputs: Annotated[Path, typer.Option("--input", help="Samples (.npz or .npy).", show_default=False)],
    backend: Annotated[Literal["emulator", "lava"], typer.Option(help="Simulator.")] = "emulator",
    verify: Annotated[bool, typer.Option("--verify", help="Compare emulator and Lava, every node and step.")] = False,
    verify_samples: Annotated[int, typer.Option(min=1, help="First samples that --verify compares.")] = 4,
    record_state: Annotated[bool, typer.Option("--record-state", help="Record u and v too.")] = False,
    count: Annotated[int | None, typer.Option(min=1, help="First samples only.", show_default="all")] = None,
    num_layers: Annotated[
        int | None, typer.Option(min=1, help="First layers of a lava-dl file only.", show_default="all")
    ] = None,
    time_last: Annotated[bool, typer.Option("--time-last", help="The input's last axis is time; one sample.")] = False,
    timeout: Annotated[float, typer.Option(min=1, help="Limit of each Lava run, in seconds.")] = 600.0,
    output: Output = None,
    force: Force = False,
    _json: Json = False,
    _debug: Debug = False,
) -> None:
    """Run samples and record every node's activity (activity.h5) for `snnergy energy`."""
    from snnergy.artefacts.files import refuse_overwrite
    from snnergy.artefacts.samples import read_samples
    from snnergy.neuromorphic import backends, decode
    from snnergy.neuromorphic.activity import write_activity
    from snnergy.neuromorphic.inputs import shapes_of, to_integers
    from snnergy.neuromorphic.netx.files import read_netx

    terminal: Terminal = context.obj
    target = output or model.with_name("activity.h5")
    refuse_overwrite(target, force)
    net = read_netx(model, num_layers=num_layers)
    samples = read_samples(inputs, shapes_of(net.inputs), time_last=time_last).first(count)
    integers = to_integers(samples, net.inputs)
    fields: dict[str, Any] = {"net": model, "backend": backend, "samples": len(samples)}

    if verify:
        first = {name: array[:verify_samples] for name, array in integers.items()}
        with terminal.progress(f"comparing emulator and Lava on {len(next(iter(first.values())))} samples"):
            verification = backends.verify(net, first, timeout_s=timeout)
        fields["verification"] = verification_fields(verification)
        terminal.say(describe_verification(verification))
        if verification.mismatches:
            terminal.result(fields)
            raise CheckFailed(f"{model}: emulator and Lava differ in {', '.join(verification.mismatches)}")

    with terminal.progress(f"simulating on {backend}", total=len(samples)) as advance:
        records = backends.simulate(
            net, integers, backend=backend, record_state=record_state, timeout_s=timeout, progress=advance
        )
    write_activity(target, net, records, backend=backend, model=model.name, labels=samples.labels, force=force)
    spikes = sum(int(records.values[p.name].sum(dtype="int64")) for p in net.populations if p.spiking)
    overflows = sum(wrapped + clipped for wrapped, clipped in records.overflows.values())
    fields |= {"activity": target, "spikes": spikes, "overflows": overflows, "accuracy": None}
    terminal.say(f"{target}: {len(samples)} samples, {spikes} spikes of {len(net.populations)} populations")
    if overflows:
        terminal.say(f"warning: u or v left 24 bits {overflows} times, in {', '.join(records.overflows)}")
    if samples.labels is not None:
        fields["accuracy"] = decode.accuracy(decode.logits(net, records), samples.labels)
        terminal.say(f"accuracy {fields['accuracy']:.2%}")
    terminal.result(fields)


def describe_verification(verification: Verification) -> str:
    """One line that says what was compared and what differed."""
    return (
        f"emulator against Lava: {verification.values_compared} values (spikes, u, v) of {verification.nodes} nodes on "
        f"{verification.samples} samples, {verification.total_mismatches} mismatches"
    )


def verification_fields(verification: Verification) -> dict[str, Any]:
    """A verification as plain types."""
    return {
        "samples": verification.samples,
        "nodes": verification.nodes,
        "values_compared": verification.values_compared,
        "mismatches": verification.mismatches,
    }
