"""DanQ in plain PyTorch, as the reference, and the same model made of danq's blocks.

The reference model follows the paper and shares no code with danq. It reads one-hot floats and
uses torch's own layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from danq.core import CnnRnn, Flatten, Mlp, MultiLabel, OneHotConv, Recurrent

if TYPE_CHECKING:
    from danq.models import Model


@dataclass(frozen=True)
class ModelSize:
    """Hyperparameters and batch size; the defaults are the paper's, except for the batch."""

    tracks: int = 919
    length: int = 1000
    filters: int = 320
    width: int = 26
    pool: int = 13
    hidden: int = 320
    dense: int = 925
    batch: int = 256

    @property
    def steps(self) -> int:
        """Time steps of the LSTM."""
        return (self.length - self.width + 1) // self.pool

    @property
    def conv_flop(self) -> int:
        """Operations of the convolution for one window, forward."""
        return 2 * (self.length - self.width + 1) * self.filters * 4 * self.width

    @property
    def lstm_flop(self) -> int:
        """Operations of the LSTM's matrix products, both directions."""
        return 2 * 2 * self.steps * 4 * self.hidden * (self.filters + self.hidden)

    @property
    def dense_flop(self) -> int:
        """Operations of the two dense layers."""
        return 2 * self.dense * (self.steps * 2 * self.hidden + self.tracks)

    @property
    def flop(self) -> int:
        """All operations; a training step takes three times as many."""
        return self.conv_flop + self.lstm_flop + self.dense_flop

    @property
    def parameters(self) -> int:
        """Number of parameters; torch's LSTM has two biases."""
        conv = self.filters * (4 * self.width + 1)
        lstm = 8 * self.hidden * (self.filters + self.hidden + 2)
        dense = self.dense * (self.steps * 2 * self.hidden + 1)
        return conv + lstm + dense + self.tracks * (self.dense + 1)


QUICK = ModelSize(tracks=11, length=200, filters=24, width=11, pool=7, hidden=16, dense=20, batch=6)


class ReferenceModel(nn.Module):
    """DanQ (Quang & Xie, 2016): one-hot ``(B, 4, L)`` to logits ``(B, K)``."""

    def __init__(self, size: ModelSize, *, dropout: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, size.filters, size.width)
        self.pool = nn.MaxPool1d(size.pool)
        self.drop_conv = nn.Dropout(0.2 if dropout else 0.0)
        self.lstm = nn.LSTM(size.filters, size.hidden, batch_first=True, bidirectional=True)
        self.drop_lstm = nn.Dropout(0.5 if dropout else 0.0)
        self.dense = nn.Linear(size.steps * 2 * size.hidden, size.dense)
        self.output = nn.Linear(size.dense, size.tracks)

    def forward(self, x: Tensor) -> Tensor:
        x = self.drop_conv(self.pool(torch.relu(self.conv(x))))
        x, _ = self.lstm(x.transpose(1, 2))
        x = self.drop_lstm(x).flatten(1)
        return self.output(torch.relu(self.dense(x)))


def danq_module(size: ModelSize, *, dropout: bool = True) -> CnnRnn:
    """The same model from danq's blocks: codes ``(B, L)`` to logits ``(B, K)``."""
    first = OneHotConv(size.filters, size.width, pool=size.pool)
    rnn = Recurrent(size.filters, size.hidden)
    pooling = Flatten(rnn.out_features, size.steps)
    head = MultiLabel(Mlp(pooling.out_features, (size.dense,)), size.tracks)
    rates = (0.2, 0.5) if dropout else (0.0, 0.0)
    return CnnRnn(first, rnn, pooling, head, encoder_dropout=rates[0], temporal_dropout=rates[1])


def danq_model(size: ModelSize, module: CnnRnn) -> Model:
    """A module of `danq_module` as a model with named tracks."""
    # Imported here because a machine with a GPU may lack what danq.models needs.
    from danq.models import Model, ModelSpec
    from danq.models.architecture import Architecture

    architecture = Architecture(
        filters=size.filters,
        width=size.width,
        pool=size.pool,
        hidden=size.hidden,
        dense=(size.dense,),
    )
    spec = ModelSpec(
        preset="danq",
        architecture=architecture,
        tracks=tuple(f"track{number}" for number in range(size.tracks)),
        groups=("",) * size.tracks,
        window=size.length,
        bin=min(200, size.length),
    )
    return Model(module.eval(), spec)


def matched_models(
    size: ModelSize, *, dropout: bool = True, seed: int = 0
) -> tuple[ReferenceModel, CnnRnn]:
    """Both models with the same random weights."""
    torch.manual_seed(seed)
    reference, danq = ReferenceModel(size, dropout=dropout), danq_module(size, dropout=dropout)
    copy_weights(reference, danq)
    return reference, danq


@torch.no_grad()
def copy_weights(source: nn.Module, target: nn.Module) -> None:
    """Copy parameters between modules whose parameters have the same order and shapes."""
    for one, other in zip(source.parameters(), target.parameters(), strict=True):
        other.copy_(one)


def random_codes(size: ModelSize, windows: int, seed: int = 0, unknown: float = 0.01) -> np.ndarray:
    """``(windows, L)`` uint8 codes, of which the fraction ``unknown`` is N."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (windows, size.length), dtype=np.uint8)
    codes[rng.random(codes.shape, dtype=np.float32) < unknown] = 4
    return codes


def one_hot(codes: np.ndarray) -> Tensor:
    """``(B, 4, L)`` float32; N is four zeros."""
    rows = F.one_hot(torch.from_numpy(codes).long(), 5)[..., :4]
    return rows.permute(0, 2, 1).float().contiguous()


def difference(one: Tensor, other: Tensor) -> float:
    """Largest absolute difference."""
    return float((one.detach().float() - other.detach().float()).abs().max())


def gradient_difference(reference: nn.Module, module: nn.Module) -> float:
    """Largest difference of a gradient, divided by the reference's largest gradient.

    The division is by the largest gradient of the same parameter.
    """
    worst = 0.0
    for one, other in zip(reference.parameters(), module.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        scale = float(one.grad.abs().max()) or 1.0
        worst = max(worst, difference(one.grad, other.grad) / scale)
    return worst
