"""The estimate that papers print, and how far it is from the exact count.

E = 4.6 pJ · FLOPs(first layers) + 0.9 pJ · Σ R · T · FLOPs(other layers),  R the firing rate of the layer's input,
FLOPs the multiplications of the dense layer with padding included. It errs where the events of a map do not
spread evenly over neurons of unequal fan-out (borders, strides), charges the encoder one step only, and takes
every later layer for spike-driven.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from snnergy.artefacts.activity import Activity, Edge
from snnergy.energy.counterparts import learned_layers
from snnergy.energy.ledger import Ledger
from snnergy.energy.prices import FP32


@dataclass(frozen=True)
class PaperFormula:
    """Energy of the learned layers of one sample at fp32 prices, by the formula and by the ledger.

    accumulates: the part of the layers that spikes drive. worst_edge: name, and error of its accumulates in percent.
    """

    formula_pj: float
    exact_pj: float
    formula_accumulates_pj: float
    exact_accumulates_pj: float
    worst_edge: tuple[str, float] | None

    @property
    def error_percent(self) -> float | None:
        """Error of the formula over all learned layers."""
        return _error_percent(self.formula_pj, self.exact_pj)

    @property
    def accumulates_error_percent(self) -> float | None:
        """Error of the formula over the layers that spikes drive."""
        return _error_percent(self.formula_accumulates_pj, self.exact_accumulates_pj)


def paper_formula(activity: Activity, ledger: Ledger) -> PaperFormula:
    """Apply the formula to the recorded firing rates and compare it with the ledger, edge by edge."""
    multiply_pj, add_pj = (FP32.prices[0].pj or 0.0, FP32.prices[1].pj or 0.0)
    fired = {entry.place.name: entry.all.sum() for entry in ledger.entries if entry.operation == "spike"}
    exact = {
        entry.place.index: float(entry.all.sum()) / ledger.samples
        for entry in ledger.entries
        if entry.operation in ("ac", "ac_weighted", "mac_dense")
    }
    formula_pj = {"encoder": 0.0, "real": 0.0, "spikes": 0.0}
    exact_pj = dict(formula_pj)
    errors: dict[str, float] = {}
    for edge in (edge for layer in learned_layers(activity) for edge in layer):
        source = activity.node(edge.source)
        drive = "spikes" if source.value_class != "real" else "encoder" if source.kind == "input" else "real"
        rate_steps = float(fired[source.name]) / (source.size * ledger.samples)  # R · T
        flops = _dense_flops(activity, edge)
        formula_pj[drive] += flops * multiply_pj if drive == "encoder" else flops * rate_steps * add_pj
        exact_pj[drive] += exact[edge.index] * (add_pj if drive == "spikes" else multiply_pj)
        error = _error_percent(flops * rate_steps, exact[edge.index])
        if drive == "spikes" and error is not None:
            errors[f"{edge.source} → {edge.target}"] = error
    return PaperFormula(
        formula_pj=sum(formula_pj.values()),
        exact_pj=sum(exact_pj.values()),
        formula_accumulates_pj=formula_pj["spikes"],
        exact_accumulates_pj=exact_pj["spikes"],
        worst_edge=max(errors.items(), key=lambda item: abs(item[1]), default=None),
    )


def _dense_flops(activity: Activity, edge: Edge) -> int:
    """Multiplications of the layer on its full map, those with padding included; sparse synapses have no padding."""
    if edge.kind != "conv2d":
        return edge.parameters
    return edge.parameters * prod(activity.node(edge.target).shape[1:])


def _error_percent(estimated: float, exact: float) -> float | None:
    return 100.0 * (estimated - exact) / exact if exact else None
