"""Builds Lava's process graph of an integer network: one process a population, one a synapse.

    Player ──▶ [SpikeDelay] ──▶ Sparse ──▶ LIFReset or ProgrammedLif ──▶ …

All inputs leave one player, side by side in one message; a synapse's matrix has columns for the whole message of its
source. Several synapses into one population are added up by Lava at its in-port.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from lava.magma.core.process.ports.ports import OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.proc.lif.process import LIFReset
from lava.proc.sparse.process import Sparse
from scipy.sparse import csr_matrix

from snnergy.artefacts.types import Shape
from snnergy.neuromorphic.ir import QuantNet, QuantPopulation, QuantSynapse
from snnergy.neuromorphic.lava.job import Job, input_columns
from snnergy.neuromorphic.lava.processes.player import Player, PlayerModel
from snnergy.neuromorphic.lava.processes.programmed import ProgrammedLif, ProgrammedLifModel
from snnergy.neuromorphic.lava.processes.spike_delay import SpikeDelay, SpikeDelayModel
from snnergy.neuromorphic.lava.processes.stock import RecordingLif, SurfacingSparse
from snnergy.neuromorphic.lava.synapses import Tap, held_form, matrix_of, taps_of
from snnergy.neuromorphic.limits import BIAS_EXPONENT

# Any number of message bits above 0 makes Sparse multiply; with 0 it slices columns, which is slower by far.
_MESSAGE_BITS = 24


@dataclass(frozen=True)
class Source:
    """Where a node's values come from: `columns` of the messages of `port`. depth: of the node in the pipeline."""

    port: OutPort
    width: int
    columns: slice
    depth: int


class Graph:
    """The processes of one run.

    models: the process model of each. Naming them one by one spares Lava's compiler its search for models, which
    executes every file beside a Process, once for each process.
    """

    def __init__(self, net: QuantNet, job: Job) -> None:
        """Build and connect every process."""
        self.models: dict[AbstractProcess, type] = {}
        self._job = job
        self._failure = str(job.failure)
        self._delays: dict[tuple[int, tuple[Tap, ...]], SpikeDelay] = {}
        columns = input_columns(net)
        width = max(column.stop for column in columns.values())
        self.player = Player(frames=str(job.inputs), width=width, clock=str(job.clock), failure=self._failure)
        self.models[self.player] = PlayerModel
        self._sources = {name: Source(self.player.s_out, width, column, 0) for name, column in columns.items()}
        neurons = {p.name: self._add_population(index, p) for index, p in enumerate(net.populations)}
        for synapse in net.synapses:
            self._add_synapse(synapse, neurons[synapse.target])

    def _add_population(self, index: int, population: QuantPopulation) -> LIFReset:
        job, shape = self._job, (population.size,)
        plain = population.stock and population.du.size == population.dv.size == 1
        neurons = (_stock if plain else _programmed)(
            population,
            shape=shape,
            vth=population.vth,
            bias_mant=np.broadcast_to(population.bias.reshape(-1), shape).copy(),
            bias_exp=BIAS_EXPONENT,
            reset_interval=job.schedule.reset_interval,
            reset_offset=job.schedule.reset_offset(population.depth),
        )
        records = {quantity: job.record(index, quantity) for quantity in job.quantities(population)}
        for name, value in {
            "depth": population.depth,
            "steps": job.schedule.steps,
            "records": {quantity: str(path) for quantity, path in records.items()},
            "failure": self._failure,
        }.items():
            neurons.proc_params[name] = value
        self.models[neurons] = RecordingLif if plain else ProgrammedLifModel
        self._sources[population.name] = Source(
            neurons.s_out, population.size, slice(0, population.size), population.depth
        )
        return neurons

    def _add_synapse(self, synapse: QuantSynapse, neurons: LIFReset) -> None:
        source = self._sources[synapse.source]
        taps = taps_of(synapse)
        # What is late in logical time passes a delay line even where that takes no step: the line drops what would
        # reach the next sample.
        port = self._delayed(source, taps) if any(tap.steps or tap.logical for tap in taps) else source.port
        form = held_form(synapse)
        sparse = Sparse(
            weights=_widened(matrix_of(synapse.operator, form), source, len(taps)),
            weight_exp=synapse.exponent - form.doublings,
            num_weight_bits=form.bits,
            num_message_bits=_MESSAGE_BITS,
            failure=self._failure,
        )
        self.models[sparse] = SurfacingSparse
        port.connect(sparse.s_in)
        sparse.a_out.connect(neurons.a_in)

    def _delayed(self, source: Source, taps: tuple[Tap, ...]) -> OutPort:
        """Out-port of the delay line of `source` with these taps; synapses share it."""
        key = (id(source.port), taps)
        if key not in self._delays:
            steps = self._job.schedule.steps
            delay = SpikeDelay(width=source.width, taps=taps, depth=source.depth, steps=steps, failure=self._failure)
            source.port.connect(delay.s_in)
            self.models[delay] = SpikeDelayModel
            self._delays[key] = delay
        return self._delays[key].s_out


def _stock(population: QuantPopulation, **arguments: Any) -> LIFReset:
    return LIFReset(du=int(population.du[0]) - 1, dv=int(population.dv[0]), **arguments)


def _programmed(population: QuantPopulation, shape: Shape, **arguments: Any) -> ProgrammedLif:
    du, dv = (np.broadcast_to(decays, shape).copy() for decays in (population.du - 1, population.dv))
    reset, spikes = population.reset, population.spikes
    return ProgrammedLif(shape=shape, du=du, dv=dv, reset=reset, spikes=spikes, **arguments)


def _widened(matrix: csr_matrix, source: Source, taps: int) -> csr_matrix:
    """`matrix` (outputs, inputs · taps) with columns for the whole message of its source, the others empty."""
    inputs = matrix.shape[1] // taps
    if inputs == source.width:
        return matrix
    tap, column = np.divmod(matrix.indices, inputs)
    columns = tap * source.width + source.columns.start + column
    return csr_matrix((matrix.data, columns, matrix.indptr), shape=(matrix.shape[0], source.width * taps))
