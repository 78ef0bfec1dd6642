"""Filters of the first layer as motifs: what they see where they fire."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

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
RULES: tuple[Rule, ...] = ("argmax", "half-max")
BATCH_SIZE = 512


@dataclass(frozen=True, eq=False)
class FilterSites:
    """Bases at the sites of each filter.

    Attributes
    ----------
    counts
        ``(F, W, 4)`` sites that have A, C, G, T at each tap; unknown bases count for none.
    sites
        ``(F,)`` sites of each filter.
    maximum
        ``(F,)`` largest activation before ReLU over all sequences, -inf where there is none.
    active
        ``(F,)`` sequences in which the filter fires: its activation is above 0 somewhere.
    sequences
        Sequences read; both strands of a window are two.
    rule
        Which sites were taken.
    """

    counts: Int64[np.ndarray, "F W 4"]
    sites: Int64[np.ndarray, " F"]
    maximum: Float32[np.ndarray, " F"]
    active: Int64[np.ndarray, " F"]
    sequences: int
    rule: Rule

    def motif(self, number: int) -> Motif:
        """Base frequencies at the sites of one filter, named ``filter_NNN``.

        Each tap is divided by the known bases seen at it; one that saw none is 1/4 each.
        """
        counts = self.counts[number]
        totals = counts.sum(axis=1, keepdims=True)
        rows = np.where(totals > 0, counts / np.maximum(totals, 1), 0.25)
        return Motif(self.name(number), rows, int(self.sites[number]))

    def name(self, number: int) -> str:
        """Name of a filter: its 0-based number, as wide as the largest."""
        return f"filter_{number:0{len(str(len(self.sites) - 1))}d}"

    def motifs(self, least_sites: int = 1) -> list[Motif]:
        """Motifs of all filters that have so many sites, in their order."""
        wanted = np.flatnonzero(self.sites >= max(1, least_sites))
        return [self.motif(int(number)) for number in wanted]


def filter_sites(
    layer: OneHotConv,
    blocks: Sequence[CodeBatch] | BlockSource,
    *,
    rule: Rule = "argmax",
) -> FilterSites:
    """Collect the sites of every filter in a stream of sequences.

    Parameters
    ----------
    layer
        The motif filters; read on the CPU, in float32.
    blocks
        Batches ``(B, L)`` of codes. The rule "half-max" goes over them twice.
    rule
        ``"argmax"``: the place of each sequence where the filter's activation is largest (the
        leftmost of equals), if it is above 0, as the authors of DanQ did. ``"half-max"``:
        every place where the activation is above half of the filter's largest over all
        sequences, as the authors of Basset did.

    Raises
    ------
    InputError
        When the rule is neither, or a sequence is shorter than a filter.

    Notes
    -----
    Quang & Xie, Nucleic Acids Research 44:e107 (2016); Kelley, Snoek & Rinn, Genome Research
    26:990 (2016). Activations are those before the max-pool. A filter that fires nowhere has no
    sites.
    """
    if rule not in RULES:
        raise InputError(f"there is no rule '{rule}'", remedy=f"Choose {' or '.join(RULES)}")
    weight, bias = _numpy(layer.weight), _numpy(layer.bias)
    filters, _, width = weight.shape
    table = pair_table(weight, bias, layer.unknown)
    counts = np.zeros((filters, width, CODES), np.int64)
    sites, active = np.zeros(filters, np.int64), np.zeros(filters, np.int64)
    maximum = np.full(filters, -np.inf, np.float32)
    sequences = 0
    for codes in _checked(blocks, width):
        value = np.empty((len(codes), filters), np.float32)
        position = np.empty(value.shape, np.int32)
        kernels.best_positions(pair_codes(codes), table, width, value, position)
        maximum = np.maximum(maximum, value.max(axis=0))
        active += (value > 0).sum(axis=0)
        sequences += len(codes)
        if rule == "argmax":
            kernels.add_best(codes, value, position, counts, sites)
    if rule == "half-max":
        floor = np.where(maximum > 0, maximum / 2, np.inf).astype(np.float32)
        shares = numba.get_num_threads()
        some = np.zeros((shares, *counts.shape), np.int64), np.zeros((shares, filters), np.int64)
        for codes in _checked(blocks, width):
            kernels.add_above(codes, pair_codes(codes), table, floor, *some)
        counts, sites = some[0].sum(axis=0), some[1].sum(axis=0)
    return FilterSites(counts[..., :4], sites, maximum, active, sequences, rule)


@dataclass(frozen=True)
class BlockSource:
    """Batches of a dataset's windows that can be gone over more than once.

    Attributes
    ----------
    dataset
        The windows.
    indices
        ``(N,)`` numbers of those to read.
    strand
        ``"both"`` gives each batch and then its reverse complement, as the test set of DanQ's
        authors holds both; ``"forward"`` the windows as they are.
    batch_size
        Windows in a batch.
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


def choose_windows(dataset: Dataset, split: str, tracks: Sequence[str] | None = None) -> IntRow:
    """Windows of a split that are positive for a track.

    Parameters
    ----------
    dataset
        Labelled windows.
    split
        ``"train"``, ``"valid"`` or ``"test"``.
    tracks
        Names; a window counts that is positive for any of them. None for all tracks.

    Raises
    ------
    InputError
        When there is no such split or track, or no window is positive.
    """
    chosen = list(range(len(dataset.tracks)))
    if tracks is not None:
        chosen = list(
            select_tracks(
                tracks,
                dataset.tracks,
                owner="the dataset",
                listing="its summary",
                file=dataset.path,
            )
        )
    indices = dataset.indices(split)
    parts = np.array_split(indices, max(1, len(indices) // 65536))
    positive = np.concatenate([dataset.labels(part)[:, chosen].any(axis=1) for part in parts])
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


def _checked(blocks: Iterable[CodeBatch], width: int) -> Iterator[CodeBatch]:
    for codes in blocks:
        if codes.ndim != 2 or codes.shape[1] < width:
            raise InputError(
                f"sequences of shape {codes.shape} are shorter than filters of {width}"
            )
        if len(codes):
            yield np.ascontiguousarray(codes, np.uint8)
