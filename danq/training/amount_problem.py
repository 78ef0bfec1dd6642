"""Windows with measured amounts, and perhaps peaks, as a problem to train on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from danq.core.members import per_member
from danq.datasets.batches import Batches
from danq.datasets.column_summary import total_amounts
from danq.datasets.dataset import Dataset
from danq.errors import few
from danq.evaluation.amount_metrics import amount_metrics
from danq.evaluation.metrics import average_precision, roc_auc
from danq.inference.engine.forward import dataset_outputs
from danq.models.run_options import RunOptions
from danq.models.targets import TargetGroup, target_loss, target_weights, track_values
from danq.training.problem import Metrics
from danq.training.processes import Processes
from danq.training.recipe import Recipe
from danq.training.shared_validation import computed_together
from danq.training.window_problem import training_batches

log = logging.getLogger("danq")


class AmountProblem:
    """Predict the measured values of windows from their codes.

    Parameters
    ----------
    dataset
        The windows.
    recipe
        Batch size and augmentation.
    groups
        Losses of the tracks.
    """

    def __init__(self, dataset: Dataset, recipe: Recipe, groups: Sequence[TargetGroup]) -> None:
        self.dataset, self.recipe, self.groups = dataset, recipe, tuple(groups)
        self.valid = dataset.indices("valid")

    def batches(self, seed: int, device: torch.device) -> Batches:
        """Batches that are made on the CPU."""
        return training_batches(self.dataset, self.recipe, seed)

    def loss(
        self, module: nn.Module, batch: tuple[Tensor, ...], scale: Tensor | None = None
    ) -> Tensor:
        """Mean of the losses of all groups."""
        codes, targets, *weights = batch
        outputs = module(codes)
        targets, *weights = (per_member(outputs, values) for values in (targets, *weights))
        return target_loss(outputs, targets, self.groups, *weights, scale=scale)

    def weights(self, batch: tuple[Any, ...]) -> Tensor:
        """Sum of the weights of the measured values of each group."""
        _, targets, *weights = map(torch.as_tensor, batch)
        return target_weights(targets.float(), self.groups, *weights)

    def validate(
        self, module: nn.Module, device: torch.device, precision: str, processes: Processes
    ) -> Metrics:
        """Metrics of the validation split.

        Returns
        -------
        ``loss``, the mean over the strands that are used; ``pearson``, the mean correlation over
        tracks of amounts, 0 for a track with constant predictions; and for peaks ``aupr`` and
        ``auroc``, as `danq.training.window_problem.WindowProblem`.
        """
        strand = "forward" if self.dataset.oriented else "both"
        options = RunOptions(device=str(device), precision=precision, strand=strand)
        outputs = computed_together(
            lambda windows: dataset_outputs(module, self.dataset, windows, options),
            self.valid,
            options.windows_per_batch,
            processes,
            module,
            device,
            axis=1,
        )
        return processes.first(lambda: self._validated(outputs))

    def _validated(self, found: np.ndarray | None) -> Metrics:
        """Metrics from the outputs for the strands that are used."""
        assert found is not None
        share = torch.from_numpy(self.dataset.weights(self.valid))
        losses, values = [], []
        for number, outputs in enumerate(map(torch.from_numpy, found)):
            reverse = np.full(len(self.valid), number == 1)
            targets = torch.from_numpy(self.dataset.target_values(self.valid, reverse))
            losses.append(float(target_loss(outputs, targets, self.groups, share)))
            values.append(track_values(outputs, self.groups, reverse=number == 1).numpy())
        predicted = np.asarray(np.mean(values, axis=0, dtype=np.float32))
        return {"loss": float(np.mean(losses))} | self._metrics(predicted)

    def _metrics(self, predicted: np.ndarray) -> Metrics:
        peaks = self.dataset.peaks.size
        measured = total_amounts(self.dataset, self.valid)
        values: Metrics = {}
        if measured.shape[1]:
            found = amount_metrics(predicted[:, peaks:], measured).pearson
            varies = np.nanmax(measured, axis=0) > np.nanmin(measured, axis=0)
            equal = varies & (np.ptp(predicted[:, peaks:], axis=0) == 0)
            if equal.any():
                tracks = np.flatnonzero(equal) + peaks
                log.warning(
                    "all predictions are equal for %d of %d tracks (%s): use a lower learning rate",
                    len(tracks),
                    len(equal),
                    few([self.dataset.tracks[track] for track in tracks]),
                )
            known = np.nan_to_num(found)[varies]
            values["pearson"] = float(known.mean()) if known.size else 0.0
        if peaks:
            labels, scores = self.dataset.labels(self.valid), predicted[:, :peaks]
            values["aupr"] = float(np.nan_to_num(np.nanmean(average_precision(scores, labels))))
            values["auroc"] = float(np.nan_to_num(np.nanmean(roc_auc(scores, labels))))
        return values
