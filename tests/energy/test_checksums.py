"""What a disk or a copy changed in a recording is found when it is read."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from snnergy.artefacts.activity import Activity, Edge, Node
from snnergy.artefacts.activity_writer import ActivityWriter
from snnergy.artefacts.errors import UserError
from snnergy.artefacts.records import Records
from snnergy.energy import count, read_activity

SAMPLES, STEPS = 3, 2


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A recording with every dataset that the writer knows."""
    rng = np.random.default_rng(0)
    spikes = {"in": (4,), "hidden": (3,)}
    values = {name: (rng.random((SAMPLES, STEPS, *shape)) < 0.5).astype(np.uint8) for name, shape in spikes.items()}
    nodes = (
        Node("in", "input", (4,), "binary"),
        Node("hidden", "neuron", (3,), "binary"),
        Node("out", "readout", (2,), "integer"),
    )
    edges = tuple(
        Edge(i, source, target, "dense", (), True, inputs * outputs, inputs * outputs, 0, 0, True)
        for i, (source, target, inputs, outputs) in enumerate((("in", "hidden", 4, 3), ("hidden", "out", 3, 2)))
    )
    fan_out = [(np.full(4, 3, np.int32),) * 2, (np.full(3, 2, np.int32),) * 2]
    delivered = (3 * values["in"].sum(axis=2, dtype=np.int64), 2 * values["hidden"].sum(axis=2, dtype=np.int64))
    path = tmp_path / "activity.h5"
    with h5py.File(path, "w") as file:
        head = Activity(file, "small", STEPS, SAMPLES, "emulator", "small.net", {}, nodes, edges, (0, 1, 1))
        writer = ActivityWriter(file, head, fan_out)
        writer.append(Records(values, {}, {}, delivered, delivered))
        writer.finish(rng.random((SAMPLES, 2)), np.array([0, 1, 0]))
    return path


def datasets(path: Path) -> dict[str, tuple[int, int]]:
    """Name, and place and size of the first chunk, of every dataset; each of them must have a checksum."""
    found = {}
    with h5py.File(path, "r") as file:

        def note(name: str, node: object) -> None:
            if isinstance(node, h5py.Dataset):
                assert node.fletcher32, name
                place = node.id.get_chunk_info(0)
                found[name] = (place.byte_offset, place.size)

        file.visititems(note)
    return found


def test_a_changed_bit_in_any_array_is_an_error_that_names_it(recorded: Path) -> None:
    count(read_activity(recorded))
    places = datasets(recorded)
    assert {name.rpartition("/")[2] for name in places} == {
        "values", "label", "prediction", "logits", "fan_out", "fan_out_nonzero", "delivered", "delivered_nonzero",
    }  # fmt: skip
    sound = recorded.read_bytes()
    for name, (offset, size) in places.items():
        if name == "logits":
            continue  # nothing here reads them
        for place in (offset, offset + size // 2, offset + size - 1):
            content = bytearray(sound)
            content[place] ^= 1
            recorded.write_bytes(content)
            with pytest.raises(UserError) as caught:
                count(read_activity(recorded))
            (line,) = caught.value.lines
            assert line.startswith(f"{recorded}: /{name}: truncated or damaged")
