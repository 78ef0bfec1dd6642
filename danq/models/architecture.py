"""The numbers of a sequence model, and the module they describe."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import nn

from danq.core import (
    AttentionPool,
    CnnRnn,
    ConvEncoder,
    ConvStage,
    Flatten,
    Last,
    Max,
    Mean,
    Mlp,
    MultiLabel,
    OneHotConv,
    Recurrent,
    Tcn,
    tcn_blocks,
)
from danq.errors import InputError

_POOLINGS = {"last": Last, "mean": Mean, "max": Max, "attention": AttentionPool}


class Stage(BaseModel):
    """A further convolution after the motif filters: channels, width, max-pool, dropout."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: int = Field(gt=0)
    width: int = Field(gt=0)
    pool: int = Field(default=1, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)


class Architecture(BaseModel):
    """Every number that decides the shape of a sequence model.

    Motif filters -> ReLU -> max-pool -> (further convolutions) -> dropout -> LSTM, GRU or TCN ->
    dropout -> pooling -> dense layers -> one logit per track.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    filters: int = Field(gt=0)
    width: int = Field(gt=0)
    pool: int = Field(gt=0, le=255)
    stages: tuple[Stage, ...] = ()
    encoder_dropout: float = Field(default=0.2, ge=0, lt=1)
    temporal: Literal["lstm", "gru", "tcn", "none"] = "lstm"
    hidden: int = Field(default=320, gt=0)
    """Units per direction of an LSTM or GRU, features of a TCN."""
    bidirectional: bool = True
    """Read both ways; without, a step sees none to its right."""
    layers: int = Field(default=1, gt=0)
    """Stacked layers of an LSTM or GRU."""
    tcn_blocks: int = Field(default=0, ge=0)
    """Blocks of a TCN; 0 for as few as let every step see every other."""
    tcn_width: int = Field(default=3, gt=1)
    """Taps of a TCN's filters; odd where it is bidirectional."""
    temporal_dropout: float = Field(default=0.5, ge=0, lt=1)
    pooling: Literal["flatten", "last", "mean", "max", "attention"] = "flatten"
    dense: tuple[int, ...] = (925,)
    dense_dropout: float = Field(default=0.0, ge=0, lt=1)
    unknown: float = Field(default=0.0, ge=0, le=1)
    """Value of each one-hot channel at N."""
    gates: Literal["sigmoid", "hard"] = "sigmoid"
    """The LSTM's gates; "hard" are those of models that were trained by old Keras."""
    second_direction: Literal["backward", "forward"] = "backward"
    """Which way the LSTM's second set of units reads; "forward" only with hard gates."""

    @model_validator(mode="after")
    def _check_tcn(self) -> Architecture:
        if self.temporal == "tcn" and self.bidirectional and self.tcn_width % 2 == 0:
            raise ValueError(f"tcn_width is {self.tcn_width}, but both ways need an odd one")
        return self

    @model_validator(mode="after")
    def _check_gates(self) -> Architecture:
        if self.gates == "hard" and (self.temporal != "lstm" or self.layers != 1):
            raise ValueError("hard gates are those of a single LSTM layer")
        if self.second_direction == "forward" and (self.gates != "hard" or not self.bidirectional):
            raise ValueError("a second direction that reads forwards needs one, and hard gates")
        return self


def build_module(architecture: Architecture, tracks: int, window: int) -> CnnRnn:
    """Build an untrained module: ``(B, window)`` codes to ``(B, tracks)`` logits.

    Raises
    ------
    InputError
        When the window is too short for the convolutions and pools.
    """
    a = architecture
    first = OneHotConv(a.filters, a.width, pool=a.pool, unknown=a.unknown)
    encoder: OneHotConv | ConvEncoder = first
    if a.stages:
        channels = [a.filters, *(stage.channels for stage in a.stages)]
        stages = [
            ConvStage(1, before, s.channels, s.width, pool=s.pool, dropout=s.dropout)
            for before, s in zip(channels, a.stages, strict=False)
        ]
        encoder = ConvEncoder(stages, first=first)
    steps = encoder.steps(window)
    if steps < 1:
        raise InputError(
            f"a window of {window} bp leaves no step after filters of {a.width} bp and pools",
            remedy="Use a longer window, or a preset with narrower filters and pools",
        )
    temporal = _temporal(a, encoder.out_features, steps)
    features = encoder.out_features if temporal is None else temporal.out_features
    pooling: nn.Module
    pooling = Flatten(features, steps) if a.pooling == "flatten" else _POOLINGS[a.pooling](features)
    body = Mlp(int(pooling.out_features), a.dense, dropout=a.dense_dropout)  # type: ignore[arg-type]
    return CnnRnn(
        encoder,
        temporal,
        pooling,
        MultiLabel(body, tracks),
        encoder_dropout=a.encoder_dropout,
        temporal_dropout=a.temporal_dropout,
    )


def _temporal(a: Architecture, features: int, steps: int) -> Recurrent | Tcn | None:
    if a.temporal == "none":
        return None
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
