"""Attributions with planted sites."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
import pytest

from danq.interpretation.attribution.attributions import Attributions

CONSENSUS = "CCGGGTAA"


class Planted(NamedTuple):
    """Attributions, and start and strand of the site of each sequence on its contig."""

    attributions: Attributions
    start: list[int]
    reverse: list[bool]


def attributions_of(codes: list[np.ndarray], hypothetical: list[np.ndarray]) -> Attributions:
    """Attributions of sequences that start at position 1000 of contigs of their own."""
    sizes = [len(one) for one in codes]
    base, values = np.concatenate(codes).astype(np.uint8), np.concatenate(hypothetical)
    values = np.where(base[:, None] == 4, np.nan, values).astype(np.float32)
    own = np.take_along_axis(values, np.minimum(base, 3)[:, None].astype(int), axis=1)
    sequences = pl.DataFrame(
        {
            "chrom": [f"chr{number}" for number in range(len(sizes))],
            "start": [1000] * len(sizes),
            "end": [1000 + size for size in sizes],
        }
    )
    return Attributions(
        method="ism",
        baseline="",
        key="chrom",
        tracks=("Reb1",),
        groups=("",),
        sequences=sequences,
        sequence=np.repeat(np.arange(len(sizes)), sizes).astype(np.uint32),
        position=np.concatenate([1000 + np.arange(size) for size in sizes]),
        base=base,
        attributions=own,
        hypothetical=values[:, :, None],
        provenance={"model": "yeast"},
    )


@pytest.fixture(scope="session")
def planted() -> Planted:
    """130 sequences of 150 to 170 bases, each with one site on either strand, and one base N."""
    rng = np.random.default_rng(7)
    motif = np.array(["ACGT".index(letter) for letter in CONSENSUS])
    codes, values, starts, reverses = [], [], [], []
    for _ in range(130):
        size = int(rng.integers(150, 171))
        base, contribution = rng.integers(0, 4, size), rng.laplace(0, 0.01, (size, 4))
        start, reverse = int(rng.integers(40, 100)), bool(rng.integers(2))
        site = 3 - motif[::-1] if reverse else motif
        where = slice(start, start + len(site))
        base[where] = site
        contribution[where] = -0.3
        contribution[np.arange(start, start + len(site)), site] = rng.uniform(0.6, 1.4, len(site))
        base[5] = 4
        codes.append(base)
        values.append(contribution)
        starts.append(1000 + start)
        reverses.append(reverse)
    return Planted(attributions_of(codes, values), starts, reverses)
