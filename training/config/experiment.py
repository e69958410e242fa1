"""One experiment, as a frozen and validated value: `load_config` makes it of a file, a name, or plain fields.

Unknown fields are errors, and everything that is wrong with a file is reported at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Discriminator, Field, Tag, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from snnergy.artefacts.errors import UserError
from snnergy.training.config.data import DataConfig, class_count
from snnergy.training.config.packaged import experiment_names, packaged_experiments
from snnergy.training.config.plain_yaml import LARGEST, parsed
from snnergy.training.config.systems import (
    CmciConfig,
    Depth,
    JointConfig,
    MisnetConfig,
    OgmGeConfig,
    PmrConfig,
    QKFormerConfig,
    Ratio,
    ScaConfig,
    SCmrlConfig,
    SpikformerConfig,
    SystemConfig,
    TaafConfig,
    WeightAttentionConfig,
)
from snnergy.training.config.types import (
    STRICT,
    NonNegative,
    NotNegative,
    Positive,
    PositiveFloat,
    Probability,
    Seed,
    refuse,
    shown,
    word,
)

Profile = Literal["loihi", "paper"]
# Of the fixed gate, where the config says nothing.
GAINS = {"gain_space": 37.0, "gain_time": 1.9}
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]


@dataclass(frozen=True, config=STRICT, kw_only=True)
class ModelConfig(SystemConfig):
    """SNNergy's own network. What the publication leaves open is a field here.

    base_dim is D, channels of stage 1; stages 2 and 3 have 2D and 4D.

    Attributes:
        profile: `loihi` sends spikes alone and is causal; `paper` fuses by means, which are real-valued.
        variant: which paths of the attention exist.
        fusion: of both paths in the `loihi` profile: the temporal path through a gate that is learned and starts open,
            with all of the spatial path beside it (`gated_sum`) or without, or through a gate of constants.
        stage3: attention of the third stage: query-key as in the others, or spiking self-attention.
        depths: blocks of each stage.
        heads: of every block; divides base_dim.
        mlp_ratio: hidden channels of an MLP over its channels.
        tau: membrane time constant in steps.
        threshold, mask_threshold: of every LIF, and of the attention masks.
        alpha_init, alpha_learnable: weight of the attention in the residual stream.
        gain_space: of the fixed gate's spatial mean, which is a few percent. None: 37, which divides no number of
            positions that occurs, so that no membrane ties at a threshold of 1.
        gain_time: of the fixed gate's temporal path. None: 1.9, at which a neuron asks for a second spike within four
            steps of the first, and never ties. From 2 on every spike passes at once, and the population repeats its
            input: the least that does anything at a single time step.
        temporal_kernel: steps that the temporal path looks at, this one and those before it.
        ssa_scale, ssa_scale_learnable: s of the self-attention. None: 1/8 in the `paper` profile, whose scores are
            integers; 1.1 in the `loihi` profile, which counts the matching channels of one head, a few at most.
    """

    system: Literal["snnergy"] = "snnergy"
    profile: Profile = "loihi"
    variant: Literal["spatial", "temporal", "spatiotemporal"] = "spatiotemporal"
    fusion: Literal["gated_sum", "open_gate", "fixed_gate"] = "gated_sum"
    stage3: Literal["cmqka", "ssa"] = "cmqka"
    depths: tuple[Depth, Depth, Depth] = (1, 1, 1)
    heads: Positive = 8
    mlp_ratio: Ratio = 4
    tau: Annotated[float, Field(gt=1, le=1e6)] = 2.0
    threshold: PositiveFloat = 1.0
    mask_threshold: PositiveFloat = 0.6
    alpha_init: Annotated[float, Field(ge=-1e6, le=1e6)] = 1.5
    alpha_learnable: bool = True
    gain_space: PositiveFloat | None = None
    gain_time: PositiveFloat | None = None
    temporal_kernel: Positive = 1
    ssa_scale: PositiveFloat | None = None
    ssa_scale_learnable: bool = True

    @property
    def extent(self) -> str:
        """The fields that make a network large, in a message."""
        return f"base_dim = {self.base_dim} and depths = {list(self.depths)}"

    @property
    def activations(self) -> int:
        """Values of all populations; up to a third more than there are."""
        one_side = self.base_dim * self.image_size**2
        for stage, depth in enumerate(self.depths):
            channels, positions = self.base_dim << stage, (self.image_size // (4 << stage)) ** 2
            one_side += channels * positions * ((6 if stage else 0) + depth * (10 + self.mlp_ratio))
        return 2 * one_side

    def __post_init__(self) -> None:
        violations = []
        if self.base_dim % self.heads:
            violations.append(f"heads = {self.heads}: must divide base_dim = {self.base_dim}")
        if self.temporal_kernel > self.time_steps:
            violations.append(
                f"temporal_kernel = {self.temporal_kernel}: looks further back than time_steps = {self.time_steps}"
            )
        if self.profile == "loihi" and self.variant == "spatiotemporal" and self.fusion == "fixed_gate":
            violations += self._closed()
        else:
            violations += [
                f"{name} = {gain}: there is no fixed gate to take it; leave it out, or set fusion=fixed_gate in "
                "profile=loihi with variant=spatiotemporal"
                for name in GAINS
                if (gain := getattr(self, name)) is not None
            ]
        refuse(violations)

    @property
    def fixed_gains(self) -> dict[str, float]:
        """The gains of the fixed gate, by the names of their fields."""
        given = {name: getattr(self, name) for name in GAINS}
        return {name: default if given[name] is None else given[name] for name, default in GAINS.items()}

    def _closed(self) -> list[str]:
        """Gains at which the fixed gate never opens."""
        # Under a constant input of 1 the membrane comes this near to the gain by the last step.
        least = self.threshold / (1 - (1 - 1 / self.tau) ** self.time_steps)
        enough = math.ceil(1000 * least) / 1000
        return [
            f"{name} = {gain}: no membrane of the fusion reaches the threshold within time_steps = "
            f"{self.time_steps}, so no attention passes; take {enough} or more"
            for name, gain in self.fixed_gains.items()
            if gain < least
        ]


def _system_of(section: Any) -> str:
    system = section.get("system", "snnergy") if isinstance(section, Mapping) else getattr(section, "system", "snnergy")
    return system if isinstance(system, str) else shown(system)


AnySystem = Annotated[
    Annotated[ModelConfig, Tag("snnergy")]
    | Annotated[QKFormerConfig, Tag("qkformer")]
    | Annotated[SpikformerConfig, Tag("spikformer")]
    | Annotated[SCmrlConfig, Tag("s_cmrl")]
    | Annotated[WeightAttentionConfig, Tag("weight_attention")]
    | Annotated[ScaConfig, Tag("sca")]
    | Annotated[CmciConfig, Tag("cmci")]
    | Annotated[MisnetConfig, Tag("misnet")]
    | Annotated[TaafConfig, Tag("taaf")]
    | Annotated[JointConfig, Tag("joint")]
    | Annotated[OgmGeConfig, Tag("ogm_ge")]
    | Annotated[PmrConfig, Tag("pmr")],
    Discriminator(_system_of),
]


@dataclass(frozen=True, config=STRICT)
class TrainConfig:
    """The optimisation: AdamW, linear warm-up, then a cosine to zero.

    Attributes:
        epochs: over the training split.
        batch_size: samples.
        learning_rate: at the end of the warm-up.
        weight_decay: of weights; not of BatchNorm, biases and alpha.
        warmup_epochs: of linear growth from zero.
        label_smoothing: of the cross entropy.
        gradient_clip: largest norm of the gradient.
        ema_decay: of the exponential moving average over weights and BatchNorm statistics, a step; the average is what
            is validated and kept. 0: no average.
        accumulate: parts that a batch is computed in, one after the other, to save memory; the statistics of BatchNorm
            are then those of a part.
        workers: processes that prepare samples beside the training; 0 for none. No result depends on them.
        modality_dropout: probability that a training sample loses one of its two modalities, either one alike.
        mixed_precision: half precision where a GPU gains by it: large networks. A CPU always computes in single.
    """

    epochs: Positive
    batch_size: Annotated[int, Field(ge=2, le=1_000_000)]
    learning_rate: PositiveFloat
    weight_decay: NonNegative = 1e-2
    warmup_epochs: NonNegative = 1.0
    label_smoothing: Probability = 0.1
    gradient_clip: PositiveFloat = 1.0
    ema_decay: Probability = 0.0
    modality_dropout: Probability = 0.0
    accumulate: Positive = 1
    workers: NotNegative = 0
    mixed_precision: bool = False

    def __post_init__(self) -> None:
        if self.batch_size % self.accumulate or self.batch_size // self.accumulate < 2:
            refuse([f"accumulate = {self.accumulate}: must cut batch_size = {self.batch_size} into parts of 2 or more"])


@dataclass(frozen=True, config=STRICT, kw_only=True)
class Start:
    """The trained network that a training began with.

    Attributes:
        source: name of its experiment.
        sha256: of its checkpoint.
    """

    source: Name
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True, config=STRICT, kw_only=True)
class FineTuning(Start):
    """What a network was fine-tuned from, and for what.

    Attributes:
        bits: that a weight has on the chip.
    """

    bits: Literal[8, 6, 4]


@dataclass(frozen=True, config=STRICT)
class Config:
    """One experiment.

    Attributes:
        name: of the folder under the output root.
        data, model, train: sections; of the model one for each system.
        seed: of initialisation, order and noise of the training samples.
        start: None of a network that begins with random weights.
        finetune: None of a network that is not rounded in training. Neither is written by hand: starting from a
            checkpoint, and fine-tuning one, fill them in.
    """

    name: Name
    data: DataConfig
    model: AnySystem
    train: TrainConfig
    seed: Seed = 0
    start: Start | None = None
    finetune: FineTuning | None = None

    def __post_init__(self) -> None:
        data, model = self.data, self.model
        violations = []
        if model.classes != class_count(data):
            violations.append(
                f"model.classes = {model.classes}: data set {data.name!r} has {class_count(data)} in task {data.task!r}"
            )
        if model.video_channels != data.VIDEO_CHANNELS:
            violations.append(
                f"model.video_channels = {model.video_channels}: data set {data.name!r} has {data.VIDEO_CHANNELS}"
            )
        refuse(violations)


_SCHEMA: TypeAdapter[Config] = TypeAdapter(Config)


def _violations(error: ValidationError, origin: str) -> list[str]:
    """One line for each thing that is wrong: origin, field, value, what is allowed."""
    lines = []
    for item in error.errors():
        location = list(item["loc"])
        if location[:1] in (["data"], ["model"]):
            del location[1:2]  # the tag of the union, which is not a field
        field = ".".join(word(part) for part in location)
        if item["type"] == "value_error":
            prefix = f"{field}." if field else ""
            lines += [f"{origin}: {prefix}{line}" for line in str(item["ctx"]["error"]).split("\n")]
        elif item["type"] in ("missing", "union_tag_not_found"):
            lines.append(f"{origin}: {field if item['type'] == 'missing' else 'data.name'} is missing")
        elif item["type"] == "union_tag_invalid":
            tag = "data.name" if field == "data" else "model.system"
            lines.append(
                f"{origin}: {tag} = {shown(item['ctx']['tag'])}: Input should be {item['ctx']['expected_tags']}"
            )
        elif item["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
            lines.append(f"{origin}: {field} is not a field; remove it or correct its name")
        else:
            lines.append(f"{origin}: {field} = {shown(item['input'])}: {item['msg']}")
    return lines


def from_dict(fields: Any, origin: str) -> Config:
    """Validate plain types; `origin` (a file) opens each line of the `UserError`."""
    try:
        return _SCHEMA.validate_python(fields)
    except ValidationError as error:
        raise UserError(_violations(error, origin)) from None


def to_dict(config: Config) -> dict[str, Any]:
    """Plain types only: what `from_dict` reads. `start` and `finetune` are there where they say something."""
    fields: dict[str, Any] = _SCHEMA.dump_python(config, mode="json")
    return {name: value for name, value in fields.items() if value is not None}


def to_yaml(config: Config) -> str:
    """The resolved experiment, every default written out."""
    return yaml.safe_dump(to_dict(config), sort_keys=False)


def _change(fields: dict[str, Any], assignment: str) -> None:
    path, equals, value = assignment.partition("=")
    *sections, name = path.split(".")
    named = f"change {shown(assignment)}"
    if not equals or not name:
        raise UserError(f"{named}: write it as section.field=value, for example model.blank=video")
    for section in sections:
        fields = fields.setdefault(section, {})
        if not isinstance(fields, dict):
            raise UserError(f"{named}: {section!r} is a value, not a section")
    try:
        fields[name] = parsed(value)
    except ValueError as error:
        raise UserError(f"{named}: the value is not YAML ({error})") from None


def load_config(source: Config | Mapping[str, Any] | str | Path, changes: Sequence[str] = ()) -> Config:
    """An experiment from what names it.

    Args:
        source: an experiment, its fields, a YAML file, or the name of a packaged experiment; a file of that name goes
            before it.
        changes: `section.field=value`, later ones win, values in YAML.

    Raises:
        UserError: no such file and no such experiment, or it is no YAML mapping, or any field is wrong; all violations
            at once.
    """
    if isinstance(source, Config):
        if not changes:
            return source
        fields, origin = to_dict(source), source.name
    elif isinstance(source, Mapping):
        fields, origin = deepcopy(dict(source)), "experiment"
    else:
        fields, origin = _read_yaml(Path(source)), str(source)
    for change in changes:
        _change(fields, change)
    return from_dict(fields, origin)


def _read_yaml(path: Path) -> dict[str, Any]:
    packaged = packaged_experiments()
    file = path if path.is_file() else packaged.get(str(path), path)
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST + 1)
        fields = parsed(content)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); pass the path of a YAML experiment, or the name of a packaged "
            f"one: {experiment_names(str(path))}"
        ) from None
    except ValueError as error:
        raise UserError(f"{path}: is not YAML ({error})") from None
    if not isinstance(fields, dict):
        raise UserError(f"{path}: holds {type(fields).__name__}, not the sections name, seed, data, model, train")
    return fields
