"""Hyperparameters of a sequence model, and the module that they define."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import nn

from danq.core import (
    AttentionPool,
    BothStrandsConv,
    CnnRnn,
    ConvEncoder,
    ConvStage,
    Flatten,
    Last,
    Max,
    Mean,
    MeanMax,
    Mlp,
    MultiLabel,
    NormalisedEncoder,
    OneHotConv,
    PaddedCnnRnn,
    Recurrent,
    Tcn,
    features_of,
    tcn_blocks,
)
from danq.core.heads import JointHeads, Pooled, Profiles
from danq.core.members import MemberLabels, MemberLayers
from danq.core.parallel_filters import ParallelOneHotConv, StepConv, TemporalStack, divided
from danq.errors import InputError
from danq.models.targets import TargetGroup, check_groups, count_outputs

MAX_WINDOW = 10_000_000
"""Largest window in bases."""

MAX_TRACKS = 1_000_000
MAX_PARAMETERS = 2_000_000_000
"""Largest number of parameters, which take 8 GB; the published DanQ has 47 million."""

MAX_FEATURES = 65_536
"""Largest number of filters, channels or units of a layer."""

MAX_DENSE = 1_000_000
"""Largest number of units of a dense layer."""

MAX_WIDTH = 10_000
"""Largest width of a filter."""

MAX_LAYERS = 100
"""Largest number of layers of a kind."""

_POOLINGS = {
    "last": Last,
    "mean": Mean,
    "max": Max,
    "mean-max": MeanMax,
    "attention": AttentionPool,
}


class Stage(BaseModel):
    """A convolution after the motif filters: channels, width, max-pool, dropout."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: int = Field(gt=0, le=MAX_FEATURES)
    width: int = Field(gt=0, le=MAX_WIDTH)
    pool: int = Field(default=1, gt=0, le=MAX_WIDTH)
    dropout: float = Field(default=0.0, ge=0, lt=1)


Widths = Annotated[
    tuple[Annotated[int, Field(gt=0, le=MAX_WIDTH)], ...], Field(max_length=MAX_LAYERS)
]
"""Widths of filters side by side."""


