"""What other frameworks wrote and emitted: the small networks of `benchmarks.frameworks`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import peers

PEERS = Path(__file__).parents[3] / "shared" / "peers"
FIXTURES = Path(__file__).parents[1] / "fixtures" / "frameworks"


def peer(name: str) -> peers.Peer:
    return next(p for p in peers.peers_in(FIXTURES) if p.path.name == name)


@pytest.mark.parametrize("name", ["lava_dl_dense.net", "lava_dl_delay.net", "lava_dl_conv.net"])
def test_blocks_of_slayer_spike_for_spike(name: str) -> None:
    row = peers.measured(peer(name))
    assert row["chip_overlap"] == row["chip_same_prediction"] == 1.0 and row["framework_spikes"] > 0.3


def test_a_file_that_says_all_is_kept_by_default() -> None:
    row = peers.measured(peer("spikingjelly_conv.nir"))
    assert row["float_overlap"] == row["float_same_prediction"] == 1.0 and "fits" not in row
    assert row["chip_overlap"] > 0.85 and row["chip_same_prediction"] > 0.9


def test_zeros_and_ones_are_measured_as_spikes_and_the_option_that_fits_is_named() -> None:
    row = peers.measured(peer("sinabs_iaf_hard.nir"))
    assert row["meaning"] == "kept with `--reset hard`" and row["float_overlap"] == 1.0
    assert row["chip_overlap"] > 0.9  # 0.86 where the input takes a grid of 255 steps


EXACT = "--spikes many --integration exponential"


@pytest.mark.parametrize(
    ("name", "options", "why"),
    [
        ("snntorch_lif_soft.nir", "--reset late-soft", "takes the threshold off in the next step"),
        ("snntorch_recurrent.nir", "--reset 1.lif=late-hard", "clears the membrane in the next step"),
        ("spyx_lif.nir", "--reset late-soft --gain one", "2 steps later"),
        ("sinabs_lif.nir", EXACT, "exp(−dt/tau)"),
        ("rockpool_lif.nir", f"--reset soft {EXACT} --gain one", "added whole"),
    ],
)
def test_what_an_exporter_left_out_comes_back_with_options(name: str, options: str, why: str) -> None:
    row = peers.measured(peer(name))
    assert row["float_overlap"] == 1.0 and row["meaning"] == f"kept with `{options}`"
    assert why in peers.page([row])
    assert row["chip_overlap"] > 0.75


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("norse_a_lifbox_vector", "kept"),
        ("sinabs_a_iaf_single_reset", "kept with `--reset hard`"),
        ("sj_a_fc_rate", "kept"),
        ("sj_d_cuba", "kept"),
        ("sj_d_cuba_bias", "kept"),
        ("snn_a_fc_vector", "kept"),
        ("rock_a_lifneuron", f"kept with `--reset soft {EXACT} --gain one`"),
        ("rock_d_cuba", f"kept with `--reset soft {EXACT} --gain one`"),
        ("sinabs_a_lif", f"kept with `{EXACT} --gain one`"),
        ("sinabs_a_lif_expleak_latency", "kept with `--integration exponential --gain 3=one`"),
        ("snn_c_vec_rleaky_v", "kept with `--reset rec.lif=late-hard`"),
        ("snn_d_vec_bias", "kept with `--reset late-hard`"),
    ],
)
def test_what_an_exporter_keeps_is_the_framework_s_in_float_and_within_a_point_in_8_bits(
    name: str, meaning: str
) -> None:
    if not (PEERS / f"{name}.nir").is_file():
        pytest.skip("the files of other frameworks are not beside this checkout")
    row = peers.measured(next(p for p in peers.peers_in(PEERS) if p.path.stem == name))
    assert row["meaning"] == meaning and row["float_same_prediction"] == 1.0
    assert abs(row["chip_accuracy"] - row["framework_accuracy"]) <= 0.01


def test_overlap_and_lateness() -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 2, (3, 12, 4)).astype(float)
    late = np.concatenate([np.zeros((3, 1, 4)), a[:, :-1]], 1)
    assert peers.fit(a, a) == (1.0, 0) and peers.fit(a, late) == (1.0, 1)
    assert peers.overlap(np.array([[[2.0, 1]]]), np.array([[[1.0, 3]]])) == 2 / 5
    assert peers.overlap(np.zeros((1, 2, 3)), np.zeros((1, 2, 3))) == 0.0
    assert peers.overlap(np.array([[[1.5, -1]]]), np.array([[[1.5, -1]]])) == 1.0
