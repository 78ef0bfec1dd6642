"""Known motifs, and the comparison of motifs with them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Int64

from danq.errors import InputError, few
from danq.genome.information_content import core, information_content, trim
from danq.genome.motif_files import read_motifs
from danq.genome.motif_matrix import Motif
from danq.interpretation.motifs.tomtom import MIN_OVERLAP, Comparison, tomtom
from danq.typing import Location

MAX_Q = 0.01
"""Default maximum q-value of a match."""

MIN_CORRELATION = 0.7
"""Below this correlation a match may be spurious: motifs of low information match many others."""

log = logging.getLogger("danq")


@dataclass(frozen=True)
class KnownMotifs:
    """Known motifs that other motifs are compared with.

    Attributes
    ----------
    motifs
        The motifs.
    collections
        Name of the collection of each motif, such as the name of its file.
    """

    motifs: tuple[Motif, ...] = ()
    collections: tuple[str, ...] = ()


def read_known_motifs(databases: Sequence[Location]) -> KnownMotifs:
    """Motifs of several files. The collection is the file name up to the first dot."""
    motifs: list[Motif] = []
    collections: list[str] = []
    names: Counter[str] = Counter()
    paths = [Path(path) for path in databases]
    for number, path in enumerate(paths):
        if path.resolve() in [other.resolve() for other in paths[:number]]:
            raise InputError(
                "is given twice, which doubles the E-values of its motifs",
                file=path,
                remedy="Give each file once",
            )
    for path in paths:
        found = read_motifs(path)
        names.update({motif.name for motif in found})
        motifs += found
        collections += [path.name.split(".")[0]] * len(found)
    shared = [name for name, files in names.items() if files > 1]
    if shared:
        log.warning(
            "%d motif names occur in more than one file (%s); E-values and q-values count each "
            "occurrence",
            len(shared),
            few(shared),
        )
    return KnownMotifs(tuple(motifs), tuple(collections))


def check_max_q(max_q: float) -> None:
    """Check the maximum q-value of a match.

    Raises
    ------
    InputError
        When it is not in (0, 1].
    """
    if not 0 < max_q <= 1:
        raise InputError(f"max_q is {max_q:g}, outside (0, 1]", remedy="Use a q-value such as 0.01")


@dataclass(frozen=True, eq=False)
class KnownMatches:
    """Descriptions of motifs, and their matches with known motifs.

    Attributes
    ----------
    described
        ``information_content``, ``consensus`` and ``core_start`` of each motif, and the best match.
    matches
        One row per match. The best match of a motif comes first.
    best
        For each motif with a match, by name: the best known motif, on the matching strand, and the
        position of the core that is aligned with its first position.
    known
        The known motifs that match, each once; ``entry`` of ``matches`` is an index in it. Their
        comments name the collection.
    """

    described: pl.DataFrame
    matches: pl.DataFrame
    best: dict[str, tuple[Motif, int]] = field(default_factory=dict, repr=False)
    known: tuple[Motif, ...] = field(default=(), repr=False)


def match_known_motifs(
    motifs: Sequence[Motif],
    known: KnownMotifs | None,
    max_q: float,
    columns: tuple[str, str] = ("filter", "motif"),
) -> KnownMatches:
    """Describe motifs, and find the known motifs that match their cores.

    Cores exclude uninformative ends (see `danq.genome.information_content`). Cores of fewer than 5
    positions have no matches.

    Parameters
    ----------
    motifs
        The motifs, with distinct names.
    known
        Motifs to compare with, or None.
    max_q
        Maximum q-value of a match.
    columns
        Names of the columns for a motif, which is also what messages call it, and for a known
        motif.
    """
    cores = [trim(motif) for motif in motifs]
    described = pl.DataFrame(
        {
            columns[0]: [motif.name for motif in motifs],
            "information_content": [
                float(information_content(motif.probabilities).sum()) for motif in motifs
            ],
            "consensus": ["" if one is None else one.consensus for one in cores],
            "core_start": [core(motif.probabilities).start for motif in motifs],
        },
        schema={
            columns[0]: pl.String,
            "information_content": pl.Float64,
            "consensus": pl.String,
            "core_start": pl.Int64,
        },
    )
    queries = [one for one in cores if one is not None and one.width >= MIN_OVERLAP]
    if known is not None and known.motifs and len(queries) < len(cores):
        log.info(
            "%d of %d %ss are not compared with known motifs: fewer than %d positions of their "
            "motif are informative",
            len(cores) - len(queries),
            len(cores),
            columns[0],
            MIN_OVERLAP,
        )
    if known is None or not known.motifs or not queries:
        matches = pl.DataFrame(schema=match_columns(columns))
        return KnownMatches(_join_best(described, matches, columns), matches)
    comparison = tomtom(queries, known.motifs)
    targets = np.flatnonzero((comparison.q_value <= max_q).any(axis=0))
    matches = _matches(queries, known, comparison, max_q, targets, columns)
    return KnownMatches(
        _join_best(described, matches, columns),
        matches,
        _best_matches(queries, known, comparison, max_q),
        _with_collection(known, targets),
    )


def match_columns(columns: tuple[str, str] = ("filter", "motif")) -> dict[str, type[pl.DataType]]:
    """Columns of the table of matches, and their types."""
    return {
        **dict.fromkeys((*columns, "collection"), pl.String),
        "entry": pl.Int64,
        **dict.fromkeys(("p_value", "e_value", "q_value"), pl.Float64),
        "strand": pl.String,
        **dict.fromkeys(("offset", "overlap"), pl.Int64),
        "correlation": pl.Float64,
    }


def _with_collection(known: KnownMotifs, indices: Int64[np.ndarray, " T"]) -> tuple[Motif, ...]:
    """Some known motifs, with the name of their collection as a comment."""
    pairs = [(known.motifs[index], known.collections[index]) for index in indices]
    return tuple(
        Motif(one.name, one.probabilities, one.nsites, {"collection": name} if name else None)
        for one, name in pairs
    )


def _matches(
    queries: Sequence[Motif],
    known: KnownMotifs,
    comparison: Comparison,
    max_q: float,
    targets: Int64[np.ndarray, " T"],
    columns: tuple[str, str],
) -> pl.DataFrame:
    """Matches of queries; ``targets`` are the ascending indices of the known motifs that match."""
    query, target = np.nonzero(comparison.q_value <= max_q)
    order = np.lexsort((target, comparison.p_value[query, target], query))
    query, target = query[order], target[order]
    pairs = query, target
    offset, overlap = comparison.offset[pairs], comparison.overlap[pairs]
    reverse = comparison.reverse[pairs]
    alignments = zip(query, target, offset, overlap, reverse, strict=True)
    return pl.DataFrame(
        {
            columns[0]: [queries[k].name for k in query],
            columns[1]: [known.motifs[k].name for k in target],
            "collection": [known.collections[k] for k in target],
            "entry": np.searchsorted(targets, target),
            "p_value": comparison.p_value[pairs],
            "e_value": comparison.e_value[pairs],
            "q_value": comparison.q_value[pairs],
            "strand": np.where(reverse, "-", "+"),
            "offset": offset,
            "overlap": overlap,
            "correlation": [
                correlation(queries[q], known.motifs[t], *alignment)
                for q, t, *alignment in alignments
            ],
        },
        schema=match_columns(columns),
    )


def correlation(query: Motif, target: Motif, offset: int, overlap: int, reverse: bool) -> float:
    """Pearson's correlation of the base frequencies of two motifs at their aligned positions.

    It is 0 when all frequencies of a motif are equal.

    Parameters
    ----------
    query, target
        The motifs.
    offset, overlap, reverse
        Their alignment, as in `danq.interpretation.motifs.tomtom.Comparison`.
    """
    known = target.reverse_complement() if reverse else target
    x = query.probabilities[max(0, -offset) :][:overlap].ravel()
    y = known.probabilities[max(0, offset) :][:overlap].ravel()
    x, y = x - x.mean(), y - y.mean()
    norm = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / norm if norm > 0 else 0.0


def _join_best(
    described: pl.DataFrame, matches: pl.DataFrame, columns: tuple[str, str]
) -> pl.DataFrame:
    best = matches.group_by(columns[0], maintain_order=True).agg(
        pl.col(columns[1]).first().alias("best_match"),
        pl.col("collection", "p_value", "e_value", "q_value", "strand", "correlation").first(),
        pl.len().cast(pl.Int64).alias("matches"),
    )
    joined = described.join(best, on=columns[0], how="left", maintain_order="left")
    return joined.with_columns(pl.col("matches").fill_null(0))


def _best_matches(
    queries: Sequence[Motif], known: KnownMotifs, comparison: Comparison, max_q: float
) -> dict[str, tuple[Motif, int]]:
    best = {}
    for query in np.flatnonzero((comparison.q_value <= max_q).any(axis=1)).tolist():
        target = int(comparison.p_value[query].argmin())
        motif = known.motifs[target]
        motif = motif.reverse_complement() if comparison.reverse[query, target] else motif
        best[queries[query].name] = (motif, -int(comparison.offset[query, target]))
    return best
