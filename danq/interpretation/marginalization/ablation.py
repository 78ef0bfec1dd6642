"""Ablation: replace the instances of a motif in real sequences, or everything around them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Bool

from danq.datasets.dataset import Dataset
from danq.genome.dinucleotide_shuffle import dinucleotide_shuffles
from danq.genome.motif_instances import count_instances, find_instances
from danq.genome.motif_matrix import Motif
from danq.genome.nucleotide_codes import N
from danq.inference.mutagenesis.effects import EffectScorer, Substitutions
from danq.interpretation.marginalization.backgrounds import SPLIT, Windows, sample
from danq.interpretation.marginalization.experiments import track_frame
from danq.interpretation.marginalization.insertions import Moments
from danq.progress import counted
from danq.typing import CodeBatch, Codes

SHUFFLES = 10
"""Shuffled sequences whose bases replace those of a sequence, one after the other."""

_CHUNK = 4096

log = logging.getLogger("danq")


class Ablated(NamedTuple):
    """Sequences with a motif.

    Attributes
    ----------
    codes
        ``(N, L)`` windows with at least one instance.
    inside
        ``(N, L)`` bases of instances.
    found
        Number of sequences with an instance, of which these are all or some.
    """

    codes: CodeBatch
    inside: Bool[np.ndarray, "N L"]
    found: int


def sequences_with(
    motif: Motif, source: Windows | Dataset, count: int, seed: int, bin: int
) -> Ablated:
    """Sequences with an instance of a motif, at most ``count``, drawn at random.

    Parameters
    ----------
    motif
        The motif.
    source
        Windows; of a dataset, those test windows whose bin overlaps an instance, because
        neighbouring windows have the same instances.
    count
        Largest number of sequences.
    seed
        Random seed.
    bin
        Bases in the middle of a window.
    """
    rng = np.random.default_rng(seed)
    if isinstance(source, Windows):
        inside = find_instances(source.codes, motif)
        found = np.flatnonzero(inside.any(axis=1))
        chosen = sample(found, count, rng)
        return Ablated(source.codes[chosen], inside[chosen], len(found))
    first = source.window // 2 - bin // 2
    every = source.indices(SPLIT)
    hits = [
        some[find_instances(source.codes(some), motif)[:, first : first + bin].any(axis=1)]
        for some in np.split(every, range(_CHUNK, len(every), _CHUNK))
        if len(some)
    ]
    found = np.concatenate(hits) if hits else every
    chosen = sample(found, count, rng)
    codes = source.codes(chosen)
    return Ablated(codes, find_instances(codes, motif), len(found))


def ablation_effects(
    scorer: EffectScorer,
    motifs: Sequence[Motif],
    source: Windows | Dataset,
    tracks: Sequence[str],
    *,
    count: int,
    seed: int,
    bin: int,
) -> pl.DataFrame:
    """Effects of replacing all instances of a motif, and of shuffling everything around them.

    Instances are replaced by the bases that a shuffled copy of the sequence has there; for the
    flanks, the bases between the instances are shuffled. Both shuffles keep dinucleotides; effects
    are means over `SHUFFLES` of them, then over sequences.

    Returns
    -------
    polars.DataFrame
        ``motif``, ``sequences``, ``instances``, ``track``, ``effect``, ``sd``, ``se`` of the
        ablation, and ``flanks_effect``, ``flanks_sd``, ``flanks_se`` of shuffled flanks. A motif
        without an instance has no row.
    """
    parts = []
    for motif in counted(motifs, "replacing instances", "motifs", len(motifs)):
        some = sequences_with(motif, source, count, seed, bin)
        if not some.found:
            log.warning("'%s' has no instance in the sequences for the ablation", motif.name)
            continue
        if len(some.codes) < some.found:
            log.info(
                "'%s': %s of %s sequences with an instance are used, drawn at random",
                motif.name,
                f"{len(some.codes):,}",
                f"{some.found:,}",
            )
        moments = Moments()
        each = max(1, scorer.block // (2 * SHUFFLES))
        for start in range(0, len(some.codes), each):
            part = slice(start, start + each)
            moments.add(_effects(scorer, some.codes[part], some.inside[part], seed + start))
        statistics = (moments.mean, moments.deviation, moments.error)
        row: dict[str, Any] = {
            "motif": motif.name,
            "sequences": len(some.codes),
            "instances": count_instances(some.inside),
        }
        values = {
            f"{prefix}{name}": one[number : number + 1]
            for number, prefix in enumerate(("", "flanks_"))
            for name, one in zip(("effect", "sd", "se"), statistics, strict=True)
        }
        parts.append(track_frame([row], tracks, values))
    return pl.concat(parts) if parts else pl.DataFrame()


def _effects(
    scorer: EffectScorer, codes: CodeBatch, inside: Bool[np.ndarray, "N L"], seed: int
) -> np.ndarray:
    """``(N, 2, P)`` effects of the ablation and of shuffled flanks, means over shuffles."""
    base = np.stack(
        [
            one
            for number, (row, motif) in enumerate(zip(codes, inside, strict=True))
            for one in _replaced(row, motif, seed + number)
        ]
    )
    each = 2 * SHUFFLES
    owner = np.repeat(np.arange(len(codes)), each)
    position = np.broadcast_to(np.arange(codes.shape[1]), base.shape)
    values, _ = scorer.score(codes, Substitutions(owner, position, base))
    return values.mean.reshape(len(codes), 2, SHUFFLES, -1).mean(axis=2)


def _replaced(codes: Codes, inside: Bool[np.ndarray, "L"], seed: int) -> Iterator[Codes]:
    """Sequences with replaced instances, then those with shuffled flanks."""
    for shuffled in dinucleotide_shuffles(codes, SHUFFLES, seed):
        yield np.where(inside, shuffled, codes)
    for shuffled in dinucleotide_shuffles(np.where(inside, np.uint8(N), codes), SHUFFLES, seed):
        yield np.where(inside, codes, shuffled)
