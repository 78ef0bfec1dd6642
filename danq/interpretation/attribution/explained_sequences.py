"""The sequences to explain, as windows of the model."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

from danq.errors import InputError
from danq.genome.fasta import Genome
from danq.genome.nucleotide_codes import N
from danq.inference.ensemble import Ensemble
from danq.inference.evaluation.matching import open_for
from danq.inference.mutagenesis.batches import batches
from danq.inference.mutagenesis.targets import (
    Target,
    TargetWindow,
    open_targets,
    read_windows,
    target_spans,
)
from danq.inference.sources import Records, Regions, Source
from danq.interpretation.attribution.dataset_split import DatasetSplit
from danq.interpretation.motifs.filter_sites import motif_windows
from danq.progress import stage
from danq.typing import Codes

if TYPE_CHECKING:
    from danq.datasets.dataset import Dataset

log = logging.getLogger("danq")

MOST_UNKNOWN = 0.5
"""Largest fraction of N of a sequence that is explained."""

_BLOCK = 1 << 24
"""Bases of a contig that are counted together."""


class ExplainedSequences(ABC):
    """Sequences that are explained, in order.

    Attributes
    ----------
    key
        What names them: ``chrom`` or ``name``.
    sequences, bases
        Their number, and that of their bases.
    intervals
        Name, start and end of each.
    contigs
        Lengths of the contigs of their genome by name; None without a genome.
    """

    key: str
    intervals: list[tuple[str, int, int]]
    contigs: dict[str, int] | None

    @property
    def sequences(self) -> int:
        return len(self.intervals)

    @property
    def bases(self) -> int:
        return sum(end - start for _, start, end in self.intervals)

    @abstractmethod
    def batches(
        self, *, windows: int = 1, substitutions: int | None = None
    ) -> Iterator[list[TargetWindow]]:
        """Windows that are explained together, with their bases.

        Parameters
        ----------
        windows
            Number of windows.
        substitutions
            Number of substitutions of their bases, instead.
        """

    @abstractmethod
    def provenance(self) -> dict[str, str]:
        """Description of the input for the header of an output."""

    @abstractmethod
    def composition(self) -> Float64[np.ndarray, "4"]:
        """Fractions of A, C, G and T in the genome, or in all standalone sequences."""

    def sort_for_tracks(self) -> None:
        """Sort the sequences by contig and position.

        Raises
        ------
        InputError
            When two overlap: a track has one value per base.
        """
        order = sorted(range(self.sequences), key=lambda row: self.intervals[row])
        self._select(order)
        for (name, start, end), (other, following, _) in zip(
            self.intervals, self.intervals[1:], strict=False
        ):
            if name == other and following < end:
                raise InputError(
                    f"the sequences {name}:{start + 1}-{end} and the one from {following + 1} "
                    "overlap, and bigWig stores one value per base",
                    remedy="Merge the regions, or choose another format of output",
                )

    @abstractmethod
    def _select(self, rows: Sequence[int]) -> None:
        """Keep some sequences, in this order."""

    def _leave_out(self, unknown: Sequence[float]) -> None:
        """Leave out sequences with too many N.

        Raises
        ------
        InputError
            When none is left.
        """
        kept = [row for row, share in enumerate(unknown) if share <= MOST_UNKNOWN]
        count, total = len(unknown) - len(kept), len(unknown)
        if count:
            row = next(row for row, share in enumerate(unknown) if share > MOST_UNKNOWN)
            name, start, end = self.intervals[row]
            text = (
                f"{count:,} of {total:,} sequences are N in more than half of their bases; the "
                f"first is {name}:{start + 1}-{end}"
            )
            if not kept:
                raise InputError(f"there is nothing to explain: {text}")
            log.warning("left out: %s", text)
            self._select(kept)


class TargetSequences(ExplainedSequences):
    """Records, or regions of a genome.

    Parameters
    ----------
    source
        The source of the targets.
    targets
        The records or regions.
    ensemble
        Models.
    """

    def __init__(self, source: Source, targets: list[Target], ensemble: Ensemble) -> None:
        self._source, self._targets = source, targets
        self._window, self._step = ensemble.window, ensemble.bin
        self.key, self.contigs = source.key, None
        self.intervals = [(one.name, one.start, one.end) for one in targets]
        self._leave_out([_unknown(one.read(one.start, one.end)) for one in targets])

    def _select(self, rows: Sequence[int]) -> None:
        self._targets = [self._targets[row] for row in rows]
        self.intervals = [self.intervals[row] for row in rows]

    def batches(
        self, *, windows: int = 1, substitutions: int | None = None
    ) -> Iterator[list[TargetWindow]]:
        if substitutions is not None:
            each: Iterable = batches(self._targets, self._window, self._step, substitutions)
        else:
            spans = (
                span
                for target in self._targets
                for span in target_spans(target, self._window, self._step)
            )
            each = iter(lambda: list(islice(spans, windows)), [])
        return (read_windows(some, self._window) for some in each)

    def provenance(self) -> dict[str, str]:
        return self._source.provenance()

    def composition(self) -> Float64[np.ndarray, "4"]:
        if isinstance(self._source, Regions):
            with Genome(self._source.genome) as genome:
                return _fractions(
                    genome.codes(name, low, min(low + _BLOCK, length))
                    for name, length in genome.contigs.items()
                    for low in range(0, length, _BLOCK)
                )
        return _fractions(one.read(one.start, one.end) for one in self._targets)


class SplitSequences(ExplainedSequences):
    """Windows of a dataset.

    Parameters
    ----------
    dataset
        The dataset.
    split
        Split whose windows are explained.
    tracks
        Tracks of which the windows are positive; None for any track.

    Raises
    ------
    InputError
        When there is no such window.
    """

    def __init__(self, dataset: Dataset, split: str, tracks: Sequence[str] | None) -> None:
        indices = motif_windows(dataset, split, tracks)
        self.dataset, self._split, self._indices = dataset, split, indices
        self.contigs = None if dataset.standalone else dataset.genome.contigs
        self.key = "name" if dataset.standalone else "chrom"
        contigs, self._firsts = dataset.positions(indices)
        names = dataset.genome.names
        self.intervals = [
            (names[contig], max(first, 0), min(first + dataset.window, int(length)))
            for contig, first, length in zip(
                contigs.tolist(),
                self._firsts.tolist(),
                dataset.genome.lengths[contigs],
                strict=True,
            )
        ]
        self._leave_out(
            [
                _unknown(one.codes[one.low : one.high])
                for batch in self.batches(windows=1024)
                for one in batch
            ]
        )

    def _select(self, rows: Sequence[int]) -> None:
        self._indices, self._firsts = self._indices[list(rows)], self._firsts[list(rows)]
        self.intervals = [self.intervals[row] for row in rows]

    def batches(
        self, *, windows: int = 1, substitutions: int | None = None
    ) -> Iterator[list[TargetWindow]]:
        if substitutions is not None:
            windows = -(-substitutions // (3 * self.dataset.window))
        for low in range(0, self.sequences, windows):
            yield self._windows(slice(low, low + windows))

    def _windows(self, rows: slice) -> list[TargetWindow]:
        made = []
        for codes, first, (name, start, end) in zip(
            self.dataset.codes(self._indices[rows]),
            self._firsts[rows].tolist(),
            self.intervals[rows],
            strict=True,
        ):
            length = self.dataset.genome.contigs[name]
            target = Target(name, start, end, length, _unread)
            made.append(TargetWindow(target, codes, first, start - first, end - first))
        return made

    def provenance(self) -> dict[str, str]:
        name = self.dataset.path or "in memory"
        return {
            "dataset": f"{name} sha256:{self.dataset.sha256}",
            "split": f"{self._split}, windows that are positive for a track",
        }

    def composition(self) -> Float64[np.ndarray, "4"]:
        genome = self.dataset.genome
        return _fractions(genome.codes(name) for name in genome.names)


@contextmanager
def open_sequences(
    source: Source | DatasetSplit, ensemble: Ensemble
) -> Iterator[ExplainedSequences]:
    """The sequences of a source; bases of a genome are read on demand.

    Sequences that are N in more than half of their bases are left out, with a warning.

    Raises
    ------
    InputError
        As `danq.inference.mutagenesis.targets.open_targets`; when a dataset is damaged or does not
        match the models, or no window of it is positive; when every sequence is left out.
    """
    if isinstance(source, DatasetSplit):
        dataset = open_for(ensemble.models, source.dataset)
        every = len(ensemble.tracks) == len(dataset.tracks)
        yield SplitSequences(dataset, source.split, None if every else ensemble.tracks)
        return
    if not isinstance(source, Records | Regions):
        files = list(source.files().values())
        raise InputError(
            "is not a list of sequences or regions, and cannot be explained",
            file=files[0] if len(files) == 1 else None,
            remedy="Give a FASTA file, a BED file with its genome, a region, or a dataset with the "
            "split whose windows are explained",
        )
    with open_targets(source, ensemble.window, ensemble.bin) as targets:
        found = TargetSequences(source, targets, ensemble)
        if isinstance(source, Regions):
            with Genome(source.genome) as genome:
                found.contigs = dict(genome.contigs)
        yield found


def _unknown(codes: Codes) -> float:
    return float((codes == N).mean())


def _fractions(parts: Iterable[Codes]) -> Float64[np.ndarray, "4"]:
    """Fractions of A, C, G and T in all codes together; bases N do not count."""
    counts = np.zeros(4)
    with stage("counting bases"):
        for codes in parts:
            counts += np.bincount(codes, minlength=5)[:4]
    if not counts.any():
        raise InputError("there is no known base whose composition could be the baseline")
    return counts / counts.sum()


def _unread(low: int, high: int) -> Codes:
    raise AssertionError(f"bases {low} to {high} are read with their window")
