"""The section on single windows: those that the model predicts best and worst, with logos."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from danq.datasets.dataset import Dataset
from danq.genome.nucleotide_codes import decode
from danq.inference.mutagenesis.mutate import mutate
from danq.inference.prediction.predict import predict
from danq.models import Model
from danq.report.content import Absent, MutationMap, Part, Section, Table
from danq.report.mutation_section import map_plot

SHOWN = 5
"""Best and worst windows in the table."""

MAPS = 2
"""Best, and worst, windows with a map of mutations."""

_FEWEST, _MOST = 200, 2_000
_WORK = 3_000_000_000
"""Windows times weights, about: half a minute of one processor."""


def window_section(path: Path, model: Model | Absent, dataset: Dataset | Absent) -> Section:
    """Section on the test windows that a model predicts best and worst.

    Parameters
    ----------
    path
        Run directory or model file, for the title.
    model
        The model, loaded; or why there is none.
    dataset
        Its dataset; or why there is none.
    """
    title = f"Best and worst windows: {path.name}"
    for one in (model, dataset):
        if isinstance(one, Absent):
            return Section(title, path, parts=(Absent("the best and worst windows", one.why),))
    assert isinstance(model, Model)
    assert isinstance(dataset, Dataset)
    return Section(title, path, parts=tuple(_parts(model, dataset)))


def _parts(model: Model, dataset: Dataset) -> Iterator[Part]:
    what = "the best and worst windows"
    peaks = [k for k, kind in enumerate(model.spec.kinds) if kind == "peaks"]
    if not peaks:
        yield Absent(what, "the model has no track of peaks")
        return
    if model.spec.tracks != dataset.tracks or model.spec.window != dataset.window:
        yield Absent(what, "the dataset has other tracks or windows than the model")
        return
    test = dataset.indices("test")
    positive = test[dataset.labels(test).any(axis=1)]
    if not positive.size:
        yield Absent(what, "no test window is positive")
        return
    weights = sum(parameter.numel() for parameter in model.module.parameters())
    most = int(np.clip(_WORK // max(1, weights), _FEWEST, _MOST))
    rows = positive[
        np.unique(np.linspace(0, positive.size - 1, min(most, positive.size)).astype(int))
    ]
    predicted = predict(model, dataset.codes(rows)).values[:, peaks].astype(np.float64)
    labels = dataset.labels(rows)[:, : len(peaks)].astype(bool)
    p = np.clip(predicted, 1e-7, 1 - 1e-7)
    loss = -np.where(labels, np.log(p), np.log(1 - p)).mean(axis=1)
    order = np.argsort(loss, kind="stable")
    chosen = [*order[:SHOWN], *order[::-1][:SHOWN]]
    tracks = [model.spec.tracks[k] for k in peaks]
    yield _table(dataset, rows, chosen, loss, labels, predicted, tracks, positive.size)
    for number in [*order[:MAPS], *order[::-1][:MAPS]]:
        yield _map(
            model,
            dataset,
            int(rows[number]),
            labels[number],
            predicted[number],
            tracks,
            number in order[:MAPS],
        )


def _place(dataset: Dataset, row: int) -> tuple[str, int, int]:
    start = int(dataset.start[row])
    return dataset.genome.names[int(dataset.contig[row])], start, start + dataset.bin


def _table(
    dataset: Dataset,
    rows: np.ndarray,
    chosen: list[int],
    loss: np.ndarray,
    labels: np.ndarray,
    predicted: np.ndarray,
    tracks: list[str],
    positives: int,
) -> Table:
    found = []
    for position, number in enumerate(chosen):
        contig, start, end = _place(dataset, int(rows[number]))
        own = np.flatnonzero(labels[number])
        named = ", ".join(f"{tracks[k]} ({predicted[number, k]:.2f})" for k in own[:6])
        wrong = [
            k
            for k in np.argsort(-predicted[number])
            if not labels[number, k] and predicted[number, k] > 0.5
        ]
        found.append(
            {
                "window": f"{contig}:{start + 1:,}-{end:,}",
                "which": "best" if position < SHOWN else "worst",
                "loss": float(loss[number]),
                "observed": named + (f" and {own.size - 6} more" if own.size > 6 else ""),
                "also_predicted": ", ".join(
                    f"{tracks[k]} ({predicted[number, k]:.2f})" for k in wrong[:6]
                ),
            }
        )
    few = (
        ""
        if len(rows) == positives
        else f" Of {positives:,} positive windows, {len(rows):,} at equal distances were compared."
    )
    return Table(
        "Windows with the smallest and the largest loss",
        "Test windows with a positive track: the best have the smallest loss over all tracks. "
        "Observed: the tracks with a peak, with their predicted probabilities. Predicted without a "
        f"peak: tracks with a probability above 0.5 and no peak.{few}",
        pl.DataFrame(found),
        {
            "which": "Best or worst",
            "also_predicted": "Predicted without a peak",
            "loss": "Loss (nats)",
        },
    )


def _map(
    model: Model,
    dataset: Dataset,
    row: int,
    labels: np.ndarray,
    predicted: np.ndarray,
    tracks: list[str],
    best: bool,
) -> Part:
    """Mutations of the bin, on the observed track with the best prediction, or with the worst."""
    own = np.flatnonzero(labels)
    k = own[(np.argmax if best else np.argmin)(predicted[own])]
    contig, start, _ = _place(dataset, row)
    codes = dataset.codes(np.array([row]))[0]
    effects = mutate(model, {"window": decode(codes)}, tracks=[tracks[k]]).values[:, :, 0]
    first = dataset.window // 2 - dataset.bin // 2
    part = slice(first, first + min(dataset.bin, 200))
    drawn = MutationMap(contig, start, codes[part], effects[part], "change in log2 odds, bits")
    which = "Best" if best else "Worst"
    return map_plot(
        f"{which} window {contig}:{start + 1:,}, track {tracks[k]} (predicted {predicted[k]:.2f})",
        drawn,
        tracks[k],
    )
