"""Labelled windows of a genome as a problem to train on."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from danq.core.members import per_member
from danq.datasets.batches import Batches
from danq.datasets.dataset import Dataset
from danq.evaluation.metrics import average_precision, roc_auc
from danq.inference.engine.forward import predict_dataset
from danq.models.run_options import RunOptions
from danq.training.device_batches import DeviceBatches, device_bytes
from danq.training.problem import Metrics
from danq.training.processes import Processes
from danq.training.recipe import Recipe
from danq.training.shared_validation import computed_together


class WindowProblem:
    """Predict the labels of bins from the codes of their windows: binary cross-entropy.

    Parameters
    ----------
    dataset
        Labelled windows.
    recipe
        Batch size and augmentation.
    """

    def __init__(self, dataset: Dataset, recipe: Recipe) -> None:
        self.dataset, self.recipe = dataset, recipe
        self.valid = dataset.indices("valid")
        self.valid_labels = dataset.labels(self.valid)

    def batches(self, seed: int, device: torch.device) -> Batches | DeviceBatches:
        """Batches gathered on the GPU if the dataset fits into half its free memory.

        Standalone sequences that are shifted are gathered on the CPU.
        """
        batches = training_batches(self.dataset, self.recipe, seed)
        moved = self.dataset.standalone and self.recipe.max_shift > 0
        if device.type == "cuda" and not moved:
            fits = device_bytes(self.dataset) < torch.cuda.mem_get_info(device)[0] / 2
            if fits:
                return DeviceBatches(batches, device)
        return batches

    def loss(
        self, module: nn.Module, batch: tuple[Tensor, ...], scale: Tensor | None = None
    ) -> Tensor:
        """Mean binary cross-entropy over windows and tracks."""
        codes, labels = batch
        logits = module(codes).float()
        loss = F.binary_cross_entropy_with_logits(logits, per_member(logits, labels.float()))
        return loss if scale is None else loss * scale

    def weights(self, batch: tuple[Any, ...]) -> Tensor:
        """Number of windows."""
        return torch.tensor(float(len(batch[0])))

    def validate(
        self, module: nn.Module, device: torch.device, precision: str, processes: Processes
    ) -> Metrics:
        """Metrics of the validation split; predictions are averaged over both strands.

        Returns
        -------
        ``loss``, the mean binary cross-entropy over windows and tracks; ``aupr`` and ``auroc``,
        average precision and area under the ROC curve, averaged over the tracks for which they
        are defined.
        """
        options = RunOptions(device=str(device), precision=precision)
        scores = computed_together(
            lambda windows: predict_dataset(module, self.dataset, windows, options),
            self.valid,
            options.windows_per_batch,
            processes,
            module,
            device,
        )
        return processes.first(lambda: self._metrics(scores))

    def _metrics(self, scores: np.ndarray | None) -> Metrics:
        assert scores is not None
        clipped = np.clip(scores.astype(np.float64), 1e-7, 1 - 1e-7)
        y = self.valid_labels
        loss = -np.mean(np.where(y == 1, np.log(clipped), np.log1p(-clipped)))
        return {
            "loss": float(loss),
            "aupr": float(np.nanmean(average_precision(scores, y))),
            "auroc": float(np.nanmean(roc_auc(scores, y))),
        }


def training_batches(dataset: Dataset, recipe: Recipe, seed: int) -> Batches:
    """Batches of the training split, augmented as the recipe says."""
    return Batches(
        dataset,
        dataset.indices("train"),
        recipe.batch_size,
        shuffle=True,
        reverse_complement=recipe.reverse_complement,
        max_shift=recipe.max_shift,
        seed=seed,
    )
