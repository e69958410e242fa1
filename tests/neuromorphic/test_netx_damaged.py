"""Damaged `.net` files: whatever stands in the place of what was written is refused by name."""

import h5py
import numpy as np
import pytest

from snnergy.artefacts.errors import UserError
from snnergy.neuromorphic.netx.files import read_netx, write_netx
from tests.neuromorphic.nets import random_net, sparse_net
from tests.neuromorphic.netx_chains import diagonal_chain


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: file["layer/2/weight"].__setitem__((0, 1), 3), "is no diagonal of (24, 1, 1)"),
        (lambda file: file["layer/1/weight"].__setitem__((0, 0), 3), "differs within a channel"),
        (lambda file: file["graph/synapses/1"].attrs.__setitem__("input_shape", [23, 1, 1]), "is no diagonal"),
    ],
)
def test_a_damaged_diagonal_is_refused(change, message, tmp_path):
    path = tmp_path / "m.net"
    write_netx(diagonal_chain(), path)
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(UserError) as caught:
        read_netx(path)
    assert message in str(caught.value)


def damaged(tmp_path, change):
    """The violations of a sound file after `change(file)`."""
    path = tmp_path / "m.net"
    write_netx(random_net(1), path, force=True)
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(UserError) as caught:
        read_netx(path)
    assert all(violation.startswith(str(path)) for violation in caught.value.violations)
    return caught.value.violations


def set_attribute(path, name, value):
    def change(file):
        file[path].attrs[name] = value

    return change


def overwrite(path, value):
    def change(file):
        file[path][...] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_attribute("graph", "version", 99), "version"),
        (set_attribute("graph/synapses/0", "source", "nowhere"), "nowhere"),
        (set_attribute("graph/synapses/0", "target", "nowhere"), "nowhere"),
        (set_attribute("graph/synapses/0", "layer", 999), "999"),
        (set_attribute("graph/synapses/0", "exponent", 70), "exponent: 70, the chip takes -8..7"),
        (set_attribute("graph/synapses/0", "balance", -1), "negative"),
        (overwrite("graph/populations/0/du", 5000), "5000"),
        (set_attribute("graph/populations/0", "vth", -3), "-3"),
        (set_attribute("graph/populations/0", "vth", "high"), "store numbers"),
        (set_attribute("graph/populations/0", "name", "p1"), "p1"),
        (set_attribute("graph/populations/0", "spiking", False), "the source is a readout, which sends nothing"),
        (set_attribute("graph/populations/0", "shape", [0, 3]), "positive"),
        (set_attribute("graph/inputs/0", "value_class", "fuzzy"), "fuzzy"),
        (set_attribute("graph", "outputs", np.array(["gone"], h5py.string_dtype())), "gone"),
        (lambda file: file.__delitem__("graph/populations/1/dv"), "dv: missing"),
        (lambda file: file.__delitem__("graph/populations/0"), "/graph/populations/0: missing"),
        (lambda file: file.__delitem__("graph/inputs"), "inputs"),
        (lambda file: file.__delitem__("layer"), "layer"),
        (overwrite("layer/2/weight", np.nan), "NaN"),
        (overwrite("layer/2/weight", 0.5), "whole"),
        (overwrite("layer/2/weight", 1e6), "255"),
        (overwrite("graph/provenance", "{"), "JSON"),
    ],
)
def test_a_damaged_file_is_refused_by_name(change, message, tmp_path):
    assert any(message in violation for violation in damaged(tmp_path, change))


def test_all_violations_come_at_once(tmp_path):
    def change(file):
        del file["graph/populations/0/du"]
        file["graph/populations/1"].attrs["vth"] = 0.5
        file["layer/2/weight"][...] = np.inf

    assert len(damaged(tmp_path, change)) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (overwrite("layer/2/columns", 24), "columns 24..24 exceed the 24 sources of (3, 2, 4)"),
        (overwrite("layer/2/columns", 3), "columns must rise within each target"),
        (overwrite("layer/2/row_starts", 0), "row_starts must rise from 0"),
        (lambda file: file["layer/2/row_starts"].__setitem__(3, 1 << 30), "row_starts must rise from 0"),
        (lambda file: file["layer/2/columns"].__setitem__(0, -1), "columns -1.."),
        (overwrite("layer/2/shape", 7), "row_starts must rise from 0"),
        (lambda file: file["layer/2"].__delitem__("columns"), "/layer/2/columns: missing"),
        (lambda file: file["layer/3"].__delitem__("delay"), "/layer/3/delay: missing"),
        (overwrite("layer/3/delay", -1), "a spike cannot arrive before it is sent"),
        (set_attribute("graph/synapses/0", "input_shape", [3, 2, 1]), "exceed the 6 sources"),
        (set_attribute("graph/synapses/0", "macs", -1.0), "macs: -1; must be a whole number"),
        (set_attribute("graph/synapses/0", "macs", 0.5), "macs: 0.5; must be a whole number"),
    ],
)
def test_damaged_sparse_synapses_are_refused_by_name(change, message, tmp_path):
    write_netx(sparse_net(1), tmp_path / "m.net")
    with h5py.File(tmp_path / "m.net", "r+") as file:
        assert file["layer/2/type"][0] == b"sparse"
        change(file)
    with pytest.raises(UserError) as caught:
        read_netx(tmp_path / "m.net")
    assert any(message in violation for violation in caught.value.violations), caught.value.violations


def test_what_is_not_hdf5_is_refused(tmp_path):
    text, cut = tmp_path / "text.net", tmp_path / "cut.net"
    text.write_text("hello")
    write_netx(random_net(0), cut)
    cut.write_bytes(cut.read_bytes()[:-2000])
    for path in (text, cut, tmp_path / "absent.net", tmp_path):
        with pytest.raises(UserError, match=path.name):
            read_netx(path)
