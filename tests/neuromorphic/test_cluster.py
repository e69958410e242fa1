"""Samples on the workers of a dask cluster: the records of one machine, whatever happens to a worker."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snnergy.artefacts.activity import Activity
from snnergy.artefacts.errors import BackendFailed, UserError
from snnergy.cli import run as command
from snnergy.neuromorphic import emulator
from snnergy.neuromorphic.ir import QuantNet
from snnergy.neuromorphic.netx.files import write_netx
from snnergy.neuromorphic.simulation import cluster
from snnergy.neuromorphic.simulation.backends import Emulator, Lava
from snnergy.neuromorphic.simulation.cluster import Cluster, on_cluster
from snnergy.neuromorphic.simulation.simulate import simulate
from tests.neuromorphic import nets

distributed = pytest.importorskip("distributed")
SAMPLES, STEPS = 40, 6


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Two workers in processes of their own, each of one thread, which a guard starts anew if they die."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=True
    ) as local:
        yield local.scheduler_address


def data(net: QuantNet) -> dict[str, np.ndarray]:
    inputs = nets.random_inputs(net, SAMPLES, STEPS)
    return {port.name: inputs[port.name] * port.scale for port in net.inputs}


def contents(activity: Activity) -> dict[str, object]:
    """Every dataset and attribute, byte for byte."""
    found: dict[str, object] = {}
    with activity.open() as file:
        file.visititems(lambda name, item: found.update({name: (
            item[()].tobytes() if hasattr(item, "dtype") else b"", {k: str(v) for k, v in item.attrs.items()}
        )}))  # fmt: skip
    return found


def test_two_workers_record_what_one_machine_does(address: str, tmp_path: Path) -> None:
    net, seen = nets.random_net(1), []
    for options in ({}, {"record": "counts"}):
        here = simulate(net, data(net), **options)
        there = simulate(net, data(net), scheduler=address, progress=seen.append, **options)
        assert contents(there.activity) == contents(here.activity)
        assert there.overflows == here.overflows
    assert sum(seen) == 2 * SAMPLES and max(seen) < SAMPLES
    stream = replace(net, reset=False)
    assert contents(simulate(stream, data(net), scheduler=address).activity) == contents(
        simulate(stream, data(net)).activity
    )


def test_the_network_is_sent_once_and_prepared_once_on_a_worker(address: str) -> None:
    net = nets.random_net(1)
    inputs = nets.random_inputs(net, SAMPLES, STEPS)
    with on_cluster(Emulator(), address) as there:
        assert isinstance(there, Cluster) and there.threads == 2
        runs = [there.run(net, inputs) for _ in range(3)]
        assert len(there._sent) == 1
        assert set(there.client.run(lambda: len(cluster._ready)).values()) == {1}
        np.testing.assert_array_equal(runs[2].v["out"], emulator.run(net, inputs).v["out"])


@pytest.mark.skipif(sys.platform == "win32", reason="kills a process")
def test_a_killed_worker_loses_nothing(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net, killed = nets.random_net(2), []
    monkeypatch.setattr(cluster, "BATCH", 2)
    expected = simulate(net, data(net))
    with on_cluster(Emulator(), address) as there:
        workers = there.client.run(os.getpid)

        def kill(finished: int) -> None:
            if not killed:
                killed.extend(workers.values())
                os.kill(killed[0], signal.SIGKILL)

        found = simulate(net, data(net), backend=there, progress=kill)
        assert killed[0] not in there.client.run(os.getpid).values()
    assert contents(found.activity) == contents(expected.activity)


def test_what_goes_wrong_on_a_worker_is_said(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net = nets.random_net(1)
    strange = replace(net, synapses=(replace(net.synapses[0], source="nowhere"), *net.synapses[1:]))
    with on_cluster(Emulator(), address) as there, pytest.raises(BackendFailed, match=r"lost a batch: .*nowhere"):
        there.run(strange, nets.random_inputs(net, 1, 2))
    monkeypatch.setattr(cluster, "__version__", "0.0.0")
    with pytest.raises(UserError, match=r"a worker has release .* of this package, not 0\.0\.0; install it"):
        simulate(net, data(net), scheduler=address)


def test_only_the_emulator_runs_on_a_cluster_and_only_where_dask_is(monkeypatch: pytest.MonkeyPatch) -> None:
    net = nets.random_net(1)
    with pytest.raises(UserError, match="backend 'lava': does not run on a cluster; leave out scheduler"):
        simulate(net, data(net), backend=Lava(), scheduler="tcp://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UserError, match=r"distributed of the extra 'dask', not installed here: .*snnergy\[dask\]"):
        simulate(net, data(net), scheduler="tcp://127.0.0.1:1")


@pytest.mark.parametrize("wrong", ["tcp://127.0.0.1:1", "nowhere", "tcp://", "ftp://127.0.0.1:80"])
def test_an_address_without_a_scheduler_is_one_line(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_CONNECT_S", 1)
    with pytest.raises(UserError) as refused:
        simulate(nets.random_net(1), data(nets.random_net(1)), scheduler=wrong)
    (line,) = refused.value.lines
    assert line.startswith(f"scheduler {wrong!r}: cannot be reached (") and "\n" not in line


def test_a_cluster_without_workers_is_said(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_comes(*_: object, **__: object) -> None:
        raise asyncio.TimeoutError

    monkeypatch.setattr(distributed.Client, "wait_for_workers", none_comes)
    with pytest.raises(UserError, match="has no workers; start some with `dask worker"):
        simulate(nets.random_net(1), data(nets.random_net(1)), scheduler=address)


def test_the_command_ends_with_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = nets.random_net(1)
    write_netx(net, tmp_path / "model.net")
    np.savez(tmp_path / "x.npz", **data(net))
    arguments = ["simulate", str(tmp_path / "model.net"), "--input", str(tmp_path / "x.npz")]
    begun = time.monotonic()
    assert command([*arguments, "--scheduler", "tcp://127.0.0.1:1"]) == 2
    assert time.monotonic() - begun < 30
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "scheduler 'tcp://127.0.0.1:1': cannot be reached" in error
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.net", "x.npz"]
