"""The training of a network that is rounded at every step, and starts from a trained one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from snnergy.finetuning.lowered import Lowered
from snnergy.finetuning.rounded import Rounded
from snnergy.training import checkpoint
from snnergy.training.config.experiment import Config
from snnergy.training.data import model_inputs
from snnergy.training.loop.learner import Learner

_CALIBRATION_SAMPLES = 80  # of the validation split, as many as `benchmarks.finetune` compiles with


class FineTuner(Learner):
    """Trains a network in evaluation mode, since the statistics of its BatchNorm are part of what is rounded."""

    def __init__(self, config: Config, start: Path) -> None:
        """Round the network of the checkpoint `start`.

        Raises:
            UserError: the checkpoint cannot be read, its network cannot be exported, or its data set is not there.
        """
        super().__init__(config)
        assert config.finetune is not None
        self.network.load_state_dict(checkpoint.load(start).network.state_dict())
        self.network.eval()
        lowered = Lowered(self.network, config.finetune.bits)
        calibration = model_inputs(config, "val", _CALIBRATION_SAMPLES)
        self.scales = lowered.scales(self.network, calibration)
        self.rounded = Rounded(self.network, lowered, self.scales)
        self.about: Mapping[str, str | int] = {
            "finetuned_bits": config.finetune.bits,
            "finetuned_from": config.finetune.source,
            "finetuned_from_sha256": config.finetune.sha256,
        }

    def train(self, mode: bool = True) -> FineTuner:
        """As any module, but for the network, which stays in evaluation mode."""
        super().train(mode)
        self.network.eval()
        return self
