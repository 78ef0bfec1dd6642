"""Segments of a genome, with the labels of all their bins, as a problem to train on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from danq.core import CnnRnn, Flatten, Mlp, MultiLabel, OneHotConv
from danq.core.convolutional_encoder import ConvEncoder, ConvStage
from danq.core.segments import SegmentCnnRnn
from danq.datasets.dataset import Dataset
from danq.datasets.segment_batches import SegmentBatches
from danq.errors import InputError
from danq.models.targets import TargetGroup
from danq.training.recipe import Recipe
from danq.training.window_problem import WindowProblem


class SegmentProblem(WindowProblem):
    """Predict the labels of all bins of a segment from its codes: binary cross-entropy.

    Validation is that of single windows.

    Parameters
    ----------
    dataset
        Labelled windows, of peaks.
    recipe
        Batch size, segments and augmentation.
    """

    def batches(self, seed: int, device: torch.device) -> SegmentBatches:  # type: ignore[override]
        """Batches that are made on the CPU, of ``recipe.batch_size`` windows."""
        recipe = self.recipe
        return SegmentBatches(
            self.dataset,
            self.dataset.indices("train"),
            max(1, recipe.batch_size // recipe.segment_bins),
            bins=recipe.segment_bins,
            spacing=recipe.segment_spacing,
            reverse_complement=bool(recipe.reverse_complement),
            seed=seed,
        )

    def loss(
        self, module: nn.Module, batch: tuple[Tensor, ...], scale: Tensor | None = None
    ) -> Tensor:
        """Mean binary cross-entropy over the bins whose labels are known, and tracks."""
        codes, labels, known = batch
        logits = module(codes).float()
        losses = F.binary_cross_entropy_with_logits(logits, labels.float(), reduction="none")
        loss = (losses.mean(dim=2) * known).sum() / known.sum().clamp(min=1)
        return loss if scale is None else loss * scale

    def weights(self, batch: tuple[Any, ...]) -> Tensor:
        """Number of bins whose labels are known."""
        return torch.as_tensor(batch[2]).sum().float()


def check_segments(
    module: CnnRnn, dataset: Dataset, recipe: Recipe, groups: Sequence[TargetGroup]
) -> None:
    """Check that a model can be trained on segments of a dataset.

    Raises
    ------
    InputError
        As `segment_module` and `SegmentBatches`; when the dataset has amounts or weights.
    """
    if groups:
        raise InputError(
            "segment_bins is above 1, which is for tracks of peaks alone, without weights",
            file=dataset.path,
            remedy="Set segment_bins to 1, or use a dataset of peaks",
        )
    segment_module(module, recipe)
    SegmentProblem(dataset, recipe).batches(0, torch.device("cpu"))


def segment_module(module: CnnRnn, recipe: Recipe) -> SegmentCnnRnn:
    """The form of a model that reads segments, as the recipe says; it has the same parameters.

    Raises
    ------
    InputError
        When the layers of the model or the sizes do not allow segments.
    """
    encoder, pooling, head = module.encoder, module.pooling, module.head
    plain = isinstance(encoder, OneHotConv | ConvEncoder) and isinstance(pooling, Flatten)
    body = head.body if isinstance(head, MultiLabel) else None
    dense = isinstance(body, Mlp) and any(isinstance(layer, nn.Linear) for layer in body)
    if not plain or not dense:
        raise InputError(
            "segment_bins is above 1, which needs filters of one width, the pooling 'flatten', a "
            "dense layer and tracks of peaks alone",
            remedy="Change the model, or set segment_bins to 1",
        )
    assert isinstance(pooling, Flatten)
    step = _bases_per_step(encoder)
    for name, value in (
        ("segment_spacing", recipe.segment_spacing),
        ("segment_margin", recipe.segment_margin),
    ):
        if value % step:
            raise InputError(
                f"{name} is {value}, no multiple of the {step} bases of a step of the model",
                remedy="Choose another value, or another pool",
            )
    margin = recipe.segment_margin // step
    if 2 * margin >= pooling.steps:
        raise InputError(
            f"segment_margin is {recipe.segment_margin}, which leaves none of the "
            f"{pooling.steps} steps of a window",
            remedy="Use a smaller margin or a longer window",
        )
    return SegmentCnnRnn(module, recipe.segment_spacing // step, margin)


def _bases_per_step(encoder: nn.Module) -> int:
    """Bases from one step of an encoder to the next."""
    assert isinstance(encoder, OneHotConv | ConvEncoder)
    if isinstance(encoder, OneHotConv):
        return encoder.pool
    first = encoder.first
    pools = [first.pool if isinstance(first, OneHotConv) else 1]
    pools += [stage.pool[0] for stage in encoder.stages if isinstance(stage, ConvStage)]
    return math.prod(pools)