class StepStage(BaseModel):
    """A convolution after the temporal layer: channels, widths side by side, dropout."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: int = Field(gt=0, le=MAX_FEATURES)
    widths: Widths = Field(min_length=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _check_channels(self) -> StepStage:
        if len(self.widths) > self.channels:
            raise ValueError(f"{self.channels} channels for {len(self.widths)} widths")
        return self


class Architecture(BaseModel):
    """Hyperparameters that define a sequence model.

    Motif filters -> ReLU -> max-pool -> (further convolutions) -> (batch normalisation) -> dropout
    -> LSTM, GRU or TCN -> (convolutions over steps) -> dropout -> pooling -> dropout -> dense
    layers -> outputs of the tracks.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    filters: int = Field(gt=0, le=MAX_FEATURES)
    width: int = Field(gt=0, le=MAX_WIDTH)
    further_widths: Widths = ()
    """Widths of further filters beside those of ``width``. The filters are divided equally among
    all widths, and the input is padded with N, so that all are centred on the same base."""
    both_strands: bool = False
    """Share the weights of filters between strands: the second half of the filters of a width are
    the reverse complements of the first half."""
    pool: int = Field(gt=0, le=255)
    stages: tuple[Stage, ...] = Field(default=(), max_length=MAX_LAYERS)
    encoder_norm: bool = False
    """Batch normalisation of the encoder's features."""
    encoder_dropout: float = Field(default=0.2, ge=0, lt=1)
    temporal: Literal["lstm", "gru", "tcn", "none"] = "lstm"
    hidden: int = Field(default=320, gt=0, le=MAX_FEATURES)
    """Units per direction of an LSTM or GRU, features of a TCN."""
    bidirectional: bool = True
    """Read in both directions. Otherwise a step does not depend on later ones."""
    layers: int = Field(default=1, gt=0, le=MAX_LAYERS)
    """Number of stacked LSTM or GRU layers."""
    tcn_blocks: int = Field(default=0, ge=0, le=MAX_LAYERS)
    """Blocks of a TCN; 0 for the smallest number whose receptive field covers the window."""
    tcn_width: int = Field(default=3, gt=1, le=MAX_WIDTH)
    """Number of taps of a TCN's filters; odd if bidirectional."""
    step_stages: tuple[StepStage, ...] = Field(default=(), max_length=MAX_LAYERS)
    """Convolutions over the steps of the temporal layer."""
    temporal_dropout: float = Field(default=0.5, ge=0, lt=1)
    pooling: Literal["flatten", "last", "mean", "max", "mean-max", "attention"] = "flatten"
    pooled_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout after the pooling."""
    dense: tuple[Annotated[int, Field(gt=0, le=MAX_DENSE)], ...] = Field(
        default=(925,), max_length=MAX_LAYERS
    )
    dense_dropout: float = Field(default=0.0, ge=0, lt=1)
    members: int = Field(default=1, gt=0, le=MAX_LAYERS)
    """Number of small models side by side, each with its own filters and units, which learn alone
    and whose outputs are averaged. ``filters`` and ``hidden`` are those of each."""
    unknown: float = Field(default=0.0, ge=0, le=1)
    """Value of each of the four one-hot channels at N."""
    gates: Literal["sigmoid", "hard"] = "sigmoid"
    """Gates of the LSTM. "hard" is the hard sigmoid of models trained with Keras 0.2."""
    masks_padding: bool = False
    """Mask unknown bases at both ends of a sequence, so that outputs do not depend on the padding
    of sequences of unequal lengths (`danq.core.PaddedCnnRnn`)."""
    second_direction: Literal["backward", "forward"] = "backward"
    """Direction of the LSTM's second set of units; "forward" needs hard gates."""

    @model_validator(mode="after")
    def _check_widths(self) -> Architecture:
        if len(self.widths) > self.filters:
            raise ValueError(f"{self.filters} filters for {len(self.widths)} widths")
        if self.both_strands and any(n % 2 for n in divided(self.filters, len(self.widths))):
            raise ValueError(
                f"{self.filters} filters for {len(self.widths)} widths and both strands; each "
                "width needs an even number"
            )
        return self

    @model_validator(mode="after")
    def _check_members(self) -> Architecture:
        if self.members > 1:
            mixed = {
                "further_widths": self.further_widths,
                "stages": self.stages,
                "step_stages": self.step_stages,
                "dense": self.dense,
                "pooling 'attention'": self.pooling == "attention",
            }
            found = [name for name, value in mixed.items() if value]
            if found:
                raise ValueError(
                    f"{self.members} members exclude {', '.join(found)}; members = 1 allows them"
                )
        return self

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths of all motif filters."""
        return (self.width, *self.further_widths)

    @model_validator(mode="after")
    def _check_tcn(self) -> Architecture:
        if self.temporal == "tcn" and self.bidirectional and self.tcn_width % 2 == 0:
            raise ValueError(f"tcn_width is {self.tcn_width}; a bidirectional TCN needs an odd one")
        return self

    @model_validator(mode="after")
    def _check_gates(self) -> Architecture:
        if self.gates == "hard" and (self.temporal != "lstm" or self.layers != 1):
            raise ValueError("hard gates need temporal 'lstm' and one layer")
        if self.second_direction == "forward" and (self.gates != "hard" or not self.bidirectional):
            raise ValueError("second_direction 'forward' needs hard gates and a bidirectional LSTM")
        return self


def build_module(
    architecture: Architecture, tracks: int, window: int, targets: Sequence[TargetGroup] = ()
) -> CnnRnn:
    """Build an untrained module from ``(B, window)`` codes to the outputs of the tracks.

    The outputs are one logit per track, or those of the target groups, see
    `danq.models.targets`.

    Raises
    ------
    InputError
        When the window is too short for the convolutions and pools, or longer than `MAX_WINDOW`,
        there would be more than `MAX_TRACKS` tracks or `MAX_PARAMETERS` parameters, or the target
        groups are not those of the tracks.
    """
    for name, value, limit in (("window", window, MAX_WINDOW), ("tracks", tracks, MAX_TRACKS)):
        if not 1 <= value <= limit:
            raise InputError(
                f"{name} is {value:,}; at least 1 and at most {limit:,} are allowed",
                remedy="Use a smaller number" if value > limit else "Use 1 or more",
            )
    try:
        check_groups(targets, tracks)
    except ValueError as error:
        raise InputError(
            str(error), remedy="Give groups that contain each track once, with profiles last"
        ) from error
    groups = tuple(targets) or (TargetGroup(loss="binary", tracks=tracks),)
    with torch.device("meta"):  # without memory
        module = _build(architecture, window, groups)
    count = sum(parameter.numel() for parameter in module.parameters())
    if count > MAX_PARAMETERS:
        raise InputError(
            f"the model would have {count:,} parameters; at most {MAX_PARAMETERS:,} are allowed",
            remedy="Use fewer filters or units, a larger pool or a shorter window",
        )
    without_memory = torch.get_default_device().type == "meta"
    return module if without_memory else _build(architecture, window, groups)


def _build(a: Architecture, window: int, groups: Sequence[TargetGroup]) -> CnnRnn:
    encoder = _encoder(a)
    steps = encoder.steps(window)
    if steps < 1:
        raise InputError(
            f"a window of {window} bp is too short for filters of {a.width} bp and pools",
            remedy="Use a longer window, or a preset with narrower filters and pools",
        )
    temporal = _temporal(a, encoder.out_features, steps)
    features = features_of(encoder if temporal is None else temporal)
    pooling, head = _head(a, features, steps, window, groups)
    if a.masks_padding and any(group.loss == "profile" for group in groups):
        raise InputError(
            "padding cannot be masked in a model of profiles, whose steps have fixed positions",
            remedy="Set masks_padding to false, or use amounts without profiles",
        )
    kind = PaddedCnnRnn if a.masks_padding else CnnRnn
    return kind(
        encoder,
        temporal,
        pooling,
        head,
        encoder_dropout=a.encoder_dropout,
        temporal_dropout=a.temporal_dropout,
    )


Encoder = OneHotConv | ParallelOneHotConv | ConvEncoder | NormalisedEncoder


def _encoder(a: Architecture) -> Encoder:
    encoder = _convolutions(a)
    return NormalisedEncoder(encoder) if a.encoder_norm else encoder


def _convolutions(a: Architecture) -> OneHotConv | ParallelOneHotConv | ConvEncoder:
    first: OneHotConv | ParallelOneHotConv
    kind = BothStrandsConv if a.both_strands else OneHotConv
    if a.further_widths:
        first = ParallelOneHotConv(a.filters, a.widths, pool=a.pool, unknown=a.unknown, kind=kind)
    elif a.both_strands:
        first = BothStrandsConv(
            a.members * a.filters, a.width, pool=a.pool, unknown=a.unknown, groups=a.members
        )
    else:
        first = OneHotConv(a.members * a.filters, a.width, pool=a.pool, unknown=a.unknown)
    if not a.stages:
        return first
    channels = [a.filters, *(stage.channels for stage in a.stages)]
    stages = [
        ConvStage(1, before, s.channels, s.width, pool=s.pool, dropout=s.dropout)
        for before, s in zip(channels, a.stages, strict=False)
    ]
    return ConvEncoder(stages, first=first)


def _head(
    a: Architecture, features: int, steps: int, window: int, groups: Sequence[TargetGroup]
) -> tuple[nn.Module | None, nn.Module]:
    """Pooling and head; with profiles, which read every step, the head contains the pooling."""
    single = [group for group in groups if group.loss != "profile"]
    if a.members > 1 and len(single) < len(groups):
        raise InputError(
            f"{a.members} members cannot learn profiles",
            remedy="Use 1 member, or amounts without steps",
        )
    heads: list[nn.Module] = []
    pooling: nn.Module | None = None
    if single:
        pooling = (
            Flatten(features, steps) if a.pooling == "flatten" else _POOLINGS[a.pooling](features)
        )
        heads.append(_labels(a, features, features_of(pooling), count_outputs(single)))
    if len(single) == len(groups):
        return pooling, heads[0]
    if pooling is not None:
        heads = [Pooled(pooling, heads[0])]
    centre, spacing = _step_positions(a)
    for group in groups[len(single) :]:
        span = group.steps * group.step_bases
        if span > window:
            raise InputError(
                f"a profile of {group.steps:,} steps of {group.step_bases:,} bases is longer than "
                f"the window of {window:,} bp",
                remedy="Use a longer window, or fewer or shorter steps",
            )
        start = window // 2 - span // 2
        first = (start + (group.step_bases - 1) / 2 - centre) / spacing
        heads.append(
            Profiles(
                features, group.tracks, group.steps, first=first, spacing=group.step_bases / spacing
            )
        )
    return None, JointHeads(heads)


def _labels(a: Architecture, features: int, pooled: int, outputs: int) -> MultiLabel:
    """Dense layers from the pooled features to the outputs."""
    if a.members > 1:
        own = features // a.members
        return MemberLabels(own, pooled, outputs, a.members, dropout=a.pooled_dropout)
    body = Mlp(pooled, a.dense, dropout=a.dense_dropout, input_dropout=a.pooled_dropout)
    return MultiLabel(body, outputs)


def _step_positions(a: Architecture) -> tuple[float, int]:
    """Base at the centre of the encoder's first step, and bases from one step to the next."""
    centre, spacing = (0.0 if a.further_widths else (a.width - 1) / 2), 1
    for width, pool in ((1, a.pool), *((stage.width, stage.pool) for stage in a.stages)):
        centre += spacing * ((width - 1) / 2 + (pool - 1) / 2)
        spacing *= pool
    return centre, spacing


