"""Compare two models, or two ensembles, on the same windows."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from danq._version import __version__
from danq.errors import InputError
from danq.evaluation.confidence_intervals import window_blocks
from danq.evaluation.paired_bootstrap import METRICS, PairedDifferences, paired_differences
from danq.inference.ensemble import Ensemble, Models
from danq.inference.evaluation.ensemble_members import mean_predictions
from danq.inference.evaluation.evaluate import REPLICATES, SPLITS
from danq.inference.evaluation.matching import open_for, warn_of_other_dataset
from danq.inference.writers.tsv import write_table
from danq.output import replacing
from danq.typing import Location

if TYPE_CHECKING:
    from danq.datasets.dataset import Dataset

ALL = "all"
TITLES = {"auroc": "AUROC", "aupr": "AUPR", "log_loss": "log loss"}

log = logging.getLogger("danq")


@dataclass(frozen=True)
class ModelComparison:
    """Metrics of two models on the same windows, and their differences.

    Attributes
    ----------
    table
        First the mean over tracks, named ``all``, then one row per track: ``track``, ``group``,
        ``positives``, ``windows``; for each of ``auroc``, ``aupr`` and ``log_loss``: ``_first``,
        ``_second``, ``_difference`` (second minus first), ``_low`` and ``_high`` (95 % interval of
        the difference), and ``_p``.
    provenance
        Models, dataset, split and settings.
    """

    table: pl.DataFrame
    provenance: dict[str, Any]

    def describe(self) -> str:
        """The differences as a few lines of text."""
        about, row = self.provenance, self.table.row(0, named=True)
        lines = [
            f"{about['windows']:,} windows of the {about['split']} split, second model minus first"
        ]
        for metric, title in TITLES.items():
            values = [row[f"{metric}_{name}"] for name in ("first", "second", "difference")]
            if None in values:
                lines.append(f"{title}: undefined, because no track has a positive and a negative")
                continue
            first, second, difference = values
            low, high, p = (row[f"{metric}_{name}"] for name in ("low", "high", "p"))
            lines.append(
                f"{title + ':':9} mean {first:.4f} and {second:.4f}, difference {difference:+.4f} "
                f"({low:+.4f} to {high:+.4f}), p {p:.2g}"
            )
            tracks = self.table[1:]
            above = int((tracks[f"{metric}_low"] > 0).sum())
            below = int((tracks[f"{metric}_high"] < 0).sum())
            better, worse = (below, above) if metric == "log_loss" else (above, below)
            lines.append(
                f"{'':9} of {tracks[f'{metric}_difference'].count():,} tracks, the interval "
                f"excludes 0 for {better + worse:,}: the second model is better on {better:,}, "
                f"worse on {worse:,}"
            )
        return "\n".join(lines)


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
    for side in sides:
        side.check_peaks("models are compared")
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
    found = paired_differences(
        mean_predictions(sides[0].models, dataset, indices, sides[0].options),
        mean_predictions(sides[1].models, dataset, indices, sides[1].options),
        dataset.labels(indices),
        blocks,
        replicates=bootstrap,
        seed=seed,
        names=tuple(dataset.tracks),
    )
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
    return ModelComparison(_table(found, dataset, len(indices)), provenance)


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


def _table(found: PairedDifferences, dataset: Dataset, windows: int) -> pl.DataFrame:
    columns: dict[str, Any] = {
        "track": [ALL, *dataset.tracks],
        "group": ["", *dataset.groups],
        "positives": np.concatenate([[found.positives.sum()], found.positives]),
        "windows": np.full(len(dataset.tracks) + 1, windows),
    }
    for metric in METRICS:
        pairs = zip(found.macro[metric], found.tracks[metric], strict=True)
        names = ("first", "second", "difference", "low", "high", "p")
        for name, (mean, each) in zip(names, pairs, strict=True):
            columns[f"{metric}_{name}"] = np.concatenate([mean, each])
    table = pl.DataFrame(columns, schema_overrides={"track": pl.String, "group": pl.String})
    return table.with_columns(pl.selectors.float().fill_nan(None))
