"""Sequences into which motifs are inserted, and real sequences whose motifs are replaced."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from danq.datasets.dataset import Dataset
from danq.errors import InputError
from danq.files.hdf5_input import is_hdf5
from danq.genome.dinucleotide_shuffle import dinucleotide_shuffles
from danq.genome.nucleotide_codes import N
from danq.inference.sources import Records, as_source
from danq.typing import CodeBatch, IntRow

GC = 0.4
"""GC content of random backgrounds, about that of the human and the yeast genome."""

SPLIT = "test"

log = logging.getLogger("danq")


@dataclass(frozen=True)
class Backgrounds:
    """Background sequences for `danq.marginalize`.

    Attributes
    ----------
    source
        A number between 0 and 1: random sequences with this GC content. The path of a dataset, or
        a `danq.Dataset`: test windows whose bases are shuffled and keep their dinucleotides.
        Sequences in memory or the path of a FASTA file, as for `danq.predict`: these sequences as
        they are; of one longer than the window, its middle.
    count
        Number of backgrounds, at least 2. If the source has more, they are drawn at random.
    seed
        Random seed.

    Raises
    ------
    InputError
        When the GC content is not between 0 and 1, there are fewer than 2 backgrounds, or the seed
        is negative.
    """

    source: Any = GC
    count: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        if self.gc is not None and not 0 < self.gc < 1:
            raise InputError(
                f"the GC content of backgrounds is {self.gc:g}, not between 0 and 1",
                remedy="Give a fraction such as 0.4",
            )
        if self.count < 2:
            raise InputError(
                f"{self.count} backgrounds were requested; a standard error needs at least 2",
                remedy="Use 100 or more",
            )
        if self.seed < 0:
            raise InputError(f"the random seed is {self.seed}", remedy="Use 0 or more")

    @property
    def gc(self) -> float | None:
        """GC content of random backgrounds; None for those of another source."""
        number = isinstance(self.source, int | float) and not isinstance(self.source, bool)
        return float(self.source) if number else None


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of sequences.

    Attributes
    ----------
    codes
        ``(N, L)`` codes.
    description
        What they are, for the header of an output.
    files
        Files that they were read from.
    """

    codes: CodeBatch
    description: str
    files: tuple[Path, ...] = ()


def background_windows(backgrounds: Backgrounds, window: int) -> Windows:
    """Make or read background sequences of the length of a model's window.

    Raises
    ------
    InputError
        When a file is missing or damaged, the windows of a dataset have another length, a sequence
        is shorter than the window, or there are fewer than 2.
    """
    rng = np.random.default_rng(backgrounds.seed)
    if backgrounds.gc is not None:
        gc, size = backgrounds.gc, (backgrounds.count, window)
        share = [(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2]
        codes = rng.choice(4, size=size, p=share).astype(np.uint8)
        return Windows(codes, f"{len(codes):,} random sequences, GC content {gc:g}")
    dataset = open_dataset(backgrounds.source, window)
    if dataset is None:
        return _records(backgrounds, window, "backgrounds", least=2)
    chosen = sample(dataset.indices(SPLIT), backgrounds.count, rng)
    _check_number(len(chosen), 2, dataset.path, f"windows in the {SPLIT} split")
    codes = dataset.codes(chosen)
    codes = np.stack(
        [
            dinucleotide_shuffles(row, 1, backgrounds.seed + number)[0]
            for number, row in enumerate(codes)
        ]
    )
    text = f"{len(codes):,} {SPLIT} windows of {_name(dataset)}, shuffled with their dinucleotides"
    return Windows(codes, text, () if dataset.path is None else (Path(dataset.path),))


def real_windows(source: Any, window: int) -> Windows | Dataset:
    """Real sequences, or the dataset of them.

    Raises
    ------
    InputError
        As `background_windows`; when the sequences are random.
    """
    if isinstance(source, int | float):
        raise InputError(
            f"the sequences for the ablation are the number {source:g}",
            remedy="Give a FASTA file, sequences or a dataset",
        )
    dataset = open_dataset(source, window)
    if dataset is not None:
        return dataset
    every = Backgrounds(source, count=2**31)
    return _records(every, window, "sequences for the ablation", least=1)


def open_dataset(source: Any, window: int) -> Dataset | None:
    """The dataset that a source is, with windows of this length; None for another source."""
    dataset = source if isinstance(source, Dataset) else None
    if isinstance(source, Path) and source.is_file() and is_hdf5(source):
        dataset = Dataset.open(source)
    if dataset is not None and dataset.window != window:
        raise InputError(
            f"the window of the dataset is {dataset.window:,} bp, that of the model is "
            f"{window:,} bp",
            file=dataset.path,
            remedy=f"Give a dataset with a window of {window:,}",
        )
    return dataset


def sample(indices: IntRow, count: int, rng: np.random.Generator) -> IntRow:
    """At most ``count`` of some indices, drawn at random, in their order."""
    if len(indices) <= count:
        return indices
    return np.sort(rng.choice(indices, count, replace=False))


def _records(backgrounds: Backgrounds, window: int, noun: str, *, least: int) -> Windows:
    source = as_source(backgrounds.source)
    files = tuple(map(Path, source.files().values()))
    file = files[0] if files else None
    if not isinstance(source, Records):
        raise InputError(
            f"{type(source).__name__} cannot be {noun}",
            file=file,
            remedy="Give sequences, a FASTA file or a dataset",
        )
    rows, longer = [], 0
    for name, codes in source.records():
        if len(codes) < window:
            raise InputError(
                f"the sequence has {len(codes):,} bases, fewer than the window of {window:,}",
                file=file,
                record=name,
                remedy=f"Give sequences of at least {window:,} bases",
            )
        longer += len(codes) > window
        first = (len(codes) - window) // 2
        rows.append(codes[first : first + window])
    _check_number(len(rows), least, file, "sequences")
    if longer:
        log.info(
            "%s longer than the window of %s bases: %s; the middle of each is used",
            noun,
            f"{window:,}",
            f"{longer:,}",
        )
    rng = np.random.default_rng(backgrounds.seed)
    chosen = sample(np.arange(len(rows)), backgrounds.count, rng)
    if len(chosen) < len(rows):
        log.info(
            "%s of %s %s are used, drawn at random", f"{len(chosen):,}", f"{len(rows):,}", noun
        )
    codes = np.stack([rows[number] for number in chosen]).astype(np.uint8)
    unknown = int((codes == N).any(axis=1).sum())
    if unknown:
        log.warning("%s of %s %s contain N", f"{unknown:,}", f"{len(codes):,}", noun)
    origin = next(iter(source.provenance().values()), "memory")
    return Windows(codes, f"{len(codes):,} sequences of {origin}", files)


def _check_number(count: int, least: int, file: Any, noun: str) -> None:
    if count < least:
        raise InputError(
            f"the number of {noun} is {count}, below the minimum of {least}",
            file=file,
            remedy="Give more sequences, or another source",
        )


def _name(dataset: Dataset) -> str:
    return "the dataset" if dataset.path is None else str(dataset.path)
