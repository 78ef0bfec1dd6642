"""Compare two models, or two ensembles, on the same windows."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from danq._version import __version__
from danq.amounts import describe_units
from danq.datasets.column_summary import total_amounts
from danq.errors import InputError
from danq.evaluation.confidence_intervals import window_blocks
from danq.evaluation.paired_bootstrap import amount_differences, paired_differences
from danq.inference.ensemble import Ensemble, Models
from danq.inference.evaluation.comparison_table import (
    ComparedTracks,
    Members,
    ModelComparison,
    comparison_table,
)
from danq.inference.evaluation.ensemble_members import (
    AmountMemberMetrics,
    MemberMetrics,
    mean_predictions,
)
from danq.inference.evaluation.evaluate import REPLICATES, SPLITS
from danq.inference.evaluation.matching import open_for, warn_of_other_dataset
from danq.inference.writers.tsv import write_table
from danq.output import replacing
from danq.typing import IntRow, Location, Scores

if TYPE_CHECKING:
    from danq.datasets.dataset import Dataset

log = logging.getLogger("danq")


def compare(
    first: Models,
    second: Models,
    dataset: Dataset | str | Path,
    *,
    split: str = "test",
    bootstrap: int = REPLICATES,
    seed: int = 0,
) -> ModelComparison:
    """Compare two models, or two ensembles, on the same windows.

    Both models predict every window of the split. Intervals and p-values are those of a paired
    bootstrap over blocks of neighbouring windows, because windows that overlap or share peaks are
    not independent.

    Parameters
    ----------
    first, second
        A loaded model each, or a list of models whose predictions are averaged. Their options
        select strand, device, precision, batch size and threads.
    dataset
        A dataset, or the path of its file, with the window, bin and tracks of all models.
    split
        ``"train"``, ``"valid"`` or ``"test"``.
    bootstrap
        Number of replicates, at least 2.
    seed
        Random seed of the bootstrap.

    Raises
    ------
    InputError
        When a model is not loaded, has another window, bin or other tracks than the dataset, or
        predicts NaN; when both sides are the same models; when the split does not exist, is empty
        or has one block of windows; or when ``bootstrap`` is below 2.
    """
    sides = (Ensemble.of(first), Ensemble.of(second))
    if split not in SPLITS:
        raise InputError(f"there is no split '{split}'", remedy=f"Choose {', '.join(SPLITS)}")
    _check_different(*sides)
    dataset = open_for([model for side in sides for model in side.models], dataset)
    indices = dataset.indices(split)
    if not len(indices):
        raise InputError(
            f"the {split} split is empty", file=dataset.path, remedy="Choose another split"
        )
    if bootstrap < 2:
        raise InputError(f"bootstrap is {bootstrap}, the minimum is 2", remedy="Use 1,000 or more")
    _warn_of_training_windows(sides, dataset, split)
    blocks = window_blocks(dataset.contig[indices], dataset.start[indices])
    differences = _differences(sides, dataset, indices, blocks, bootstrap, seed)
    provenance = {
        "created_by": f"danq {__version__}",
        **_about("first", sides[0]),
        **_about("second", sides[1]),
        "dataset": None if dataset.path is None else str(dataset.path),
        "dataset_sha256": dataset.sha256,
        "split": split,
        "windows": len(indices),
        "blocks": int(blocks.max()) + 1,
        "bootstrap_replicates": bootstrap,
        "bootstrap_seed": seed,
    }
    if dataset.measured is not None:
        provenance["units"] = describe_units(
            dataset.tracks, (*[None] * dataset.peaks.size, *dataset.units)
        )
    return ModelComparison(comparison_table(dataset, len(indices), *differences), provenance)


def write_comparison(report: ModelComparison, out: Location, *, overwrite: bool = False) -> None:
    """Write the table of a comparison as TSV, with the provenance in comment lines.

    Parameters
    ----------
    report
        Result of `danq.compare`.
    out
        File to write.
    overwrite
        Replace an existing file.

    Raises
    ------
    InputError
        When the file exists and ``overwrite`` is false, or cannot be written.
    """
    with replacing(out, overwrite) as temporary:
        write_table(temporary, report.table, report.provenance)


def _differences(
    sides: tuple[Ensemble, Ensemble],
    dataset: Dataset,
    indices: IntRow,
    blocks: IntRow,
    replicates: int,
    seed: int,
) -> tuple[ComparedTracks | None, ComparedTracks | None]:
    """Differences of the tracks of peaks, and of those of amounts."""
    peaks, names = dataset.peaks.size, dataset.tracks
    labels, measured = dataset.labels(indices), total_amounts(dataset, indices)
    predicted: list[Scores] = []
    spreads: tuple[list[Members], list[Members]] = ([], [])
    for side in sides:
        members = (
            MemberMetrics(labels, names[:peaks]),
            AmountMemberMetrics(measured, names[peaks:]),
        )
        kinds = [one for one in members if len(one.tracks)]

        def each(scores: Scores, kinds: list[Any] = kinds) -> None:
            for one in kinds:
                one.add(scores)

        predicted.append(mean_predictions(side.models, dataset, indices, side.options, each))
        for spread, one in zip(spreads, members, strict=True):
            spread.append(one.values if side.spread else None)
    settings: dict[str, Any] = {"replicates": replicates, "seed": seed}
    of_peaks = of_amounts = None
    if peaks:
        one, other = (values[:, :peaks] for values in predicted)
        found = paired_differences(one, other, labels, blocks, names=names[:peaks], **settings)
        of_peaks = ComparedTracks(found.tracks, found.macro, found.positives, spreads[0])
    if len(names) > peaks:
        one, other = (values[:, peaks:] for values in predicted)
        own = amount_differences(one, other, measured, blocks, names=names[peaks:], **settings)
        of_amounts = ComparedTracks(own.tracks, own.macro, own.windows, spreads[1])
    return of_peaks, of_amounts


def _check_different(first: Ensemble, second: Ensemble) -> None:
    checksums = [sorted(model.sha256 for model in side.models) for side in (first, second)]
    same_objects = [id(one) for one in first.models] == [id(one) for one in second.models]
    if same_objects or (checksums[0] == checksums[1] and all(checksums[0])):
        raise InputError(
            f"both sides are the same model ({', '.join(first.names)})",
            remedy="Give two models that differ",
        )


def _warn_of_training_windows(
    sides: tuple[Ensemble, Ensemble], dataset: Dataset, split: str
) -> None:
    if split != "test":
        use = "was trained on" if split == "train" else "was selected and scaled on"
        log.warning(
            "the %s split is not held out: a model %s it, so its metrics are too good", split, use
        )
    for side in sides:
        for model, name in zip(side.models, side.names, strict=True):
            warn_of_other_dataset(model, name, dataset, split)


def _about(name: str, side: Ensemble) -> dict[str, str]:
    settings = {**side.running(), **side.batches()}
    running = {f"{name} {key}": value for key, value in settings.items()}
    return {f"{name} {key}": value for key, value in side.provenance().items()} | running
