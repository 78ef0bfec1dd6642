"""Baselines of variant effects: a k-mer model, known motifs, and properties of the alleles."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Float32, Float64

from danq.amounts import unit_text
from danq.datasets import Dataset
from danq.errors import InputError
from danq.evaluation import KmerBaseline
from danq.evaluation.amount_baseline import AmountBaseline
from danq.files.hdf5_input import is_hdf5
from danq.genome.motif_files import read_motifs
from danq.genome.motif_matrix import Motif, scan
from danq.genome.variants import VariantBlock
from danq.inference.ensemble import Ensemble
from danq.inference.evaluation.fit_baselines import (
    fit_baseline_of_amounts,
    fit_baseline_of_peaks,
)
from danq.inference.variants.allele_scores import summarise
from danq.inference.variants.variant_input import AlleleWindows
from danq.track_names import select_tracks
from danq.typing import CodeBatch, Location

STRONG = 0.85
"""Share of the range from a motif's smallest to its largest score from which a match is strong."""

KINDS = ("substitution", "insertion", "deletion")

Row = Float64[np.ndarray, "V"]


class Baseline(ABC):
    """Scores variants without the model under evaluation.

    Attributes
    ----------
    meanings
        What each score is, by its name.
    unsigned
        Names of the scores without a sign.
    """

    meanings: ClassVar[Mapping[str, str]]
    unsigned: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def scores(self, windows: AlleleWindows) -> dict[str, Row]:
        """``(V,)`` values of each score; a larger magnitude predicts a larger effect."""


class AlleleBaseline(Baseline):
    """Properties of the alleles alone."""

    meanings: ClassVar[Mapping[str, str]] = {
        "gc_change": "G and C in the alternate allele minus those in the reference allele",
        "length_change": "bases of the alternate allele minus those of the reference allele",
        "kind": "transition 0, transversion 1, other substitution 2, insertion or deletion 3",
    }
    unsigned: ClassVar[frozenset[str]] = frozenset({"kind"})

    def scores(self, windows: AlleleWindows) -> dict[str, Row]:
        pairs = list(zip(windows.block.ref_allele, windows.block.alt_allele, strict=True))
        return {
            "gc_change": np.array([_gc(alt) - _gc(ref) for ref, alt in pairs], np.float64),
            "length_change": np.array([len(alt) - len(ref) for ref, alt in pairs], np.float64),
            "kind": np.array([_kind(ref, alt) for ref, alt in pairs], np.float64),
        }


@dataclass(frozen=True)
class KmerEffects(Baseline):
    """Change in the scores of the linear k-mer model that `danq.evaluate` has as its baseline.

    Attributes
    ----------
    model
        Fitted to the training windows of a dataset.
    tracks
        Indices of the selected tracks among those of the k-mer model.
    """

    model: KmerBaseline | AmountBaseline
    tracks: tuple[int, ...]

    name: ClassVar[str] = "kmer"
    meanings: ClassVar[Mapping[str, str]] = {
        "kmer_max": "k-mer model: change on the track with the largest change",
        "kmer_l2": "k-mer model: L2 norm of the changes over tracks",
    }
    unsigned: ClassVar[frozenset[str]] = frozenset({"kmer_l2"})

    def scores(self, windows: AlleleWindows) -> dict[str, Row]:
        reference = self.model.predict(windows.reference)
        changes = [self.model.predict(one) - reference for one in windows.alternates]
        change: Float32[np.ndarray, "V K"] = np.mean(changes, axis=0)[:, list(self.tracks)]
        largest, norm = summarise(np.ascontiguousarray(change))
        return {
            f"{self.name}_max": largest.astype(np.float64),
            f"{self.name}_l2": norm.astype(np.float64),
        }


class KmerAmountEffects(KmerEffects):
    """Change in the amounts of the k-mer model of tracks of amounts."""

    name: ClassVar[str] = "kmer_amount"
    meanings: ClassVar[Mapping[str, str]] = {
        "kmer_amount_max": "ridge regression of amounts on k-mers: change on the track with the "
        "largest change",
        "kmer_amount_l2": "ridge regression of amounts on k-mers: L2 norm of the changes over "
        "tracks",
    }
    unsigned: ClassVar[frozenset[str]] = frozenset({"kmer_amount_l2"})


def fit_kmers(path: Location, ensemble: Ensemble) -> list[Baseline]:
    """Fit k-mer models to a dataset: one to tracks of peaks, one to tracks of amounts.

    Raises
    ------
    InputError
        When the file is no dataset, lacks a track or has another kind of it, or has windows of
        another length.
    """
    dataset = Dataset.open(path)
    if dataset.window != ensemble.window:
        raise InputError(
            f"its windows have {dataset.window} bases, those of the model {ensemble.window}",
            file=path,
            remedy="Give the dataset that the model was trained on",
        )
    numbers = select_tracks(ensemble.tracks, dataset.tracks, owner="the dataset", file=path)
    peaks = dataset.peaks.size
    units = [*[None] * peaks, *dataset.units]
    wanted = ensemble.models[0].spec.track_units
    for number, index in zip(numbers, ensemble.track_indices, strict=True):
        if units[number] != wanted[index]:
            theirs, ours = map(unit_text, (units[number], wanted[index]))
            raise InputError(
                f"the unit of '{dataset.tracks[number]}' is {theirs}, that of the model {ours}",
                file=path,
                remedy="Give the dataset that the model was trained on",
            )
    of_peaks = tuple(one for one in numbers if one < peaks)
    of_amounts = tuple(one - peaks for one in numbers if one >= peaks)
    found: list[Baseline] = []
    if of_peaks:
        found.append(KmerEffects(fit_baseline_of_peaks(dataset), of_peaks))
    if of_amounts:
        found.append(KmerAmountEffects(fit_baseline_of_amounts(dataset), of_amounts))
    return found


