"""Classes and values of series of unequal length."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import nn

from danq.core import Mlp, features_of
from danq.vision.dataset import Dataset, Metadata, layout
from danq.vision.own_tasks.image_tasks import target_head
from danq.vision.own_tasks.own_task import ClassTask, ValueTask
from danq.vision.own_tasks.series_networks import (
    SeriesEncoder,
    SeriesNetwork,
    series_pooling,
    temporal_layer,
)
from danq.vision.own_tasks.value_scale import Standardised, scale_of_series
from danq.vision.task import ModelDefinition, task_recipe


def series_network(
    metadata: Metadata,
    *,
    target: str,
    channels: Sequence[int],
    filter_width: int,
    pooling: str,
    dropout: float,
    **layer: Any,
) -> SeriesNetwork:
    """Make a network of series.

    Parameters
    ----------
    metadata
        ``shape`` (steps, channels) of the longest series, ``series_mean``, ``series_scale``, and
        ``classes`` or ``names``.
    target
        "classes" or "values".
    channels, filter_width
        Channels of each convolution and its width.
    pooling
        "mean" or "attention".
    dropout
        Dropout before the head.
    layer
        Temporal layer, as `temporal_layer` takes it.
    """
    steps, size = metadata["shape"]
    encoder = SeriesEncoder(size, channels, filter_width, steps)
    over_time: nn.Module = temporal_layer(features=encoder.out_features, **layer)
    features = features_of(over_time)
    inner = Mlp(features, (), input_dropout=dropout)
    return SeriesNetwork(
        Standardised(metadata["series_mean"], metadata["series_scale"]),
        encoder,
        over_time,
        series_pooling(pooling, features),
        target_head(metadata, target, inner),
    )


def _models(target: str) -> tuple[ModelDefinition, ...]:
    head = "Classes" if target == "classes" else "MultiLabel of values"
    first = {"channels": [48, 48], "filter_width": 7, "dropout": 0.2}
    return (
        ModelDefinition(
            "cnn-lstm",
            f"Conv(1) -> BiLSTM -> Mean -> {head}",
            "Ordóñez & Roggen, Sensors 2016 (DeepConvLSTM), in both directions",
            partial(series_network, target=target),
            first | {"kind": "lstm", "hidden": 48, "pooling": "mean"},
        ),
        ModelDefinition(
            "tcn",
            f"Conv(1) -> Tcn -> Mean -> {head}",
            "Bai et al. 2018",
            partial(series_network, target=target),
            first | {"kind": "tcn", "hidden": 64, "width": 5, "blocks": 4, "pooling": "mean"},
        ),
    )


class SeriesClasses(ClassTask):
    """Your own series of numbers with one class each."""

    name = "series-classes"
    fields = layout(series="float32 T C", real="bool T", label="int64")
    inputs = ("series", "real")
    entries = ("shape", "classes")
    models = _models("classes")
    recipe = task_recipe(epochs=40, lr=2e-3, weight_decay=1e-2, batch_size=16)

    def facts(self, data: Dataset) -> dict[str, Any]:
        return scale_of_series(data)


class SeriesValues(ValueTask):
    """Your own series of numbers with one or several values each."""

    name = "series-values"
    fields = layout(series="float32 T C", real="bool T", values="float32 K")
    inputs = ("series", "real")
    entries = ("shape", "names", "scale")
    models = _models("values")
    recipe = SeriesClasses.recipe

    def facts(self, data: Dataset) -> dict[str, Any]:
        return scale_of_series(data)
