"""The straightforward DanQ in plain PyTorch that danq is measured against, and the same in danq.

The yardstick is written from the paper alone and shares no code with danq: it reads one-hot
floats and keeps to torch's own layers. ``matched`` gives both with the same weights.
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
class Size:
    """Numbers of a DanQ and of a batch; the defaults are the paper's, batch apart."""

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
        """Time steps that the LSTM reads."""
        return (self.length - self.width + 1) // self.pool

    @property
    def conv_flop(self) -> int:
        """Operations of the convolution, forward, one window; a product and a sum are two."""
        return 2 * (self.length - self.width + 1) * self.filters * 4 * self.width

    @property
    def lstm_flop(self) -> int:
        """Operations of the LSTM's products, both directions."""
        return 2 * 2 * self.steps * 4 * self.hidden * (self.filters + self.hidden)

    @property
    def dense_flop(self) -> int:
        """Operations of the two dense layers."""
        return 2 * self.dense * (self.steps * 2 * self.hidden + self.tracks)

    @property
    def flop(self) -> int:
        """All of them; a training step takes three times as many."""
        return self.conv_flop + self.lstm_flop + self.dense_flop


QUICK = Size(tracks=11, length=200, filters=24, width=11, pool=7, hidden=16, dense=20, batch=6)


class Yardstick(nn.Module):
    """DanQ (Quang & Xie, 2016): one-hot ``(B, 4, L)`` to logits ``(B, K)``."""

    def __init__(self, size: Size, *, dropout: bool = True) -> None:
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


def danq_module(size: Size, *, dropout: bool = True) -> CnnRnn:
    """The same out of danq's blocks: codes ``(B, L)`` to logits ``(B, K)``."""
    first = OneHotConv(size.filters, size.width, pool=size.pool)
    rnn = Recurrent(size.filters, size.hidden)
    pooling = Flatten(rnn.out_features, size.steps)
    head = MultiLabel(Mlp(pooling.out_features, (size.dense,)), size.tracks)
    drops = (0.2, 0.5) if dropout else (0.0, 0.0)
    return CnnRnn(first, rnn, pooling, head, encoder_dropout=drops[0], temporal_dropout=drops[1])


def danq_model(size: Size, module: CnnRnn) -> Model:
    """A module of `danq_module` as a model whose tracks have names."""
    # Here alone, for danq.models needs more than a machine with a card may have.
    from danq.models import Model, ModelSpec
    from danq.models.architecture import Architecture

    numbers = Architecture(
        filters=size.filters,
        width=size.width,
        pool=size.pool,
        hidden=size.hidden,
        dense=(size.dense,),
    )
    spec = ModelSpec(
        preset="danq",
        architecture=numbers,
        tracks=tuple(f"track{number}" for number in range(size.tracks)),
        groups=("",) * size.tracks,
        window=size.length,
        bin=min(200, size.length),
    )
    return Model(module.eval(), spec)


def matched(size: Size, *, dropout: bool = True, seed: int = 0) -> tuple[Yardstick, CnnRnn]:
    """Both models with the same random weights."""
    torch.manual_seed(seed)
    plain, ours = Yardstick(size, dropout=dropout), danq_module(size, dropout=dropout)
    pairs = list(zip(_weights(plain), ours.parameters(), strict=True))
    with torch.no_grad():
        for source, target in pairs:
            target.copy_(source)
    return plain, ours


def _weights(plain: Yardstick) -> list[nn.Parameter]:
    """The yardstick's parameters in the order of danq's: layers as they come, weight, bias."""
    layers = (plain.conv, plain.lstm, plain.dense, plain.output)
    return [parameter for layer in layers for parameter in layer.parameters()]


def random_codes(size: Size, windows: int, seed: int = 0, unknown: float = 0.01) -> np.ndarray:
    """``(windows, L)`` uint8 codes, a share of them unknown."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (windows, size.length), dtype=np.uint8)
    codes[rng.random(codes.shape, dtype=np.float32) < unknown] = 4
    return codes


def one_hot(codes: np.ndarray) -> Tensor:
    """``(B, 4, L)`` float32; an unknown base is four zeros."""
    rows = F.one_hot(torch.from_numpy(codes).long(), 5)[..., :4]
    return rows.permute(0, 2, 1).float().contiguous()


def difference(one: Tensor, other: Tensor) -> float:
    """Largest absolute difference."""
    return float((one.detach().float() - other.detach().float()).abs().max())
