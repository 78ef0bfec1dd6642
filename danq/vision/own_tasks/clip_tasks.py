"""Classes of clips, of their frames, and of clips with sound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from danq.core import Classes, Concat, LateFusion, Mlp, Streams
from danq.training.problem import Metrics
from danq.vision.dataset import Dataset, Examples, Metadata, layout
from danq.vision.own_data.frame_classes import RUNS, frames_with_classes
from danq.vision.own_data.frame_sampling import sampled_frames
from danq.vision.own_tasks.backbones import BACKBONE, BACKBONE_RECIPE
from danq.vision.own_tasks.class_metrics import class_metrics
from danq.vision.own_tasks.clip_networks import frame_network, step_head, volume_network
from danq.vision.own_tasks.own_task import ClassTask, StepClassTask
from danq.vision.own_tasks.series_networks import (
    SeriesEncoder,
    SeriesNetwork,
    series_pooling,
    temporal_layer,
)
from danq.vision.own_tasks.value_scale import Standardised, series_facts
from danq.vision.prediction_rows import Row, Truth
from danq.vision.task import ModelDefinition, task_recipe

FRAMES = "frames"
"""Field with the number of frames of the file of a clip."""

_FRAME: dict[str, Any] = {
    "network": "cnn",
    "channels": [16, 32, 64, 128],
    "blocks": 1,
    "features": 128,
}
_LSTM: dict[str, Any] = {"layer": "lstm", "hidden": 96, "dropout": 0.2}
_TCN: dict[str, Any] = {"layer": "tcn", "hidden": 128, "width": 3, "layers": 3, "dropout": 0.2}


def clip_classes(metadata: Metadata, **hyperparameters: Any) -> nn.Module:
    """Make a `frame_network` of classes."""
    return frame_network(metadata, _classes(metadata), **hyperparameters)


def volume_classes(metadata: Metadata, *, channels: Sequence[int], dropout: float) -> nn.Module:
    """Make a `volume_network` of classes."""
    return volume_network(metadata, _classes(metadata), channels=channels, dropout=dropout)


def frame_classes(metadata: Metadata, **hyperparameters: Any) -> nn.Module:
    """Make a `frame_network` of classes of every frame."""
    head = step_head(len(metadata["classes"]))
    return frame_network(metadata, head, pooling="", **hyperparameters)


def _classes(metadata: Metadata) -> Any:
    return lambda size: Classes(Mlp(size, ()), len(metadata["classes"]))


class VideoClasses(ClassTask):
    """Your own videos with one class each."""

    name = "video-classes"
    fields = layout(clip="uint8 T C H W", real="bool T", label="int64")
    inputs = ("clip", "real")
    entries = ("shape", "classes")
    models = (
        ModelDefinition(
            "cnn-lstm",
            "Frame -> BiLSTM -> AttentionPool -> Classes",
            "Yue-Hei Ng et al., CVPR 2015; Donahue et al., CVPR 2015",
            clip_classes,
            _FRAME | _LSTM | {"pooling": "attention"},
        ),
        ModelDefinition(
            "cnn-tcn",
            "Frame -> Tcn -> Mean -> Classes",
            "Bai et al. 2018, with a network of frames",
            clip_classes,
            _FRAME | _TCN | {"pooling": "mean"},
        ),
        ModelDefinition(
            "c3d",
            "Conv(3) -> Mean -> Classes",
            "Tran et al., ICCV 2015, smaller",
            volume_classes,
            {"channels": [16, 32, 64, 128], "dropout": 0.2},
        ),
        ModelDefinition(
            "backbone",
            "Frame(torchvision's classifier) -> BiLSTM -> AttentionPool -> Classes",
            "Donahue et al., CVPR 2015, with a pretrained network of frames",
            clip_classes,
            BACKBONE | _LSTM | {"pooling": "attention"},
            BACKBONE_RECIPE,
        ),
    )
    recipe = task_recipe(epochs=20, lr=2e-3, weight_decay=1e-2, batch_size=16)


class VideoFrames(StepClassTask):
    """Your own videos with a class at every frame."""

    name = "video-frames"
    fields = layout(clip="uint8 T C H W", real="bool T", labels="int64 T")
    inputs = ("clip", "real")
    entries = ("shape", "classes")
    label = "labels"
    step = "frame"
    models = (
        ModelDefinition(
            "cnn-lstm",
            "Frame -> BiLSTM -> PerStep",
            "Donahue et al., CVPR 2015, in both directions",
            frame_classes,
            _FRAME | _LSTM,
        ),
        ModelDefinition(
            "cnn-tcn",
            "Frame -> Tcn -> PerStep",
            "Lea et al., CVPR 2017 (temporal convolutional networks)",
            frame_classes,
            _FRAME | _TCN,
        ),
        ModelDefinition(
            "backbone",
            "Frame(torchvision's classifier) -> BiLSTM -> PerStep",
            "Donahue et al., CVPR 2015, with a pretrained network of frames",
            frame_classes,
            BACKBONE | _LSTM,
            BACKBONE_RECIPE,
        ),
    )
    recipe = VideoClasses.recipe

    def real(self, examples: Examples) -> Bool[np.ndarray, "N T"]:
        return examples["real"]

    def score(self, predictions: np.ndarray, examples: Examples) -> Metrics:
        """Metrics of all frames with a class, also of those that the model does not receive."""
        return class_metrics(*self._pairs(predictions, examples))

    def truth(self, predictions: Any, examples: Examples, metadata: Metadata) -> Truth:
        return Truth(metadata["classes"], *self._pairs(predictions, examples))

    def _pairs(
        self, predictions: np.ndarray, examples: Examples
    ) -> tuple[Int[np.ndarray, " M"], Int[np.ndarray, " M"]]:
        """True and predicted classes."""
        if RUNS not in examples.arrays:
            true, known = self._known(examples)
            return true, predictions[known]
        pairs = frames_with_classes(examples[RUNS], predictions.shape[1])
        found = [(true, row[step]) for (true, step), row in zip(pairs, predictions, strict=True)]
        true, predicted = zip(*found, strict=True)
        return np.concatenate(true), np.concatenate(predicted)

    def rows(self, outputs: np.ndarray, examples: Examples, metadata: Metadata) -> list[list[Row]]:
        """Rows with the 0-based numbers of the frames in their files, if these are known."""
        tables = super().rows(outputs, examples, metadata)
        if FRAMES in examples.arrays:
            for rows, frames in zip(tables, examples[FRAMES], strict=True):
                numbers = sampled_frames(int(frames), outputs.shape[1]).tolist()
                for row, number in zip(rows, numbers, strict=True):
                    row[self.step] = number
        return tables


class ClipAndSound(nn.Module):
    """`Streams` of a clip and its sound; a stream without a real step is absent.

    Parameters
    ----------
    streams
        Streams "clip" and "sound".
    """

    def __init__(self, streams: Streams) -> None:
        super().__init__()
        self.streams = streams

    def forward(
        self,
        clip: Float[Tensor, "B T C H W"],
        real: Bool[Tensor, "B T"],
        sound: Float[Tensor, "B U F"],
        sound_real: Bool[Tensor, "B U"],
    ) -> Float[Tensor, "B K"]:
        present = torch.stack([real.any(dim=1), sound_real.any(dim=1)], dim=1)
        # A row without a real step is computed as if its first step were real, and left out.
        masks = {"clip": _not_empty(real), "sound": _not_empty(sound_real)}
        return self.streams({"clip": clip, "sound": sound}, masks, present)


def _not_empty(mask: Bool[Tensor, "B T"]) -> Bool[Tensor, "B T"]:
    first = torch.arange(mask.shape[1], device=mask.device) == 0
    return mask | (first & ~mask.any(dim=1, keepdim=True))


def clip_and_sound(
    metadata: Metadata,
    *,
    fusion: str,
    sound_channels: Sequence[int],
    sound_width: int,
    sound_hidden: int,
    hidden: int,
    dropout: float,
    **hyperparameters: Any,
) -> ClipAndSound:
    """Make streams of a clip and of its sound.

    Parameters
    ----------
    metadata
        ``shape`` of the clip, ``sound_shape`` (steps and bands), ``classes``.
    fusion
        "late" for the weighted mean of both probabilities, or "concat".
    sound_channels, sound_width, sound_hidden
        Channels and filter width of the convolutions over the sound, and units of its LSTM.
    hidden, dropout, hyperparameters
        As `frame_network` takes them, for the clip.
    """
    if fusion not in ("late", "concat"):
        raise ValueError(f"fusion is '{fusion}', not late or concat")
    late, classes = fusion == "late", len(metadata["classes"])
    head = _classes(metadata)
    clip = frame_network(
        metadata,
        head if late else None,
        layer="lstm",
        hidden=hidden,
        pooling="attention",
        dropout=dropout,
        **hyperparameters,
    )
    steps, bands = metadata["sound_shape"]
    encoder = SeriesEncoder(bands, sound_channels, sound_width, steps)
    layer: Any = temporal_layer("lstm", encoder.out_features, sound_hidden, 3, 1)
    sound = SeriesNetwork(
        Standardised(metadata["sound_mean"], metadata["sound_scale"]),
        encoder,
        layer,
        series_pooling("attention", layer.out_features),
        head(layer.out_features) if late else None,
    )
    both = {"clip": clip, "sound": sound}
    if late:
        return ClipAndSound(Streams(both, LateFusion(classes, (1.0, 1.0), learn=True)))
    joined = Concat([clip.out_features, sound.out_features])
    return ClipAndSound(Streams(both, joined, head(joined.out_features)))


_SOUND = {
    "hidden": 96,
    "dropout": 0.2,
    "sound_channels": [64, 64],
    "sound_width": 5,
    "sound_hidden": 64,
}


class VideoSoundClasses(ClassTask):
    """Your own videos with their sound, with one class each."""

    name = "video-sound-classes"
    fields = layout(
        clip="uint8 T C H W",
        real="bool T",
        sound="float32 U F",
        sound_real="bool U",
        label="int64",
    )
    inputs = ("clip", "real", "sound", "sound_real")
    entries = ("shape", "sound_shape", "classes")
    models = (
        ModelDefinition(
            "late",
            "{Frame -> BiLSTM}, {sound -> Conv(1) -> BiLSTM} -> LateFusion",
            "Fan et al., ICMI 2016, with learnt weights",
            clip_and_sound,
            {"fusion": "late", **_FRAME, **_SOUND},
        ),
        ModelDefinition(
            "concat",
            "{Frame -> BiLSTM}, {sound -> Conv(1) -> BiLSTM} -> Concat -> Classes",
            "Ngiam et al., ICML 2011, as a CNN-RNN",
            clip_and_sound,
            {"fusion": "concat", **_FRAME, **_SOUND},
        ),
        ModelDefinition(
            "backbone",
            "{Frame(torchvision's classifier) -> BiLSTM}, {sound -> Conv(1) -> BiLSTM} -> "
            "LateFusion",
            "Fan et al., ICMI 2016, with learnt weights and a pretrained network of frames",
            clip_and_sound,
            {"fusion": "late", **BACKBONE, **_SOUND},
            BACKBONE_RECIPE,
        ),
    )
    recipe = VideoClasses.recipe

    def facts(self, data: Dataset) -> dict[str, Any]:
        return series_facts(data.train, "sound", "sound_real")
