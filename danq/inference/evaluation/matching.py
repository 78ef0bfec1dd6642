"""A model and a data set that go together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from danq.errors import InputError

if TYPE_CHECKING:
    from danq.datasets.dataset import Dataset
    from danq.models import Model


def open_matching(
    model: Model | str | Path, dataset: Dataset | str | Path
) -> tuple[Model, Dataset]:
    """Open a model and a data set, and refuse them where they do not match.

    Raises
    ------
    InputError
        As `check_match`; when a file is missing or damaged.
    """
    if isinstance(model, str | Path):
        from danq.models import load_model

        model = load_model(model)
    if isinstance(dataset, str | Path):
        from danq.datasets.dataset import Dataset

        dataset = Dataset.open(dataset)
    check_match(model, dataset)
    return model, dataset


def check_match(model: Model, dataset: Dataset) -> None:
    """Refuse a dataset whose windows or tracks are not the model's.

    Raises
    ------
    InputError
        When window, bin, number of tracks or the name of a track differs; both are named.
    """
    spec, place = model.spec, model.path or "the model"
    for name in ("window", "bin"):
        theirs, ours = getattr(dataset, name), getattr(spec, name)
        if theirs != ours:
            raise InputError(
                f"the {name} of the dataset is {theirs} bp, that of {place} is {ours} bp",
                file=dataset.path,
                remedy=f"Build the data set with a {name} of {ours}, or train a model on this one",
            )
    if tuple(dataset.tracks) == tuple(spec.tracks):
        return
    remedy = "Give the data set that the model was trained on, or one of the same tracks in order"
    if len(dataset.tracks) != len(spec.tracks):
        raise InputError(
            f"the dataset has {len(dataset.tracks)} tracks ({_first(dataset.tracks)}), "
            f"{place} has {len(spec.tracks)} ({_first(spec.tracks)})",
            file=dataset.path,
            remedy=remedy,
        )
    k, theirs, ours = next(
        (k, a, b)
        for k, (a, b) in enumerate(zip(dataset.tracks, spec.tracks, strict=True))
        if a != b
    )
    raise InputError(
        f"track {k + 1} of the dataset is '{theirs}', that of {place} is '{ours}'",
        file=dataset.path,
        remedy=remedy,
    )


def _first(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
