"""A genome of one contig with random bases, and substitutions in it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

NAME = "chr1"

Variant = tuple[str, int, str, str]
"""Contig, 1-based position, REF and ALT."""


def random_bases(length: int) -> str:
    return "".join(np.random.default_rng(9).choice(list("ACGT"), length))


def substitutions(bases: str, positions: Iterable[int]) -> list[Variant]:
    """A substitution at each 0-based position: A to T, C to A, G to C, T to G."""
    return [(NAME, at + 1, bases[at], "ACGT"["ACGT".index(bases[at]) - 1]) for at in positions]


def write_contig(path: Path, bases: str) -> Path:
    """Write the genome as FASTA."""
    path.write_text(f">{NAME}\n{bases}\n")
    return path
