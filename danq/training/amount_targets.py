"""The groups of tracks that a dataset with amounts gives a model, and their losses."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np

from danq.datasets.column_summary import ColumnSummary, summarise_columns
from danq.datasets.dataset import Dataset
from danq.errors import InputError, few
from danq.models.targets import MAX_WEIGHT, Loss, TargetGroup
from danq.training.recipe import Recipe

SOFT_BINS = ("dream-rnn",)
"""Presets that were published with soft bins."""

SHARE_OF_TOTALS = 0.5
"""Weight of the loss of totals for each count of the mean profile.

The loss of profiles grows with the number of counts (BPNet: Avsec et al., Nature Genetics 2021).
"""

log = logging.getLogger("danq")


def target_groups(
    dataset: Dataset, recipe: Recipe, preset: str, summary: ColumnSummary
) -> tuple[TargetGroup, ...]:
    """Groups of consecutive tracks with one loss.

    Parameters
    ----------
    dataset
        The windows.
    recipe
        Losses and weights.
    preset
        Name of the model's preset.
    summary
        Measured values of the training split.

    Raises
    ------
    InputError
        When amounts are negative and their loss does not allow it.
    """
    kinds = [group.kind for group in dataset.targets for _ in range(group.tracks)]
    own: dict[str, Loss] = {"peaks": "binary", "profiles": "profile"}
    losses: list[Loss] = []
    for track, kind in enumerate(kinds):
        loss = own.get(kind) or _loss(dataset, recipe, preset, summary)
        lowest = float(summary.lowest[summary.track == track].min())
        if lowest < 0 and loss in ("poisson", "profile"):
            raise InputError(
                f"the track '{dataset.tracks[track]}' has negative amounts, down to {lowest:g}; "
                f"the loss '{loss}' needs 0 or more",
                file=dataset.path,
                remedy="Use the loss 'gaussian', or signals without negative values",
            )
        losses.append(loss)
    groups, first = [], 0
    for loss, each in groupby(losses):
        tracks = range(first, first + len(list(each)))
        groups.append(_group(dataset, recipe, loss, tracks, summary))
        first = tracks.stop
    return tuple(groups)


def check_amounts(dataset: Dataset) -> ColumnSummary:
    """Measured values of the training split, after checking both splits of the training.

    Tracks of amounts whose training values are all equal are named in a warning.

    Raises
    ------
    InputError
        When a split has no window, a track has no measured value in it, or no track has two
        different training values.
    """
    found = None
    for split in ("valid", "train"):
        rows = dataset.indices(split)
        if not len(rows):
            raise InputError(
                f"the {split} split has no window",
                file=dataset.path,
                remedy="Build the dataset with windows in all splits",
            )
        found = summarise_columns(dataset, rows)
        missing = _where(dataset, found, found.count == 0)
        if missing:
            raise InputError(
                f"{len(missing):,} tracks have no measured amount in the {split} split "
                f"({few(missing)})",
                file=dataset.path,
                remedy="Leave these tracks out, or build the dataset with other splits",
            )
    assert found is not None
    constant = _where(dataset, found, found.highest <= found.lowest)
    if len(constant) == len(dataset.tracks):
        raise InputError(
            f"the training amounts of every track are equal ({few(constant)})",
            file=dataset.path,
            remedy="Check the signals or values that the dataset was built from",
        )
    if constant:
        log.warning(
            "%s: all training amounts of a track are equal for %d tracks, of which a model learns "
            "nothing else: %s",
            dataset.path or "the dataset",
            len(constant),
            few(constant),
        )
    return found


def _where(dataset: Dataset, summary: ColumnSummary, columns: np.ndarray) -> list[str]:
    """Names of the tracks of amounts all of whose columns are marked."""
    tracks = range(dataset.peaks.size, len(dataset.tracks))
    return [dataset.tracks[one] for one in tracks if columns[summary.track == one].all()]


def _loss(dataset: Dataset, recipe: Recipe, preset: str, summary: ColumnSummary) -> Loss:
    """Loss of the tracks with one amount per window."""
    if recipe.amount_loss != "auto":
        return recipe.amount_loss
    if preset in SOFT_BINS:
        return "soft-bins"
    own = summary.track >= dataset.peaks.size
    counts = not dataset.standalone or bool(summary.whole[own].all())
    linear = all(unit.transform == "none" for unit in dataset.units)
    plain = linear and summary.lowest[own].min() >= 0
    return "poisson" if counts and plain else "gaussian"


def _group(
    dataset: Dataset, recipe: Recipe, loss: Loss, tracks: Sequence[int], summary: ColumnSummary
) -> TargetGroup:
    own = np.isin(summary.track, tracks)
    settings: dict[str, Any] = {}
    measured = dataset.measured
    if measured is not None and loss != "binary":
        settings["reverse"] = measured.reverse
    if len(dataset.targets) > 1:
        settings["weight"] = recipe.peak_weight if loss == "binary" else recipe.amount_weight
    if loss in ("gaussian", "poisson"):
        mean, deviation = summary.mean[own].tolist(), summary.deviation[own].tolist()
        if loss == "poisson":
            settings["means"] = tuple(one or 1.0 for one in mean)
        else:
            settings |= {"means": tuple(mean), "deviations": tuple(one or 1.0 for one in deviation)}
    if loss == "soft-bins":
        lowest = math.floor(float(summary.lowest[own].min()))
        highest = max(lowest + 1, math.ceil(float(summary.highest[own].max())))
        width = (highest - lowest) / (recipe.bins - 1)
        settings |= {"bins": recipe.bins, "lowest": lowest, "bin_width": width}
    if loss == "profile":
        group = next(one for one in dataset.targets if one.kind == "profiles")
        total = float(summary.mean[own].sum()) / len(tracks)
        settings |= {
            "steps": group.steps,
            "step_bases": group.step,
            "total_weight": float(np.clip(total * SHARE_OF_TOTALS, 1, MAX_WEIGHT)),
        }
    return TargetGroup(loss=loss, tracks=len(tracks), **settings)
