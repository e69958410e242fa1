"""Firing rates and the statistics over samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from snnergy.energy import count, read_activity
from snnergy.energy.estimate import estimate
from snnergy.energy.rates import Column, node_rates, rate_table, rates_by_role_and_stage
from tests.energy import networks
from tests.energy.activity_files import Node, write_activity


def test_rate_of_each_node(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    nodes = networks.mixed_nodes(rng)
    run = read_activity(networks.mixed(tmp_path / "activity.h5"))
    found = {row.node.name: row.rate for row in node_rates(run, count(run))}
    assert "head" not in found
    for node in nodes[:-1]:
        per_sample = (node.values != 0).reshape(networks.SAMPLES, -1).mean(axis=1)
        assert found[node.name].mean == pytest.approx(per_sample.mean(), rel=1e-12)
        assert found[node.name].std == pytest.approx(per_sample.std(ddof=1), rel=1e-9)


def table_file(path: Path) -> Path:
    rng = np.random.default_rng(3)

    def node(role: str, stage: int, block: int, modality: str, name: str = "", size: int = 6) -> Node:
        attrs = {"role": role, "stage": stage, "block": block, "modality": modality}
        return Node(name or f"{stage}.{block}.{modality}.{role}", networks.spikes(rng, size), attrs=attrs)

    roles = ("mlp2", "stem", "attn", "k", "mlp1", "q")
    nodes = [node(role, stage, 0, modality) for stage in (2, 1) for modality in ("video", "audio") for role in roles]
    nodes.append(node("q", 1, 0, "video", name="temporal.q", size=18))
    nodes.append(node("", 1, 0, "video"))
    return write_activity(path, nodes, [])


def test_rows_and_columns_of_the_table(tmp_path: Path) -> None:
    run = read_activity(table_file(tmp_path / "activity.h5"))
    table = rate_table(run, count(run))
    assert table.roles == ("q", "k", "attn", "mlp1", "mlp2", "stem")
    places = [(1, 0, "audio"), (1, 0, "video"), (2, 0, "audio"), (2, 0, "video")]
    assert table.columns == tuple(Column(*place) for place in places)
    assert table.columns[0].title == "stage 1 · block 0 · audio"
    assert len(table.cells) == 24


def test_populations_of_one_cell_are_pooled_over_their_neurons(tmp_path: Path) -> None:
    run = read_activity(table_file(tmp_path / "activity.h5"))
    ledger = count(run)
    alone = {row.node.name: row.rate.mean for row in node_rates(run, ledger)}
    pooled = rate_table(run, ledger).cells["q", Column(1, 0, "video")].mean
    assert pooled == pytest.approx((6 * alone["1.0.video.q"] + 18 * alone["temporal.q"]) / 24)
    by_stage = rates_by_role_and_stage(run, ledger)
    assert list(by_stage)[:2] == [("q", 1), ("q", 2)]
    both = (24 * pooled + 6 * alone["1.0.audio.q"]) / 30
    assert by_stage["q", 1].mean == pytest.approx(both)


@pytest.mark.parametrize("samples", [2, 3, 7, 31, 32, 50, 500])
def test_interval_is_that_of_student(samples: int) -> None:
    values = np.random.default_rng(samples).normal(3.0, 2.0, samples)
    found = estimate(values)
    error = stats.sem(values)
    expected = stats.t.interval(0.95, samples - 1, loc=values.mean(), scale=error)
    assert found.ci95 == pytest.approx(expected, abs=1e-3 * error)
    assert found.std == pytest.approx(values.std(ddof=1))


def test_one_sample_has_no_deviation() -> None:
    found = estimate([2.5])
    assert (found.mean, found.std, found.ci95) == (2.5, None, None)
