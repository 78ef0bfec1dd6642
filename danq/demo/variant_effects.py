"""Effects of a simulation's variants: as a model predicts them, and as they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Float32

from danq._version import __version__
from danq.errors import InputError
from danq.inference.variants.score import score_variants as score
from danq.inference.variants.variant_input import Variants
from danq.models import Model
from danq.output import replacing
from danq.simulation.simulator import Truth


def score_variants(
    model: Model,
    truth: Truth,
    genome: str | Path,
) -> Float32[np.ndarray, "N K"]:
    """Predicted effect of each variant of a truth, as `danq.score_variants` finds it.

    Parameters
    ----------
    model
        A trained model, K tracks.
    truth
        Its N variants are scored, in windows in whose middle they stand.
    genome
        FASTA of the reference.

    Returns
    -------
    ndarray
        ``(N, K)`` change in natural log odds, alternate minus reference.

    Raises
    ------
    InputError
        When the genome cannot be read or a variant does not fit it.
    """
    rows = [(one.contig, one.pos, one.ref, one.alt, one.id) for one in truth.variants]
    # The true model is centred on the bin.
    variants = Variants(rows, center=model.spec.window // 2)
    scores = score(model, variants, genome, scores=("logit",))
    if len(scores) != len(rows):
        raise InputError(
            f"{len(rows) - len(scores)} of the {len(rows)} variants do not fit the genome",
            file=genome,
        )
    bits = scores.values[:, : len(model.tracks)]
    return (bits * math.log(2)).astype(np.float32)


def compare_effects(
    truth: Truth, tracks: Sequence[str], effects: Float32[np.ndarray, "N K"]
) -> dict[str, float]:
    """How well predicted effects of variants fit the known ones.

    Parameters
    ----------
    truth
        Holds the variants and what they do.
    tracks
        Names of the columns of ``effects``.
    effects
        Predicted effects, as :func:`score_variants` gives them.

    Returns
    -------
    dict
        ``changing``: variants made to break a motif or a blocker; ``correlation`` (Pearson) of
        predicted with known effects over these, each on its own track; ``signs``: share of
        them with the right sign; ``changing_size`` and ``neutral_size``: median size of the
        predicted effect on the variant's track, or on all tracks for ``neutral`` ones. NaN
        where there is none.
    """
    changing, known, sizes = [], [], []
    for row, one in zip(effects, truth.variants, strict=True):
        if one.kind in ("breaking", "releasing"):
            changing.append(float(row[list(tracks).index(one.track)]))
            known.append(one.effect[one.track])
        elif one.kind.startswith("neutral"):
            sizes.append(float(np.abs(row).mean()))
    several = len(changing) > 1 and np.std(changing) > 0 and np.std(known) > 0
    return {
        "changing": len(changing),
        "correlation": float(np.corrcoef(changing, known)[0, 1]) if several else math.nan,
        "signs": float(np.mean(np.sign(changing) == np.sign(known))) if changing else math.nan,
        "changing_size": float(np.median(np.abs(changing))) if changing else math.nan,
        "neutral": len(sizes),
        "neutral_size": float(np.median(sizes)) if sizes else math.nan,
    }


def write_effects(
    path: Path,
    truth: Truth,
    tracks: Sequence[str],
    effects: Float32[np.ndarray, "N K"],
    overwrite: bool,
) -> None:
    """Write predicted and known effects side by side, one row a variant, as TSV.

    Parameters
    ----------
    path
        File to make.
    truth
        Holds the N variants and what they do.
    tracks
        Names of the K columns of ``effects``; the known effect is in the column
        ``<track>_known``.
    effects
        Predicted effects, as :func:`score_variants` gives them.
    overwrite
        Whether a file that lies there may be replaced.

    Raises
    ------
    InputError
        When the file is there and may not be replaced, or cannot be written.
    """
    rows = [
        {
            "chrom": one.contig,
            "pos": one.pos,
            "id": one.id,
            "ref": one.ref,
            "alt": one.alt,
            "kind": one.kind,
            **{track: float(value) for track, value in zip(tracks, row, strict=True)},
            **{f"{track}_known": one.effect[track] for track in tracks},
        }
        for one, row in zip(truth.variants, effects, strict=True)
    ]
    with replacing(path, overwrite) as temporary, temporary.open("wb") as handle:
        handle.write(f"# created by danq {__version__} (demo)\n".encode())
        handle.write(b"# pos is 1-based; effects are natural log odds, alternate minus reference\n")
        pl.DataFrame(rows).write_csv(handle, separator="\t", float_precision=4)
