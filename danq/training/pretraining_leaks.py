"""Whether a pretrained model has seen the windows of a dataset that are held out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from danq.datasets.dataset import Dataset
from danq.errors import few
from danq.genome.contig_names import ContigBridge
from danq.models.training_record import Pretraining, Splits

OTHER_ASSEMBLY = 0.05
"""Largest relative difference of the lengths of a chromosome in two assemblies of a genome."""

log = logging.getLogger("danq")


def report_leaks(dataset: Dataset, records: Sequence[Pretraining], file: Path | None) -> None:
    """Warn of validation and test windows that a pretrained model was trained or selected on.

    Parameters
    ----------
    dataset
        The new dataset.
    records
        The model and all models that it started from itself.
    file
        File of the model, for messages.
    """
    if dataset.standalone:
        log.warning(
            "the windows of the dataset are standalone sequences: danq cannot check whether %s was "
            "trained on the sequences of its validation and test split",
            file,
        )
        return
    for record in records:
        name = file if record is records[-1] else f"{record.model}, from which {file} started,"
        if record.splits is None:
            log.warning(
                "%s does not record the regions that it was trained on. Make sure that it was not "
                "trained on those of the validation and test split (the published DanQ and DeepSEA "
                "held out chr8 and chr9 for test, and a part of chr7 for validation)",
                name,
            )
        else:
            _report(dataset, record.splits, str(name))


def _report(dataset: Dataset, known: Splits, name: str) -> None:
    leaks = 0
    for split, part, consequence in (
        ("test", "train", "metrics of the test split will be too good"),
        ("test", "valid", "metrics of the test split may be too good"),
        ("valid", "train", "the best epoch and the temperature are selected on known windows"),
    ):
        rows, inside, contigs = windows_within(dataset, split, known, part)
        if not inside.any():
            continue
        leaks += 1
        log.warning(
            "%s was %s on %s of %s %s windows (%s): %s. It held out %s",
            name,
            "trained" if part == "train" else "validated, and its epoch selected,",
            f"{int(inside.sum()):,}",
            f"{len(rows):,}",
            {"valid": "validation"}.get(split, split),
            few(contigs, 5),
            consequence,
            _held_out(known),
        )
    if not leaks:
        log.info(
            "%s was not trained on the validation and test windows%s",
            name,
            "" if known.complete else ", as far as it records its regions",
        )


def windows_within(
    dataset: Dataset, split: str, known: Splits, part: str
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Windows of a split whose bins overlap the regions of a split of another dataset.

    Contigs are compared by name and length. If the lengths differ by at most `OTHER_ASSEMBLY`, the
    genome is taken as another assembly, where positions differ: then any region of the contig
    counts for all its windows.

    Returns
    -------
    Indices of the windows of the split; whether each overlaps; and the contigs where one does.
    """
    rows = dataset.indices(split)
    inside = np.zeros(len(rows), np.bool_)
    lengths = dict(zip(dataset.genome.names, dataset.genome.lengths.tolist(), strict=True))
    bridge = ContigBridge(known.lengths, source="the pretrained model", lengths=lengths)
    contigs = []
    for number in np.unique(dataset.contig[rows]).tolist():
        name = dataset.genome.names[number]
        match = bridge.find(name)
        regions = getattr(known, part).get(match.contig, ())
        if match.contig is None or not regions:
            continue
        own = dataset.contig[rows] == number
        first = dataset.start[rows[own]]
        if match.same_length:
            inside[own] = _overlaps(first, first + dataset.bin, regions)
        else:
            ratio = known.lengths[match.contig] / max(1, lengths[name])
            inside[own] = abs(ratio - 1) <= OTHER_ASSEMBLY
        if inside[own].any():
            contigs.append(name)
    return rows, inside, contigs


def _overlaps(start: np.ndarray, end: np.ndarray, regions: Sequence[tuple[int, int]]) -> np.ndarray:
    ordered = np.array(sorted(regions), np.int64)
    furthest = np.append(-1, np.maximum.accumulate(ordered[:, 1]))
    return furthest[np.searchsorted(ordered[:, 0], end, side="left")] > start


def _held_out(known: Splits) -> str:
    """Contigs of which nothing was trained on, and the split that they were in."""
    parts = [
        f"{few([contig for contig in spans if contig not in known.train], 5)} ({name})"
        for name, spans in (("test", known.test), ("validation", known.valid))
        if any(contig not in known.train for contig in spans)
    ]
    return " and ".join(parts) or "no whole contig"
