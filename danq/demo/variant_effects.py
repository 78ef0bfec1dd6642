"""Predicted effects of simulated variants, compared with their known effects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Float32

from danq._version import __version__
from danq.errors import InputError
from danq.inference.variants.score import score_variants
from danq.inference.variants.variant_source import Variants
from danq.inference.writers.tsv import write_table
from danq.models import Model
from danq.output import replacing
from danq.simulation.ground_truth import KnownVariant
from danq.simulation.simulator import Truth


def predicted_effects(model: Model, truth: Truth, genome: Path) -> Float32[np.ndarray, "N K"]:
    """Effects of the variants of a simulation, predicted by `danq.score_variants`.

    Parameters
    ----------
    model
        A trained model with K tracks.
    truth
        Ground truth with N variants. Each variant is at the centre of its window.
    genome
        FASTA of the simulated genome.

    Returns
    -------
    ndarray
        ``(N, K)`` change in log2 odds (bits), alternate minus reference.

    Raises
    ------
    InputError
        When the genome cannot be read or does not match a variant.
    """
    rows = [(one.contig, one.pos, one.ref, one.alt, one.id) for one in truth.variants]
    # The known effects are those on the bin centred on the variant.
    variants = Variants(rows, center=model.spec.window // 2)
    scores = score_variants(model, variants, genome, scores=("logit",))
    if len(scores) != len(rows):
        raise InputError(
            f"does not match {len(rows) - len(scores)} of the {len(rows)} variants", file=genome
        )
    return scores.values[:, : len(model.tracks)]


def known_effect(variant: KnownVariant, track: str) -> float:
    """Known effect of a simulated variant in bits; the simulator stores natural log odds."""
    return variant.effect[track] / math.log(2)


def compare_effects(
    truth: Truth, tracks: Sequence[str], effects: Float32[np.ndarray, "N K"]
) -> dict[str, float]:
    """Compare predicted with known effects of variants.

    Parameters
    ----------
    truth
        Ground truth with N variants and their known effects.
    tracks
        Names of the columns of ``effects``.
    effects
        ``(N, K)`` predicted effects in bits, as returned by `predicted_effects`.

    Returns
    -------
    dict
        ``effective``: number of variants that create or destroy binding on a track. For these
        variants, on their own track: ``correlation`` (Pearson) of predicted and known effects;
        ``sign_agreement``, the fraction with the correct sign; ``median_effect``, the median
        absolute predicted effect. ``neutral``: number of neutral variants;
        ``median_neutral_effect``, the median of their absolute predicted effect, averaged over
        tracks. Undefined values are NaN.
    """
    predicted, known, neutral = [], [], []
    for row, one in zip(effects, truth.variants, strict=True):
        if one.kind in ("breaking", "releasing"):
            predicted.append(float(row[list(tracks).index(one.track)]))
            known.append(known_effect(one, one.track))
        elif one.kind.startswith("neutral"):
            neutral.append(float(np.abs(row).mean()))
    defined = len(predicted) > 1 and np.std(predicted) > 0 and np.std(known) > 0
    signs = np.sign(predicted) == np.sign(known)
    return {
        "effective": len(predicted),
        "correlation": float(np.corrcoef(predicted, known)[0, 1]) if defined else math.nan,
        "sign_agreement": float(np.mean(signs)) if predicted else math.nan,
        "median_effect": float(np.median(np.abs(predicted))) if predicted else math.nan,
        "neutral": len(neutral),
        "median_neutral_effect": float(np.median(neutral)) if neutral else math.nan,
    }


def write_effects(
    path: Path,
    truth: Truth,
    tracks: Sequence[str],
    effects: Float32[np.ndarray, "N K"],
    overwrite: bool,
) -> None:
    """Write predicted and known effects as TSV, one row per variant.

    Parameters
    ----------
    path
        File to write. Each track has the columns ``<track>_logit`` (predicted) and
        ``<track>_known_logit``, both in bits.
    truth
        Ground truth with N variants and their known effects.
    tracks
        Names of the columns of ``effects``.
    effects
        ``(N, K)`` predicted effects in bits, as returned by `predicted_effects`.
    overwrite
        Whether to replace an existing file.

    Raises
    ------
    InputError
        When the file exists and ``overwrite`` is false, or it cannot be written.
    """
    rows = [
        {
            "chrom": one.contig,
            "pos": one.pos,
            "id": one.id,
            "ref": one.ref,
            "alt": one.alt,
            "kind": one.kind,
            **{f"{track}_logit": float(value) for track, value in zip(tracks, row, strict=True)},
            **{f"{track}_known_logit": known_effect(one, track) for track in tracks},
        }
        for one, row in zip(truth.variants, effects, strict=True)
    ]
    notes = (
        f"created by danq {__version__} (demo)",
        "pos is 1-based; effects are changes in log2 odds, alternate - reference",
        "the variant is at index window/2 of its window (danq variants: window/2 - 1 by default)",
    )
    table = pl.DataFrame(rows).with_columns(pl.selectors.float().round(4))
    with replacing(path, overwrite) as temporary:
        write_table(temporary, table, {}, *notes)
