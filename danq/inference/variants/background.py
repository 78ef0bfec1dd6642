"""The background distribution of variant scores, for E-values, quantiles and p-values."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64
from numba import prange
from numpy import ndarray

from danq._jit import parallel_kernel
from danq.errors import InputError
from danq.inference.variants.region_classes import RegionClasses
from danq.inference.variants.strata import Stratum, nested
from danq.provenance import Provenance
from danq.typing import BoolRow, IntRow

SMALLEST = 1e-6
"""E-value in place of 0, as in DeepSEA."""

KEPT = 10_000
"""Maximum number of stored values per track. If there are more, half of them are the largest values
and the other half are at even ranks below."""

FEWEST = 1000
"""Number of background variants below which a stratum is not used."""

TAIL = 1000
"""Number of largest values of a stratum that are all stored. Below them, the number of larger
values grows by less than 1 / `STEPS` from one stored value to the next."""

STEPS = 200


@dataclass(frozen=True, eq=False)
class StratumScores:
    """Distribution of one score over the background variants of a stratum, per track.

    Attributes
    ----------
    stratum
        Kind of variant and class of regions.
    count
        Number of variant alleles n.
    rank
        ``(M,)`` ranks of the stored values, as `tail_ranks`; empty for fewer than `FEWEST`
        variants.
    specific
        ``(K, M)`` values at these ranks, ascending.
    """

    stratum: Stratum
    count: int
    rank: IntRow
    specific: Float32[ndarray, "K M"]

    def p(self, specific: Float32[ndarray, "V K"]) -> Float32[ndarray, "V K"]:
        """``(1 + number of values at least as large as each) / (1 + n)``.

        Exact where at most `TAIL` values are as large, or all values are stored. Elsewhere it may
        be too large, never too small. NaN stays NaN.

        North, Curtis and Sham 2002, Am. J. Hum. Genet. 71, 439.
        """
        table = (1 + self.count - np.append(0, self.rank)) / (1 + self.count)
        return _at_least(self.specific, table, np.ascontiguousarray(specific))


@dataclass(frozen=True, eq=False)
class Background:
    """Distribution of three scores over background variants, per track.

    Attributes
    ----------
    tracks
        Names of K tracks.
    count
        Number of variant alleles.
    rank
        ``(M,)`` ranks of the stored values, from 1 to ``count``, ascending.
    product, logit, specific
        ``(K, M)`` absolute values at these ranks, ascending
        (`danq.inference.variants.allele_scores`).
    conditions
        `danq.provenance.Provenance.identity` of what a run must share with the background:
        models, strand, window, indel anchor.
    provenance
        What it was made from, as text.
    classes
        Classes of regions.
    strata
        ``specific`` by kind of variant and class of regions.
    """

    tracks: tuple[str, ...]
    count: int
    rank: IntRow
    product: Float32[ndarray, "K M"]
    logit: Float32[ndarray, "K M"]
    specific: Float32[ndarray, "K M"]
    conditions: Mapping[str, Any]
    provenance: Mapping[str, str]
    classes: RegionClasses = field(default_factory=RegionClasses)
    strata: tuple[StratumScores, ...] = ()

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the values, in hexadecimal."""
        sha = hashlib.sha256(f"{self.count} {self.tracks}".encode())
        for part in (self.rank, self.product, self.logit, self.specific):
            sha.update(np.ascontiguousarray(part).data)
        sha.update(self.classes.sha256().encode())
        for one in self.strata:
            sha.update(f"{one.stratum} {one.count}".encode())
            sha.update(np.ascontiguousarray(one.specific).data)
        return sha.hexdigest()

    def evalues(self, product: Float32[ndarray, "V K"]) -> Float64[ndarray, "V K"]:
        """Fraction of background variants with a larger product, at least 1e-6 (DeepSEA's E-value).

        Below the largest 5,000 values of a track, where values were thinned, a fraction may be too
        large by at most 2e-4.
        """
        shares = _shares(self.product, np.append(0, self.rank) / self.count, np.abs(product))
        return np.maximum(1 - shares, SMALLEST)

    def quantiles(self, logit: Float32[ndarray, "V K"]) -> Float64[ndarray, "V K"]:
        """Fraction of background variants with no larger logit magnitude, with the logit's sign."""
        shares = _shares(self.logit, np.append(0, self.rank) / self.count, np.abs(logit))
        return np.sign(logit) * shares

    @cached_property
    def _used(self) -> IntRow:
        """For each stratum by its number, the index in ``strata`` of the one that p is from.

        The smallest that contains it and has enough variants; -1 for all background variants.
        """
        index = {one.stratum: i for i, one in enumerate(self.strata) if len(one.rank)}
        chosen = [
            next((index[stratum] for stratum in each if stratum in index), -1)
            for each in nested(self.classes.names)
        ]
        return np.array(chosen, dtype=np.int64)

    @cached_property
    def unmatched(self) -> BoolRow:
        """For each stratum by its number, whether p is from a larger one."""
        own = [each[0] for each in nested(self.classes.names)]
        return np.array(
            [
                used < 0 or self.strata[used].stratum != stratum
                for used, stratum in zip(self._used, own, strict=True)
            ]
        )

    def p(self, specific: Float32[ndarray, "V K"], stratum: IntRow) -> Float32[ndarray, "V K"]:
        """Empirical p-values of the background variants of each variant's stratum.

        Parameters
        ----------
        specific
            As `danq.inference.variants.allele_scores.specific`, of the background's tracks.
        stratum
            ``(V,)`` numbers of strata, as `danq.inference.variants.strata.Strata.of`.
        """
        out = np.empty(specific.shape, dtype=np.float32)
        used = self._used[stratum]
        for index in np.unique(used):
            rows = used == index
            scores = self._all if index < 0 else self.strata[index]
            out[rows] = scores.p(specific[rows])
        return out

    @cached_property
    def _all(self) -> StratumScores:
        return StratumScores(Stratum("", ""), self.count, self.rank, self.specific)

    def select(self, tracks: Sequence[str], conditions: Provenance, file: Path) -> Background:
        """The background of some tracks, if it matches a run.

        Parameters
        ----------
        tracks
            Names of the tracks.
        conditions
            What the run must share with the background.
        file
            File of the background.

        Raises
        ------
        InputError
            When it was made with other models or settings, or lacks a track.
        """
        changed = conditions.difference(self.conditions, began="the background was made")
        if changed is not None:
            raise InputError(
                changed,
                file=file,
                remedy="Make a background with this model and these settings",
            )
        missing = [track for track in tracks if track not in self.tracks]
        if missing:
            raise InputError(
                f"the background has no track '{missing[0]}'",
                file=file,
                remedy="Make a background of all tracks",
            )
        rows = [self.tracks.index(track) for track in tracks]
        return Background(
            tuple(tracks),
            self.count,
            self.rank,
            self.product[rows],
            self.logit[rows],
            self.specific[rows],
            self.conditions,
            self.provenance,
            self.classes,
            tuple(replace(one, specific=one.specific[rows]) for one in self.strata),
        )


