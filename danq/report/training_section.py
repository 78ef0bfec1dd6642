"""The section on a model and its training: tracks, splits, settings, curves, layers it took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from danq.datasets.dataset import Dataset
from danq.errors import InputError
from danq.files.toml_file import read_toml
from danq.models.model_card import stored_card
from danq.models.model_file import ModelSpec
from danq.models.stored_model import parse_spec, read_stored
from danq.models.training_record import stored_pretrainings, stored_splits
from danq.report.content import Absent, Axis, Chart, Part, Plot, Section, Series, Table
from danq.report.training_history import read_history
from danq.training.config import CONFIG

SPLITS = ("train", "valid", "test")

_OTHER_MODEL = "Give a model of DNA"
_LOSSES = ("train_loss", "valid_loss")
_LOSS = "Loss (mean per window; of peaks in nats)"
_CURVE = (
    "The horizontal axis is the epoch: one pass over the training windows. The training loss "
    "falls as the model fits its windows. The validation loss is that of windows that the model "
    "does not train on: where it rises while the training loss falls, the model learns its "
    "training windows by heart. The model of the best epoch is kept."
)


def training_section(path: Path, dataset: Dataset | Absent | None = None) -> Section:
    """Section on a run directory or a model file.

    Parameters
    ----------
    path
        Run directory or model file.
    dataset
        Dataset of the training, for the positives of each track; or why there is none.
    """
    title = f"Training: {path.name}"
    try:
        stored = read_stored(path)
        if stored.is_vision:
            raise InputError("is the model of a vision task", file=path, remedy=_OTHER_MODEL)
        spec = parse_spec(ModelSpec, stored)
    except InputError as error:
        parts: tuple[Part, ...] = (Absent("the model", str(error)), *_history(path, None))
        return Section(title, path, parts=parts)
    weights = sum(array.size for array in stored.arrays.values())
    parts = (
        *_card(spec, stored.file),
        *_history(path, spec),
        _tracks(spec, dataset),
        *([dataset] if isinstance(dataset, Absent) else []),
        *_splits(spec, stored.file),
        *_pretraining(spec, stored.file),
        *_settings(path, spec),
    )
    return Section(title, path, _facts(spec, weights), parts, _provenance(spec, stored.sha256))


def folds_section(path: Path) -> Section:
    """Section on a training in folds: the curves of every fold, and the groups of windows."""
    runs = sorted(path.glob("fold*/"), key=lambda one: (len(one.name), one.name))
    curves: list[Series] = []
    tables: list[pl.DataFrame] = []
    absent: list[Part] = []
    for run in runs:
        try:
            table = read_history(run)
        except InputError as error:
            absent.append(Absent(f"the curve of {run.name}", str(error)))
            continue
        tables.append(table.select(pl.lit(run.name).alias("fold"), pl.all()))
        if "valid_loss" in table.columns:
            curves.append(_series(run.name, table, "valid_loss"))
    parts: list[Part] = list(absent)
    if curves:
        chart = Chart(_epochs(), Axis(_LOSS), tuple(curves))
        numbers = pl.concat(tables, how="diagonal")
        parts.insert(
            0,
            Plot(
                "Validation loss of each fold",
                f"{_CURVE} Curves that differ much show that the folds are not alike.",
                chart,
                numbers,
                f"Validation loss of {len(curves)} folds.",
            ),
        )
    if not runs:
        parts.append(
            Absent("the folds", "no folder fold1, fold2, ... is in it; resume the training")
        )
    return Section(f"Training in folds: {path.name}", path, {"folds": f"{len(runs)}"}, tuple(parts))


def _facts(spec: ModelSpec, weights: int) -> dict[str, str]:
    training = spec.training
    kinds = {kind: spec.kinds.count(kind) for kind in ("peaks", "amounts")}
    facts = {
        "preset": spec.preset,
        "weights": f"{weights:,}",
        "window": f"{spec.window:,} bp",
        "bin": f"{spec.bin:,} bp",
        "tracks": ", ".join(f"{n:,} of {kind}" for kind, n in kinds.items() if n),
    }
    if "epoch" in training:
        facts["best epoch"] = str(training["epoch"])
    for name in ("valid_loss", "valid_aupr", "valid_auroc", "valid_pearson"):
        if isinstance(training.get(name), float):
            facts[_spoken(name)] = f"{training[name]:.4f}"
    if spec.temperature is not None:
        facts["temperature"] = f"{spec.temperature:.3f}"
    if spec.oriented:
        facts["strand"] = "forward only (oriented)"
    return facts


def _provenance(spec: ModelSpec, sha256: str) -> dict[str, str]:
    training = spec.training
    about = {"created by": spec.created_by, "model sha256": sha256}
    about |= {"dataset sha256": spec.data_sha256} if spec.data_sha256 else {}
    about |= {"random seed": str(training["seed"])} if "seed" in training else {}
    origin = training.get("origin") or training.get("source")
    return about | ({"origin": str(origin)} if origin else {})


def _history(path: Path, spec: ModelSpec | None) -> Iterator[Part]:
    """Curves of metrics.csv."""
    if not path.is_dir():
        yield Absent("the training curves", "only the model file was given, not its run directory")
        return
    try:
        table = read_history(path)
    except InputError as error:
        yield Absent("the training curves", str(error))
        return
    if "epoch" not in table.columns or not table.height:
        yield Absent("the training curves", "no epoch is finished")
        return
    best = None if spec is None else spec.training.get("epoch")
    losses = [name for name in _LOSSES if name in table.columns]
    if losses:
        yield _curve("Loss by epoch", _CURVE, table, losses, _LOSS, best)
    others = [name for name in table.columns if name.startswith("valid_") and name not in _LOSSES]
    if others:
        caption = (
            "Metrics of the validation windows after each epoch, as means over the tracks. Higher "
            "is better; 1 is perfect."
        )
        yield _curve("Validation metrics by epoch", caption, table, others, "Metric", best)


def _curve(
    title: str, caption: str, table: pl.DataFrame, names: list[str], label: str, best: Any
) -> Plot:
    series = [_series(_spoken(name), table, name) for name in names]
    at = table["epoch"].cast(pl.Float64).to_numpy()
    summary = "; ".join(
        f"{one.name}: {one.y[0]:.4g} after epoch {at[0]:.0f}, {one.y[-1]:.4g} after epoch "
        f"{at[-1]:.0f}"
        for one in series
    )
    if isinstance(best, int) and (at == best).any():
        rows = np.flatnonzero(at == best)[:1]
        marked = series[-1 if "loss" in names[0] else 0]
        series.append(Series("best epoch", at[rows], marked.y[rows], "points", style=3))
    chart = Chart(_epochs(), Axis(label), tuple(series))
    return Plot(title, caption, chart, table.select("epoch", *names), f"{summary}.")


def _series(name: str, table: pl.DataFrame, column: str) -> Series:
    x = table["epoch"].cast(pl.Float64).to_numpy()
    return Series(name, x, table[column].cast(pl.Float64, strict=False).to_numpy())


def _epochs() -> Axis:
    return Axis("Epoch", whole=True)


def _spoken(name: str) -> str:
    words = {
        "aupr": "AUPR",
        "auroc": "AUROC",
        "valid": "validation",
        "train": "training",
        "pearson": "Pearson",
        "spearman": "Spearman",
    }
    return " ".join(words.get(word, word) for word in name.split("_"))


def _card(spec: ModelSpec, file: Path) -> Iterator[Part]:
    try:
        card = stored_card(spec.training, file)
    except InputError as error:
        yield Absent("the model card", str(error))
        return
    if card is not None:
        rows = [{"entry": name, "text": text} for name, text in card.entries().items()]
        caption = "What the authors of the model say about it. danq has not checked it"
        caption += "; the dataset and the metrics of the test split are those of the training."
        yield Table("Model card", caption, pl.DataFrame(rows))


def _tracks(spec: ModelSpec, dataset: Dataset | Absent | None) -> Table:
    columns: dict[str, list[Any]] = {"track": list(spec.tracks)}
    if any(spec.groups):
        columns["group"] = list(spec.groups)
    if spec.has_amounts:
        columns["kind"] = list(spec.kinds)
        columns["unit"] = ["" if one is None else one.unit for one in spec.track_units]
    caption = "The tracks that the model predicts"
    if isinstance(dataset, Dataset):
        order = {name: number for number, name in enumerate(dataset.tracks)}
        peaks = len(dataset.peaks)
        own = [order.get(name, peaks) for name in spec.tracks]
        for split in SPLITS:
            counts = dataset.positives(split)
            columns[f"{split}_positives"] = [int(counts[k]) if k < peaks else None for k in own]
        caption += (
            ", and the number of positive windows in each split. With few positives, metrics are "
            "uncertain"
        )
    titles = {f"{split}_positives": f"Positives, {split}" for split in SPLITS}
    return Table("Tracks", f"{caption}.", pl.DataFrame(columns, strict=False), titles)


def _splits(spec: ModelSpec, file: Path) -> Iterator[Part]:
    try:
        splits = stored_splits(spec.training, file)
    except InputError as error:
        yield Absent("the splits", str(error))
        return
    if splits is None:
        yield Absent("the splits", "the model file has none: its sequences are not of a genome")
        return
    rows = []
    for split in SPLITS:
        for contig, regions in getattr(splits, split).items():
            rows.append(
                {
                    "contig": contig,
                    "split": split,
                    "regions": len(regions),
                    "bases": sum(end - start for start, end in regions),
                    "contig_bases": splits.lengths[contig],
                }
            )
    caption = (
        "Contigs and bases of each split. Training windows fit the weights, validation windows "
        "choose the epoch, and test windows measure the result."
    )
    if not splits.complete:
        caption += " The model file lists the longest regions only."
    titles = {"contig_bases": "Bases of the contig"}
    yield Table("Splits", caption, pl.DataFrame(rows), titles)


def _pretraining(spec: ModelSpec, file: Path) -> Iterator[Part]:
    try:
        records = stored_pretrainings(spec.training, file)
    except InputError as error:
        yield Absent("the pretrained layers", str(error))
        return
    for record in records:
        rows = [
            {
                "layer": one.name,
                "shape": " × ".join(map(str, one.shape)),
                "origin": one.origin,
                "detail": one.detail,
            }
            for one in record.layers
        ]
        yield Table(
            f"Layers taken from {record.model}",
            "Origin of the initial values of each layer: taken from the other model, new, or "
            "taken for some tracks.",
            pl.DataFrame(
                rows, schema=dict.fromkeys(("layer", "shape", "origin", "detail"), pl.String)
            ),
        )


def _settings(path: Path, spec: ModelSpec) -> Iterator[Part]:
    tables: Mapping[str, Any] = {"recipe": spec.training.get("recipe", {})}
    if path.is_dir():
        try:
            tables = read_toml(path / CONFIG)
        except InputError as error:
            yield Absent("the configuration", str(error))
    rows = [
        {"section": section, "setting": name, "value": _plain(value)}
        for section, entries in tables.items()
        if isinstance(entries, Mapping)
        for name, value in entries.items()
    ]
    if rows:
        yield Table("Settings", "Settings of the training, as it used them.", pl.DataFrame(rows))


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
