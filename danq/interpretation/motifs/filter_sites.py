"""Sites of the first layer's filters: the subsequences that activate each filter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numba
import numpy as np
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from danq.core import OneHotConv
from danq.core.filter_lookup import CODES, pair_codes, pair_table
from danq.datasets.column_summary import total_amounts
from danq.errors import InputError
from danq.genome.motif_matrix import Motif
from danq.genome.nucleotide_codes import reverse_complement
from danq.interpretation.motifs import _filter_kernels as kernels
from danq.models.run_options import Strand
from danq.progress import counted
from danq.track_names import select_tracks
from danq.typing import CodeBatch, IntRow

if TYPE_CHECKING:
    from danq.datasets.dataset import Dataset

Rule = Literal["argmax", "half-max"]
RULES: tuple[Rule, ...] = get_args(Rule)
BATCH_SIZE = 512

HIGHEST = 0.1
"""Share of the windows with the highest amounts of a track in which motifs are found."""


@dataclass(frozen=True, eq=False)
class FilterSites:
    """Counts of bases at the sites of each filter.

    Attributes
    ----------
    counts
        ``(F, W, 4)`` number of sites with A, C, G and T at each filter position. Unknown bases
        are not counted.
    sites
        ``(F,)`` number of sites of each filter.
    maximum
        ``(F,)`` maximum activation before the ReLU over all sequences; -inf without sequences.
    active
        ``(F,)`` number of sequences with an activation above 0.
    sequences
        Number of sequences. A window and its reverse complement are two sequences.
    widths
        ``(F,)`` width of each filter; W is that of the widest ones.
    """

    counts: Int64[np.ndarray, "F W 4"]
    sites: Int64[np.ndarray, " F"]
    maximum: Float32[np.ndarray, " F"]
    active: Int64[np.ndarray, " F"]
    sequences: int
    widths: Int64[np.ndarray, " F"]

    def motif(self, index: int) -> Motif:
        """Base frequencies at the sites of one filter, named ``filter_NNN``.

        A filter position with unknown bases only gets a frequency of 1/4 for each base.
        """
        counts = self.counts[index, : self.widths[index]]
        totals = counts.sum(axis=1, keepdims=True)
        rows = np.where(totals > 0, counts / np.maximum(totals, 1), 0.25)
        width = len(str(len(self.sites) - 1))
        return Motif(f"filter_{index:0{width}d}", rows, int(self.sites[index]))

    def motifs(self) -> list[Motif]:
        """Motifs of all filters that have sites."""
        return [self.motif(int(index)) for index in np.flatnonzero(self.sites)]


def find_filter_sites(
    layers: OneHotConv | Sequence[OneHotConv],
    batches: Sequence[CodeBatch] | WindowBatches,
    *,
    rule: Rule = "argmax",
) -> FilterSites:
    """Collect the sites of every filter in a set of sequences.

    Parameters
    ----------
    layers
        The first layer of a model, or its layers of several widths, whose filters are numbered one
        layer after the other. They are applied on the CPU in float32.
    batches
        Batches ``(B, L)`` of codes. The rule ``"half-max"`` reads them twice.
    rule
        ``"argmax"``: the subsequence with the maximum activation in each sequence (the leftmost of
        equals), if that is above 0, as in DanQ. ``"half-max"``: every subsequence with an
        activation above half of the filter's maximum over all sequences, as in Basset.

    Raises
    ------
    InputError
        When the rule does not exist or a sequence is shorter than a filter.

    Notes
    -----
    Quang & Xie, Nucleic Acids Research 44:e107 (2016); Kelley, Snoek & Rinn, Genome Research
    26:990 (2016). Activations are those before max-pooling.
    """
    if rule not in RULES:
        raise InputError(f"the rule is '{rule}'", remedy=f"Choose {' or '.join(RULES)}")
    layers = [layers] if isinstance(layers, OneHotConv) else layers
    each = [_sites_of(layer, batches, rule) for layer in layers]
    widest = max(one.counts.shape[1] for one in each)
    counts = [
        np.pad(one.counts, ((0, 0), (0, widest - one.counts.shape[1]), (0, 0))) for one in each
    ]
    return FilterSites(
        np.concatenate(counts),
        np.concatenate([one.sites for one in each]),
        np.concatenate([one.maximum for one in each]),
        np.concatenate([one.active for one in each]),
        each[0].sequences,
        np.concatenate([one.widths for one in each]),
    )


def _sites_of(
    layer: OneHotConv, batches: Sequence[CodeBatch] | WindowBatches, rule: Rule
) -> FilterSites:
    """Sites of the filters of one layer."""
    weight, bias = (_numpy(values) for values in layer.filters())
    filters, _, width = weight.shape
    table = pair_table(weight, bias, layer.unknown)
    counts = np.zeros((filters, width, CODES), np.int64)
    sites, active = np.zeros(filters, np.int64), np.zeros(filters, np.int64)
    maximum = np.full(filters, -np.inf, np.float32)
    sequences = 0
    for codes in _checked(batches, width):
        value = np.empty((len(codes), filters), np.float32)
        position = np.empty(value.shape, np.int32)
        kernels.best_sites(pair_codes(codes), table, width, value, position)
        maximum = np.maximum(maximum, value.max(axis=0))
        active += (value > 0).sum(axis=0)
        sequences += len(codes)
        if rule == "argmax":
            kernels.count_best_sites(codes, value, position, counts, sites)
    if rule == "half-max":
        threshold = np.where(maximum > 0, maximum / 2, np.inf).astype(np.float32)
        shares = numba.get_num_threads()
        counts_by_share = np.zeros((shares, *counts.shape), np.int64)
        sites_by_share = np.zeros((shares, filters), np.int64)
        for codes in _checked(batches, width):
            kernels.count_sites_above(
                codes, pair_codes(codes), table, threshold, counts_by_share, sites_by_share
            )
        counts, sites = counts_by_share.sum(axis=0), sites_by_share.sum(axis=0)
    widths = np.full(filters, width)
    return FilterSites(counts[..., :4], sites, maximum, active, sequences, widths)


@dataclass(frozen=True)
class WindowBatches:
    """Batches of windows of a dataset. They can be iterated several times.

    Attributes
    ----------
    dataset
        The dataset.
    indices
        ``(N,)`` indices of the windows.
    strand
        ``"both"`` yields each batch and then its reverse complement, as in the test set of DanQ.
        ``"forward"`` yields the windows as they are.
    batch_size
        Number of windows in a batch.
    """

    dataset: Dataset
    indices: IntRow
    strand: Strand = "both"
    batch_size: int = BATCH_SIZE

    def __len__(self) -> int:
        return -(-len(self.indices) // self.batch_size) * (2 if self.strand == "both" else 1)

    def __iter__(self) -> Iterator[CodeBatch]:
        for start in range(0, len(self.indices), self.batch_size):
            codes = self.dataset.codes(self.indices[start : start + self.batch_size])
            yield codes
            if self.strand == "both":
                yield reverse_complement(codes)


def motif_windows(dataset: Dataset, split: str, tracks: Sequence[str] | None = None) -> IntRow:
    """Indices of the windows of a split that are positive, or have high amounts, for some tracks.

    A window with a high amount is among the tenth of the measured windows of the split with the
    highest amounts of a track, and above the lowest amount. The amount of a profile is its total.

    Parameters
    ----------
    dataset
        Windows with labels or amounts.
    split
        ``"train"``, ``"valid"`` or ``"test"``.
    tracks
        Names of the tracks. None uses all tracks.

    Raises
    ------
    InputError
        When the split or a track does not exist, or no window is positive or has a high amount.
    """
    peaks, columns = dataset.peaks.size, tuple(range(len(dataset.tracks)))
    if tracks is not None:
        columns = select_tracks(
            tracks,
            dataset.tracks,
            owner="the dataset",
            listing="the summary of the dataset",
            file=dataset.path,
        )
    indices = dataset.indices(split)
    parts = np.array_split(indices, max(1, len(indices) // 65536))
    of_peaks = [column for column in columns if column < peaks]
    chosen = np.concatenate([dataset.labels(part)[:, of_peaks].any(axis=1) for part in parts])
    of_amounts = [column - peaks for column in columns if column >= peaks]
    if of_amounts:
        amounts = np.concatenate([total_amounts(dataset, part)[:, of_amounts] for part in parts])
        for track in amounts.T:
            chosen |= _highest(track)
    if not chosen.any():
        which = ", ".join(tracks) if tracks else "any track"
        problem = "is positive" if of_peaks else "has a higher amount than others"
        raise InputError(
            f"no window of the {split} split {problem} for {which}",
            file=dataset.path,
            remedy="Choose another split or track",
        )
    return indices[chosen]


def _highest(amounts: Float32[np.ndarray, " N"]) -> Bool[np.ndarray, " N"]:
    """Whether an amount is among the share `HIGHEST` of the measured ones, and not the lowest."""
    known = amounts[~np.isnan(amounts)]
    if not known.size:
        return np.zeros(amounts.size, bool)
    count = max(1, round(HIGHEST * known.size))
    limit = np.partition(known, known.size - count)[known.size - count]
    return (amounts >= limit) & (amounts > known.min())


def _numpy(parameter: Tensor) -> np.ndarray:
    return np.ascontiguousarray(parameter.detach().float().cpu().numpy())


def _checked(batches: Iterable[CodeBatch], width: int) -> Iterator[CodeBatch]:
    for codes in counted(batches, "searching sites of filters", "batches"):
        if codes.ndim != 2 or codes.shape[1] < width:
            raise InputError(
                f"sequences of shape {codes.shape} are shorter than filters of width {width}"
            )
        if len(codes):
            yield np.ascontiguousarray(codes, np.uint8)