def ranks(count: int, kept: int = KEPT) -> IntRow:
    """Ranks from 1 to ``count`` of the stored values: all, or a subset as described at `KEPT`."""
    if count <= kept:
        return np.arange(1, count + 1)
    tail = kept // 2
    even = np.linspace(1, count - tail, kept - tail).round().astype(np.int64)
    return np.append(even, np.arange(count - tail + 1, count + 1))


def tail_ranks(count: int) -> IntRow:
    """Ranks from 1 to ``count`` of the stored values of a stratum, as described at `TAIL`.

    None for fewer than `FEWEST` variants.
    """
    if count < FEWEST:
        return np.zeros(0, dtype=np.int64)
    larger = list(range(min(count, TAIL + 1)))
    while larger[-1] + 1 < count:
        larger.append(min(count - 1, larger[-1] + max(1, larger[-1] // STEPS)))
    return count - np.array(larger[::-1], dtype=np.int64)


@parallel_kernel
def _at_least(known, table, values):
    """``table`` at the number of a track's ``known`` values below each value, ``(V, K)``."""
    out = np.empty(values.shape, dtype=np.float32)
    for track in prange(values.shape[1]):
        for row in range(values.shape[0]):
            value = values[row, track]
            at = np.searchsorted(known[track], value, side="left")
            out[row, track] = np.nan if np.isnan(value) else table[at]
    return out


@parallel_kernel
def _shares(known, shares, values):
    """Fraction of a track's background that is no larger than each value, ``(V, K)``."""
    out = np.empty(values.shape)
    for track in prange(values.shape[1]):
        for row in range(values.shape[0]):
            at = np.searchsorted(known[track], values[row, track], side="right")
            out[row, track] = shares[at]
    return out
