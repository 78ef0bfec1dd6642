"""Mean and standard deviation of values and series, which a module stores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from danq.core import features_of
from danq.vision.dataset import Dataset, Examples
from danq.vision.own_data.series_scale import FLOAT32, divisors


class ScaledValues(nn.Module):
    """A head whose outputs are in the units of the values: ``mean + scale * output``.

    Parameters
    ----------
    head
        ``(B, F) -> (B, K)``.
    mean, scale
        Mean and standard deviation of each value in the training split.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, head: nn.Module, mean: Sequence[float], scale: Sequence[float]) -> None:
        super().__init__()
        self.head = head
        self.out_features = features_of(head)
        _store(self, mean, scale)

    def forward(self, x: Float[Tensor, "B F"]) -> Float[Tensor, "B K"]:
        return self.mean + self.scale * self.head(x)


class Standardised(nn.Module):
    """Series whose channels get the mean 0 and the standard deviation 1.

    Parameters
    ----------
    mean, scale
        Of each channel over the real steps of the training split.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: Sequence[float], scale: Sequence[float]) -> None:
        super().__init__()
        _store(self, mean, scale)

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        return (x - self.mean) / self.scale


def scale_of_series(data: Dataset) -> dict[str, list[float]]:
    """As `series_facts` of the training split; 0 and 1 of files, which are standardised already."""
    if "channels" not in data.metadata:
        return series_facts(data.train, "series", "real")
    channels = data.metadata["shape"][1]
    return {"series_mean": [0.0] * channels, "series_scale": [1.0] * channels}


def series_facts(examples: Examples, series: str, real: str) -> dict[str, list[float]]:
    """Mean and standard deviation of each channel of series over their real steps."""
    count, total, squares = 0, np.zeros(1), np.zeros(1)
    for part in examples.batches(256, torch.device("cpu")):
        steps = part[series][part[real]].double().numpy()
        count += len(steps)
        total = total + steps.sum(axis=0)
        squares = squares + np.square(steps).sum(axis=0)
    mean = total / max(1, count)
    variance = np.maximum(0, squares / max(1, count) - mean**2)
    return _facts(mean, np.sqrt(variance), series)


def _facts(mean: np.ndarray, scale: np.ndarray, name: str) -> dict[str, list[float]]:
    found = divisors(mean, scale, FLOAT32)
    return {f"{name}_mean": mean.tolist(), f"{name}_scale": found.tolist()}


def _store(module: nn.Module, mean: Sequence[float], scale: Sequence[float]) -> None:
    """Store both as buffers; they follow from the metadata, and are no weights."""
    for name, values in (("mean", mean), ("scale", scale)):
        module.register_buffer(name, torch.tensor(values, dtype=torch.float32), persistent=False)