@dataclass(frozen=True)
class MotifEffects(Baseline):
    """Matches of known motifs at and near the variant.

    Attributes
    ----------
    motifs
        At least one.
    center
        0-based position of the variant in the window.
    """

    motifs: Sequence[Motif]
    center: int

    meanings: ClassVar[Mapping[str, str]] = {
        "motif_max": "change in the best score (bits) of a motif at the variant, of the motif with "
        "the largest change",
        "motif_distance": "minus the bases from the variant to the nearest strong match of a "
        f"motif in the reference (at least {STRONG:.0%} of the range of its scores)",
    }
    unsigned: ClassVar[frozenset[str]] = frozenset({"motif_distance"})

    def scores(self, windows: AlleleWindows) -> dict[str, Row]:
        block, reference = windows.block, windows.reference
        change = np.zeros(len(block))
        nearest = np.full(len(block), float(reference.shape[1]))
        for motif in self.motifs:
            table = motif.log_odds()
            one = self._change(windows, table)
            change = np.where(np.abs(one) > np.abs(change), one, change)
            nearest = np.minimum(nearest, self._distance(reference, table, block))
        return {"motif_max": change, "motif_distance": -nearest}

    def _change(self, windows: AlleleWindows, table: np.ndarray) -> Row:
        """Best score with the alternate allele minus that with the reference allele.

        Only matches that overlap the allele count; that of an insertion or deletion begins with
        the base before it.
        """
        block, width = windows.block, len(table)
        low = max(0, self.center - width + 1)
        sizes_of = [np.char.str_len(np.array(one, dtype=str)) for one in _alleles(block)]
        indel = (sizes_of[0] != sizes_of[1]).astype(np.int64)
        best = []
        for codes, size in zip((windows.reference, windows.alternates[0]), sizes_of, strict=True):
            sizes = size + indel
            longest = int(sizes.max(initial=1))
            scores = scan(_part(codes, low, self.center + longest + width - 1), table)
            beyond = np.arange(scores.shape[1]) + low >= (self.center + sizes)[:, None]
            scores[beyond] = -np.inf
            best.append(scores.max(axis=1, initial=-np.inf).astype(np.float64))
        with np.errstate(invalid="ignore"):
            change = best[1] - best[0]
        return np.where(np.isfinite(change), change, 0.0)

    def _distance(self, codes: CodeBatch, table: np.ndarray, block: VariantBlock) -> Row:
        """Bases between the first base of the variant and the nearest strong match; 0 inside."""
        smallest, largest = table.min(axis=1).sum(), table.max(axis=1).sum()
        strong = scan(codes, table) >= smallest + STRONG * (largest - smallest)
        first = np.arange(strong.shape[1])
        last = first + len(table) - 1
        away = np.maximum(0, np.maximum(first - self.center, self.center - last))
        far = float(codes.shape[1])
        return np.where(strong, away, far).min(axis=1, initial=far)


def read_baselines(files: Sequence[Location], ensemble: Ensemble, center: int) -> list[Baseline]:
    """Baselines of files: a dataset (k-mer model) or motifs; and those that need no file.

    Raises
    ------
    InputError
        When a file is neither a dataset nor a file of motifs, or two are of one kind.
    """
    found: list[Baseline] = []
    seen = set()
    for path in files:
        what = "dataset" if is_hdf5(Path(path)) else "file of motifs"
        if what in seen:
            raise InputError(f"is the second {what}", file=path, remedy="Give one of each kind")
        seen.add(what)
        if what == "dataset":
            found += fit_kmers(path, ensemble)
        else:
            found.append(MotifEffects(read_motifs(path), center))
    return [*found, AlleleBaseline()]


def kind_of(ref: str, alt: str) -> str:
    """One of `KINDS`, from trimmed alleles."""
    if len(ref) == len(alt):
        return KINDS[0]
    return KINDS[1] if len(alt) > len(ref) else KINDS[2]


def _kind(ref: str, alt: str) -> int:
    if len(ref) != len(alt):
        return 3
    if len(ref) > 1:
        return 2
    return 0 if {ref, alt} in ({"A", "G"}, {"C", "T"}) else 1


def _gc(allele: str) -> int:
    return allele.count("G") + allele.count("C")


def _alleles(block: VariantBlock) -> tuple[list[str], list[str]]:
    return block.ref_allele, block.alt_allele


def _part(codes: CodeBatch, start: int, end: int) -> CodeBatch:
    return np.ascontiguousarray(codes[:, start : min(end, codes.shape[1])])
