"""Hyperparameters of a sequence model, and the module that they define."""

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
    """A convolution after the motif filters: channels, width, max-pool, dropout."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: int = Field(gt=0)
    width: int = Field(gt=0)
    pool: int = Field(default=1, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)


class Architecture(BaseModel):
    """Hyperparameters that define a sequence model.

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
    """Read in both directions. Otherwise a step does not depend on later ones."""
    layers: int = Field(default=1, gt=0)
    """Number of stacked LSTM or GRU layers."""
    tcn_blocks: int = Field(default=0, ge=0)
    """Blocks of a TCN; 0 for the smallest number whose receptive field covers the window."""
    tcn_width: int = Field(default=3, gt=1)
    """Number of taps of a TCN's filters; odd if bidirectional."""
    temporal_dropout: float = Field(default=0.5, ge=0, lt=1)
    pooling: Literal["flatten", "last", "mean", "max", "attention"] = "flatten"
    dense: tuple[int, ...] = (925,)
    dense_dropout: float = Field(default=0.0, ge=0, lt=1)
    unknown: float = Field(default=0.0, ge=0, le=1)
    """Value of each of the four one-hot channels at N."""
    gates: Literal["sigmoid", "hard"] = "sigmoid"
    """Gates of the LSTM. "hard" is the hard sigmoid of models trained with Keras 0.2."""
    second_direction: Literal["backward", "forward"] = "backward"
    """Direction of the LSTM's second set of units; "forward" needs hard gates."""

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


def build_module(architecture: Architecture, tracks: int, window: int) -> CnnRnn:
    """Build an untrained module from ``(B, window)`` codes to ``(B, tracks)`` logits.

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
            f"a window of {window} bp is too short for filters of {a.width} bp and pools",
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
