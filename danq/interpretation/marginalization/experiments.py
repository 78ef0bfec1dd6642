"""Experiments with inserted motifs: one, several copies, and two at all distances."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import polars as pl

from danq.errors import InputError
from danq.genome.motif_matrix import Motif
from danq.interpretation.marginalization.insertions import (
    Arrangement,
    Inserter,
    Moments,
    Placement,
)
from danq.progress import Stage

COPY_GAP = 10
"""Bases between two copies of a motif."""

SIDES = ("downstream", "upstream")
STRANDS = ("same", "opposite")
ORIENTATIONS = tuple(product(SIDES, STRANDS))
"""Side of the second motif, seen along the first one, and whether both are on one strand."""


def track_frame(
    rows: Sequence[dict[str, Any]], tracks: Sequence[str], values: dict[str, np.ndarray]
) -> pl.DataFrame:
    """A table with one row per row of ``rows`` and track, in that order.

    Parameters
    ----------
    rows
        Columns that all tracks share.
    tracks
        ``P`` names.
    values
        ``(len(rows), P)`` by column name.
    """
    keys = pl.DataFrame(list(rows), infer_schema_length=None)
    index = np.repeat(np.arange(len(rows)), len(tracks))
    columns = [pl.Series("track", list(tracks) * len(rows), dtype=pl.String)]
    columns += [
        pl.Series(name, np.ascontiguousarray(one, np.float64).ravel())
        for name, one in values.items()
    ]
    return keys[index].hstack(columns)


def single_effects(
    inserter: Inserter, motifs: Sequence[Motif], tracks: Sequence[str], done: Stage
) -> pl.DataFrame:
    """Effect of one copy of each motif in the middle of the window, on each strand.

    Returns
    -------
    polars.DataFrame
        ``motif``, ``strand``, ``track``, ``prediction`` (mean over the backgrounds without a
        motif), ``effect`` (mean over backgrounds), ``sd``, ``se``.
    """
    rows = [{"motif": motif.name, "strand": strand} for motif, strand in product(motifs, "+-")]
    arrangements: list[Arrangement] = [
        (Placement(number, strand, inserter.centred(number)),)
        for number, strand in product(range(len(motifs)), "+-")
    ]
    moments, before = Moments(), Moments()
    for effects, predictions in inserter.effects(arrangements):
        moments.add(effects)
        before.add(predictions)
        done.add(effects.shape[0] * effects.shape[1])
    prediction = np.broadcast_to(before.mean, moments.mean.shape)
    values = {"prediction": prediction, **_statistics(moments)}
    return track_frame(rows, tracks, values)


def copy_starts(inserter: Inserter, motif: int, copies: int) -> list[int]:
    """Starts of copies of a motif: the first in the middle, then alternately right and left."""
    step = inserter.widths[motif] + COPY_GAP
    turns = [(number + 1) // 2 * (1 if number % 2 else -1) for number in range(copies)]
    return [inserter.centred(motif) + turn * step for turn in turns]


def most_copies(inserter: Inserter, motif: int) -> int:
    """Number of copies of a motif that the window has room for."""
    copies = 1
    while True:
        start = copy_starts(inserter, motif, copies + 1)[-1]
        if start < 0 or start + inserter.widths[motif] > inserter.length:
            return copies
        copies += 1


def dose_effects(
    inserter: Inserter,
    motifs: Sequence[Motif],
    copies: Sequence[int],
    tracks: Sequence[str],
    done: Stage,
) -> pl.DataFrame:
    """Effect of 1 to n copies of each motif on the forward strand, `COPY_GAP` bases apart.

    Parameters
    ----------
    copies
        Largest number of copies of each motif.

    Returns
    -------
    polars.DataFrame
        ``motif``, ``copies``, ``track``, ``effect`` (mean over backgrounds), ``sd``, ``se``.
    """
    rows, arrangements = [], []
    for number, (motif, most) in enumerate(zip(motifs, copies, strict=True)):
        starts = copy_starts(inserter, number, most)
        for count in range(1, most + 1):
            rows.append({"motif": motif.name, "copies": count})
            arrangements.append(tuple(Placement(number, "+", start) for start in starts[:count]))
    moments = Moments()
    for effects, _ in inserter.effects(arrangements):
        moments.add(effects)
        done.add(effects.shape[0] * effects.shape[1])
    return track_frame(rows, tracks, _statistics(moments))


def spacing_arrangements(
    inserter: Inserter, first: int, second: int, distances: Sequence[int]
) -> list[Arrangement]:
    """Both motifs in all orientations and distances; the second alone in each; the first alone."""
    start = inserter.centred(first)
    anchor = Placement(first, "+", start)
    partners = []
    for (side, strand), distance in product(ORIENTATIONS, distances):
        after = start + inserter.widths[first] + distance
        before = start - distance - inserter.widths[second]
        position = after if side == "downstream" else before
        partners.append(Placement(second, "+" if strand == "same" else "-", position))
    return [*((anchor, one) for one in partners), *((one,) for one in partners), (anchor,)]


def largest_distance(inserter: Inserter, first: int, second: int) -> int:
    """Bases between two motifs, the first in the middle, for which the window has room."""
    start, width = inserter.centred(first), inserter.widths[second]
    return min(start, inserter.length - start - inserter.widths[first]) - width


def check_distances(
    inserter: Inserter, motifs: Sequence[Motif], pairs: Sequence[tuple[int, int]], largest: int
) -> None:
    """Check that both motifs of each pair fit into the window at the largest distance.

    Raises
    ------
    InputError
        When they do not.
    """
    for first, second in pairs:
        room = largest_distance(inserter, first, second)
        if largest > room:
            names = f"'{motifs[first].name}' and '{motifs[second].name}'"
            most = f"at most {room:,} bases apart" if room >= 0 else "not even side by side"
            raise InputError(
                f"a distance of {largest:,} bases between {names} extends past the window of "
                f"{inserter.length:,} bases, in which they fit {most}",
                remedy="Give smaller distances or shorter motifs",
            )


def spacing_effects(
    inserter: Inserter,
    motifs: Sequence[Motif],
    pair: tuple[int, int],
    distances: Sequence[int],
    tracks: Sequence[str],
    done: Stage,
) -> pl.DataFrame:
    """Effect of two motifs, in every orientation and distance, and its excess over additivity.

    The first motif is in the middle of the window on the forward strand. The excess is the effect
    of both motifs minus the effects of each alone at the same position, in the same background.

    Returns
    -------
    polars.DataFrame
        ``motif``, ``partner``, ``side``, ``strand``, ``distance`` (bases between the motifs),
        ``track``, ``effect`` and ``excess`` (means over backgrounds), and ``sd`` and ``se`` of the
        excess.
    """
    arrangements = spacing_arrangements(inserter, *pair, distances)
    both, excess = Moments(), Moments()
    cells = len(ORIENTATIONS) * len(distances)
    for effects, _ in inserter.effects(arrangements):
        together, alone = effects[:, :cells], effects[:, cells : 2 * cells]
        both.add(together)
        excess.add(together - alone - effects[:, 2 * cells :])
        done.add(effects.shape[0] * effects.shape[1])
    first, second = (motifs[number].name for number in pair)
    rows = [
        {"motif": first, "partner": second, "side": side, "strand": strand, "distance": distance}
        for (side, strand), distance in product(ORIENTATIONS, distances)
    ]
    values = {
        "effect": both.mean,
        "excess": excess.mean,
        "sd": excess.deviation,
        "se": excess.error,
    }
    return track_frame(rows, tracks, values)


def _statistics(moments: Moments) -> dict[str, np.ndarray]:
    return {"effect": moments.mean, "sd": moments.deviation, "se": moments.error}
