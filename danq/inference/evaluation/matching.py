"""Check that a dataset matches a model."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from danq.errors import InputError, few
from danq.models.model_file import check_loaded
from danq.models.targets import reverse_tracks

if TYPE_CHECKING:
    from danq.datasets.dataset import Dataset
    from danq.models import Model

log = logging.getLogger("danq")


def open_for(models: Sequence[Model], dataset: Dataset | str | Path) -> Dataset:
    """Open a dataset and check that it matches loaded models.

    Raises
    ------
    InputError
        As `check_match`; when the file is missing or damaged.
    """
    if isinstance(dataset, str | Path):
        from danq.datasets.dataset import Dataset

        dataset = Dataset.open(dataset)
    for model in models:
        check_match(model, dataset)
    return dataset


def warn_of_other_dataset(model: Model, name: str, dataset: Dataset, split: str) -> None:
    """Warn if a model was trained on another dataset."""
    if model.spec.data_sha256 not in ("", dataset.sha256):
        log.warning(
            "%s: %s was trained on another dataset, so its training windows may include windows of "
            "the %s split",
            dataset.path or "the dataset",
            name,
            split,
        )


def open_matching(model: Model, dataset: Dataset | str | Path) -> tuple[Model, Dataset]:
    """Open a dataset and check that it matches a loaded model.

    Raises
    ------
    InputError
        As `check_match`; when the file is missing or damaged, or the model is not loaded.
    """
    check_loaded(model, "one model", remedy="Give one loaded model")
    return model, open_for([model], dataset)


def check_match(model: Model, dataset: Dataset) -> None:
    """Check that a dataset has the windows and tracks of a model.

    Raises
    ------
    InputError
        When the window, the bin, the number of tracks, the name, kind or unit of a track, or the
        orientation of the sequences differs.
    """
    spec, owner = model.spec, model.path or "the model"
    for name in ("window", "bin"):
        theirs, ours = getattr(dataset, name), getattr(spec, name)
        if theirs != ours:
            raise InputError(
                f"the {name} of the dataset is {theirs} bp, that of {owner} is {ours} bp",
                file=dataset.path,
                remedy=f"Build a dataset with a {name} of {ours}, or train a model on this one",
            )
    if tuple(dataset.tracks) == tuple(spec.tracks):
        _check_targets(model, dataset)
        return
    remedy = "Use the dataset that the model was trained on, or one with the same tracks in order"
    if len(dataset.tracks) != len(spec.tracks):
        raise InputError(
            f"the dataset has {len(dataset.tracks)} tracks ({few(dataset.tracks)}), "
            f"{owner} has {len(spec.tracks)} ({few(spec.tracks)})",
            file=dataset.path,
            remedy=remedy,
        )
    k, theirs, ours = next(
        (k, a, b)
        for k, (a, b) in enumerate(zip(dataset.tracks, spec.tracks, strict=True))
        if a != b
    )
    raise InputError(
        f"track {k + 1} of the dataset is '{theirs}', that of {owner} is '{ours}'",
        file=dataset.path,
        remedy=remedy,
    )


def _check_targets(model: Model, dataset: Dataset) -> None:
    """Check kinds and units of the tracks, and the orientation of the sequences."""
    spec, owner = model.spec, model.path or "the model"
    problem = None
    peaks = dataset.peaks.size
    for track, kind in enumerate(spec.kinds):
        theirs = "peaks" if track < peaks else "amounts"
        if theirs != kind:
            problem = f"is of {theirs} in the dataset, and of {kind} in {owner}"
        elif kind == "amounts" and dataset.units[track - peaks] != spec.track_units[track]:
            problem = (
                f"has the unit '{dataset.units[track - peaks]}' in the dataset, and "
                f"'{spec.track_units[track]}' in {owner}"
            )
        if problem is not None:
            raise InputError(
                f"the track '{spec.tracks[track]}' {problem}",
                file=dataset.path,
                remedy="Build the dataset as that of the model's training",
            )
    order = () if dataset.measured is None else dataset.measured.reverse
    ours = reverse_tracks(spec.targets)
    if (*range(peaks), *(peaks + other for other in order)) != ours and (order or ours):
        raise InputError(
            f"the tracks of two strands are others in the dataset than in {owner}",
            file=dataset.path,
            remedy="Build the dataset as that of the model's training",
        )
    if dataset.oriented != spec.oriented:
        which = "the dataset" if dataset.oriented else owner
        raise InputError(
            f"only the sequences of {which} are oriented",
            file=dataset.path,
            remedy="Build the dataset as that of the model's training",
        )
