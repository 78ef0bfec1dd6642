"""The background distribution of variant scores, for E-values and quantiles."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64
from numba import prange

from danq._jit import parallel_kernel
from danq.datasets.hdf5_writer import writing
from danq.errors import InputError
from danq.files.hdf5_input import hdf5_errors, open_hdf5
from danq.inference.writers.hdf5 import write_header
from danq.output import replacing
from danq.provenance import Provenance

MAGIC = "danq-background"
FORMAT_VERSION = 2
SMALLEST = 1e-6
"""E-value in place of 0, as in DeepSEA."""

KEPT = 10_000
"""Maximum number of stored values per track. If there are more, half of them are the largest values
and the other half are at even ranks below."""


@dataclass(frozen=True, eq=False)
class Background:
    """Distribution of two scores over background variants, per track.

    Attributes
    ----------
    tracks
        Names of K tracks.
    count
        Number of variant alleles.
    rank
        ``(M,)`` ranks of the stored values, from 1 to ``count``, ascending.
    product, logit
        ``(K, M)`` absolute values at these ranks, ascending.
    conditions
        `danq.provenance.Provenance.identity` of what a run must share with the background:
        models, strand, window, indel anchor.
    provenance
        What it was made from, as text.
    """

    tracks: tuple[str, ...]
    count: int
    rank: np.ndarray
    product: Float32[np.ndarray, "K M"]
    logit: Float32[np.ndarray, "K M"]
    conditions: Mapping[str, Any]
    provenance: Mapping[str, str]

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the values, in hexadecimal."""
        sha = hashlib.sha256(f"{self.count} {self.tracks}".encode())
        for part in (self.rank, self.product, self.logit):
            sha.update(np.ascontiguousarray(part).data)
        return sha.hexdigest()

    def evalues(self, product: Float32[np.ndarray, "V K"]) -> Float64[np.ndarray, "V K"]:
        """Fraction of background variants with a larger product, at least 1e-6 (DeepSEA's E-value).

        Below the largest 5,000 values of a track, where values were thinned, a fraction may be too
        large by at most 2e-4.
        """
        shares = _shares(self.product, np.append(0, self.rank) / self.count, np.abs(product))
        return np.maximum(1 - shares, SMALLEST)

    def quantiles(self, logit: Float32[np.ndarray, "V K"]) -> Float64[np.ndarray, "V K"]:
        """Fraction of background variants with no larger logit magnitude, with the logit's sign."""
        shares = _shares(self.logit, np.append(0, self.rank) / self.count, np.abs(logit))
        return np.sign(logit) * shares

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
            self.conditions,
            self.provenance,
        )

    def save(self, path: Path, *, overwrite: bool = False) -> None:
        """Write the file; docs/formats.md describes it.

        Raises
        ------
        InputError
            As `danq.output.replacing`.
        """
        with replacing(path, overwrite) as temporary, writing(temporary) as file:
            write_header(
                file,
                MAGIC,
                FORMAT_VERSION,
                self.provenance,
                self.tracks,
                count=self.count,
                conditions=json.dumps(dict(self.conditions)),
            )
            file.create_dataset("rank", data=self.rank)
            file.create_dataset("product", data=self.product)
            file.create_dataset("logit", data=self.logit)


def read_background(path: str | Path) -> Background:
    """Read a background file.

    Raises
    ------
    InputError
        When the file is missing or damaged, or was not written by danq.
    """
    expected, remedy = "a background of danq (HDF5)", "Use a background file of danq"
    with (
        open_hdf5(path, expected, remedy=remedy) as file,
        hdf5_errors(path, expected, remedy=remedy),
    ):
        about: dict[str, Any] = dict(file.attrs)
        if about.get("magic") != MAGIC:
            raise InputError("is not a background of danq", file=path, remedy=remedy)
        version = about.get("format_version")
        if version != FORMAT_VERSION:
            raise InputError(
                f"background format version {version}, this danq reads {FORMAT_VERSION}",
                file=path,
                remedy="Make the background again",
            )
        return _checked(
            Background(
                tuple(file["tracks/name"].asstr()[:]),  # type: ignore[union-attr]
                int(about["count"]),
                file["rank"][:],  # type: ignore[index]
                file["product"][:],  # type: ignore[index]
                file["logit"][:],  # type: ignore[index]
                json.loads(about["conditions"]),
                json.loads(about["provenance"]),
            )
        )


def _checked(found: Background) -> Background:
    """Check that the arrays of a file fit each other; a ValueError says which does not."""
    shape = (len(found.tracks), len(found.rank))
    for name, array in (("product", found.product), ("logit", found.logit)):
        if array.shape != shape or array.dtype != np.float32:
            raise ValueError(f"'{name}' is {array.dtype} {array.shape}, not float32 {shape}")
    for name, value in (("conditions", found.conditions), ("provenance", found.provenance)):
        if not isinstance(value, dict):
            raise ValueError(f"'{name}' is not a JSON object")
    return found


def ranks(count: int, kept: int = KEPT) -> np.ndarray:
    """Ranks from 1 to ``count`` of the stored values: all, or a subset as described at `KEPT`."""
    if count <= kept:
        return np.arange(1, count + 1)
    tail = kept // 2
    even = np.linspace(1, count - tail, kept - tail).round().astype(np.int64)
    return np.append(even, np.arange(count - tail + 1, count + 1))


@parallel_kernel
def _shares(known, shares, values):
    """Fraction of a track's background that is no larger than each value, ``(V, K)``."""
    out = np.empty(values.shape)
    for track in prange(values.shape[1]):
        for row in range(values.shape[0]):
            at = np.searchsorted(known[track], values[row, track], side="right")
            out[row, track] = shares[at]
    return out
