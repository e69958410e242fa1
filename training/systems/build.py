"""Makes the network that the model section of an experiment describes."""

from __future__ import annotations

from typing import Any

from snnergy.training.config import systems as configs
from snnergy.training.config.experiment import AnySystem, ModelConfig
from snnergy.training.model.network import SNNergy
from snnergy.training.model.system import System
from snnergy.training.systems.cmci import CMCI
from snnergy.training.systems.joint import Joint
from snnergy.training.systems.misnet import MISNet
from snnergy.training.systems.ogm_ge import OGMGE
from snnergy.training.systems.pmr import PMR
from snnergy.training.systems.qkformer import QKFormer
from snnergy.training.systems.s_cmrl import SCMRL
from snnergy.training.systems.sca import SCA
from snnergy.training.systems.spikformer import Spikformer
from snnergy.training.systems.taaf import TAAF
from snnergy.training.systems.weight_attention import WeightAttention

_NETWORKS: dict[type[configs.SystemConfig], Any] = {
    ModelConfig: SNNergy,
    configs.QKFormerConfig: QKFormer,
    configs.SpikformerConfig: Spikformer,
    configs.SCmrlConfig: SCMRL,
    configs.WeightAttentionConfig: WeightAttention,
    configs.ScaConfig: SCA,
    configs.CmciConfig: CMCI,
    configs.MisnetConfig: MISNet,
    configs.TaafConfig: TAAF,
    configs.JointConfig: Joint,
    configs.OgmGeConfig: OGMGE,
    configs.PmrConfig: PMR,
}


def build(model: AnySystem) -> System:
    """The network, with new weights."""
    network: System = _NETWORKS[type(model)](model)
    return network