def _temporal(a: Architecture, features: int, steps: int) -> nn.Module | None:
    layers = [layer for layer in (_recurrent(a, features, steps),) if layer is not None]
    if not a.step_stages:
        return layers[0] if layers else None
    before = features_of(layers[0]) if layers else features
    stack: list[nn.Module] = [*layers]
    for stage in a.step_stages:
        stack.append(StepConv(before, stage.channels, stage.widths, dropout=stage.dropout))
        before = stage.channels
    return TemporalStack(stack)


def _recurrent(a: Architecture, features: int, steps: int) -> Recurrent | Tcn | MemberLayers | None:
    if a.temporal == "none":
        return None
    if a.members > 1:
        one = a.model_copy(update={"members": 1})
        own = features // a.members
        layers = [_recurrent(one, own, steps) for _ in range(a.members)]
        return MemberLayers([layer for layer in layers if layer is not None])
    if a.temporal == "tcn":
        blocks = a.tcn_blocks or tcn_blocks(steps, a.tcn_width, causal=not a.bidirectional)
        return Tcn(features, [a.hidden] * blocks, a.tcn_width, causal=not a.bidirectional)
    return Recurrent(
        features,
        a.hidden,
        kind=a.temporal,
        bidirectional=a.bidirectional,
        layers=a.layers,
        dropout=a.temporal_dropout if a.layers > 1 else 0.0,
        gates=a.gates,
        second_direction=a.second_direction,
    )
