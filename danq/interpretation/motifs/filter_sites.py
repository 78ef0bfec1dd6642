"""Sites of the first layer's filters: the subsequences that activate each filter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numba
import numpy as np
from jaxtyping import Float32, Int64
from torch import Tensor

from danq.core import OneHotConv
from danq.core.filter_lookup import CODES, pair_codes, pair_table
from danq.errors import InputError
from danq.genome.motif_matrix import Motif
from danq.genome.nucleotide_codes import reverse_complement
from danq.interpretation.motifs import _filter_kernels as kernels
from danq.models.run_options import Strand
from danq.track_names import select_tracks
from danq.typing import CodeBatch, IntRow

if TYPE_CHECKING:
    from danq.datasets.dataset import Dataset

Rule = Literal["argmax", "half-max"]
RULES: tuple[Rule, ...] = get_args(Rule)
BATCH_SIZE = 512


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
    """

    counts: Int64[np.ndarray, "F W 4"]
    sites: Int64[np.ndarray, " F"]
    maximum: Float32[np.ndarray, " F"]
    active: Int64[np.ndarray, " F"]
    sequences: int

    def motif(self, index: int) -> Motif:
        """Base frequencies at the sites of one filter, named ``filter_NNN``.

        A filter position with unknown bases only gets a frequency of 1/4 for each base.
        """
        counts = self.counts[index]
        totals = counts.sum(axis=1, keepdims=True)
        rows = np.where(totals > 0, counts / np.maximum(totals, 1), 0.25)
        width = len(str(len(self.sites) - 1))
        return Motif(f"filter_{index:0{width}d}", rows, int(self.sites[index]))

    def motifs(self) -> list[Motif]:
        """Motifs of all filters that have sites."""
        return [self.motif(int(index)) for index in np.flatnonzero(self.sites)]


def find_filter_sites(
    layer: OneHotConv,
    batches: Sequence[CodeBatch] | WindowBatches,
    *,
    rule: Rule = "argmax",
) -> FilterSites:
    """Collect the sites of every filter in a set of sequences.

    Parameters
    ----------
    layer
        The first layer of a model. It is applied on the CPU in float32.
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
    weight, bias = _numpy(layer.weight), _numpy(layer.bias)
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
    return FilterSites(counts[..., :4], sites, maximum, active, sequences)


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

    def __iter__(self) -> Iterator[CodeBatch]:
        for start in range(0, len(self.indices), self.batch_size):
            codes = self.dataset.codes(self.indices[start : start + self.batch_size])
            yield codes
            if self.strand == "both":
                yield reverse_complement(codes)


def positive_windows(dataset: Dataset, split: str, tracks: Sequence[str] | None = None) -> IntRow:
    """Indices of the windows of a split that are positive for at least one track.

    Parameters
    ----------
    dataset
        Labelled windows.
    split
        ``"train"``, ``"valid"`` or ``"test"``.
    tracks
        Names of the tracks. None uses all tracks of peaks.

    Raises
    ------
    InputError
        When the split or a track does not exist, a track is not of peaks, or no window is positive.
    """
    columns = list(range(dataset.peaks.size))
    if tracks is not None:
        columns = list(
            select_tracks(
                tracks,
                dataset.tracks,
                owner="the dataset",
                listing="the summary of the dataset",
                file=dataset.path,
            )
        )
    if not columns or max(columns) >= dataset.peaks.size:
        raise InputError(
            "motifs are found in positive windows of tracks of peaks, and "
            + (
                f"'{dataset.tracks[max(columns)]}' is of amounts"
                if columns
                else "every track is of amounts"
            ),
            file=dataset.path,
            remedy="Select tracks of peaks, or use a dataset with peaks",
        )
    indices = dataset.indices(split)
    parts = np.array_split(indices, max(1, len(indices) // 65536))
    positive = np.concatenate([dataset.labels(part)[:, columns].any(axis=1) for part in parts])
    if not positive.any():
        which = ", ".join(tracks) if tracks else "any track"
        raise InputError(
            f"no window of the {split} split is positive for {which}",
            file=dataset.path,
            remedy="Choose another split or track",
        )
    return indices[positive]


def _numpy(parameter: Tensor) -> np.ndarray:
    return np.ascontiguousarray(parameter.detach().float().cpu().numpy())


def _checked(batches: Iterable[CodeBatch], width: int) -> Iterator[CodeBatch]:
    for codes in batches:
        if codes.ndim != 2 or codes.shape[1] < width:
            raise InputError(
                f"sequences of shape {codes.shape} are shorter than filters of width {width}"
            )
        if len(codes):
            yield np.ascontiguousarray(codes, np.uint8)
