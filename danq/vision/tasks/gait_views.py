"""Gait from any view transformed to the gallery's view, frame by frame, and matched there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from danq.core import CnnRnn, Mlp, PerStep, Recurrent
from danq.training.problem import Metrics
from danq.vision.dataset import Dataset, Examples, Fields, Metadata, evaluation_batches, layout
from danq.vision.generators.walker_videos import FRAMES, HEIGHT, JOINTS, WIDTH
from danq.vision.task import Baselines, ModelDefinition, Target, above, below, task_recipe
from danq.vision.tasks.gait import (
    ENERGY,
    WALKERS,
    Gait,
    draw_walks,
    identifier,
    ranked_people,
    small_frame_cnn,
)

CELL = 2
"""Pixels of a clip per pixel of a map along each side."""
PARTS = ("head", "neck", "hip", "knee", "foot", "hand")
"""Kinds of joints, one map each; left and right share a map, as a silhouette shows no side."""
_WIDTH = 1.0
"""Standard deviation of a joint in its map, in pixels of the map."""


def heat_maps(poses: Float[np.ndarray, "N T J 2"]) -> UInt8[np.ndarray, "N T P h w"]:
    """Maps with a Gaussian at each joint, whose positions are in pixels of a clip."""
    places = (poses.astype(np.float32) + 0.5) / CELL - 0.5
    x = np.arange(WIDTH // CELL, dtype=np.float32) - places[..., :1]
    y = np.arange(HEIGHT // CELL, dtype=np.float32) - places[..., 1:]
    gauss = [np.exp(-(axis**2) / (2 * _WIDTH**2)) for axis in (y, x)]
    joint = gauss[0][..., :, None] * gauss[1][..., None, :]
    maps = [
        np.max([joint[:, :, k] for k, name in enumerate(JOINTS) if name.endswith(part)], axis=0)
        for part in PARTS
    ]
    return np.rint(np.stack(maps, axis=2) * 255).astype(np.uint8)


class ViewTransform(nn.Module):
    """Frames of any view to maps in the gallery's view: ``(B, T, C, H, W) -> (B, T, P, h, w)``.

    The outputs are logits.
    """

    makes_maps = True

    def __init__(self, body: nn.Module, shape: Sequence[int]) -> None:
        super().__init__()
        self.body, self.shape = body, tuple(shape)

    def forward(self, clip: Float[Tensor, "B T C H W"]) -> Float[Tensor, "B T P h w"]:
        return self.body(clip).unflatten(2, self.shape)


def view_transform(
    metadata: Metadata,
    channels: Sequence[int],
    features: int,
    hidden: int,
    shrink: int,
    recurrent: bool = True,
) -> nn.Module:
    """Frame CNN, LSTM in both directions (none unless ``recurrent``), a dense layer per frame."""
    frames = small_frame_cnn(metadata["shape"], shrink, channels, features)
    rnn = Recurrent(features, hidden) if recurrent else None
    shape = metadata["maps"][1:]
    width = 2 * hidden if recurrent else features
    head = PerStep(Mlp(width, (hidden,)), int(np.prod(shape)))
    return ViewTransform(CnnRnn(frames, rnn, None, head), shape)


_RNN = {"channels": [16, 32], "features": 96, "hidden": 96, "shrink": 2}


class GaitViews(Gait):
    """Pose maps of a walk in the gallery's view from any view, and rank-1 from these maps."""

    name = "gait-views"
    fields = layout(
        clip="uint8 T C H W",
        maps="uint8 T P H W",
        walker="int64",
        view="int64",
        gallery="bool",
    )
    models = (
        ModelDefinition(
            "view-lstm",
            "Frame -> BiLSTM -> PerStep maps; mean over T, nearest",
            "Feng et al., ICPR 2016",
            view_transform,
            _RNN,
        ),
        ModelDefinition(
            "view-frame",
            "Frame -> PerStep maps; mean over T, nearest",
            "Feng et al., ICPR 2016, without the LSTM",
            view_transform,
            _RNN | {"recurrent": False},
        ),
        ModelDefinition(
            "gei-cnn",
            "mean over T -> Conv(2) -> Embedding (identity)",
            "energy image of Han & Bhanu, TPAMI 2006",
            identifier,
            ENERGY,
            {"epochs": 20, "batch_size": 32, "monitor": "rank1"},
        ),
    )
    metadata_kinds = layout(shape="sizes", maps="sizes", walkers="count")
    recipe = task_recipe(epochs=24, lr=3e-3, batch_size=16)
    reported_metrics = ("rank1", "rank5", "map_error")
    targets = (
        Target("rank-1 above GEI + 1-NN", above("rank1", ["view-lstm"], ["GEI, 1-NN"])),
        Target("LSTM: lower error than frames", below("map_error", ["view-lstm"], ["view-frame"])),
    )

    def metadata(self) -> dict[str, Any]:
        return {
            "shape": [FRAMES, 1, HEIGHT, WIDTH],
            "maps": [FRAMES, len(PARTS), HEIGHT // CELL, WIDTH // CELL],
            "walkers": WALKERS,
        }

    def shapes(self, metadata: Metadata) -> Mapping[str, Sequence[int | None]]:
        return {"clip": metadata["shape"], "maps": metadata["maps"]}

    def draw(self, split: str, count: int, rng: np.random.Generator) -> Fields:
        fields, poses = draw_walks(split, count, rng)
        return {**fields, "maps": heat_maps(poses)}

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """Cross-entropy of the maps, or the loss of an embedding."""
        if not getattr(module, "makes_maps", False):
            return super().loss(module, batch)
        logits = self.call(module, batch).float()
        return F.binary_cross_entropy_with_logits(logits, batch["maps"])

    def outputs(self, module: nn.Module, examples: Examples) -> dict[str, Any]:
        """Points to match, and the error of the maps."""
        if not getattr(module, "makes_maps", False):
            return {"points": self.points(module, examples)}
        points, errors = [], []
        for part in evaluation_batches(module, examples):
            maps = self.call(module, part).float().sigmoid()
            points.append(maps.mean(dim=1).flatten(1).cpu().numpy())
            if "maps" in part:
                errors.append((maps - part["maps"]).square().flatten(1).mean(dim=1).cpu().numpy())
        found: dict[str, Any] = {"points": np.concatenate(points)}
        return found | ({"error": float(np.concatenate(errors).mean())} if errors else {})

    def score(self, predictions: Mapping[str, Any], examples: Examples) -> Metrics:
        metrics = super().score(predictions["points"], examples)
        return metrics | ({"map_error": predictions["error"]} if "error" in predictions else {})

    def validation(self, module: nn.Module, examples: Examples) -> Metrics:
        if not getattr(module, "makes_maps", False):
            return super().validation(module, examples)
        return {"loss": self.mean_loss(module, examples)} | self.metrics(module, examples)

    def baselines(self, data: Dataset, quick: bool) -> Baselines:
        def energy(field: str) -> Metrics:
            image = data.test[field].mean(axis=1) / 255
            return self.score({"points": image.reshape(len(image), -1)}, data.test)

        return {"GEI, 1-NN": lambda: energy("clip"), "true maps": lambda: energy("maps")}

    def describe(
        self, outputs: Mapping[str, Any], examples: Examples, metadata: Metadata
    ) -> list[str]:
        return ranked_people(outputs["points"], examples)
