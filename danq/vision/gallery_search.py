"""Search for a person in a gallery of known people, and its cumulative match characteristic."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int64

Points = Float[np.ndarray, "N E"]


def nearest_people(
    points: Points, known: Points, who: Int64[np.ndarray, " M"]
) -> tuple[Int64[np.ndarray, "N P"], Float[np.ndarray, "N P"]]:
    """Rank the people of a gallery for each query, the nearest first.

    Parameters
    ----------
    points
        Embeddings of the queries.
    known, who
        Embeddings of the gallery, and the person that each shows.

    Returns
    -------
    People, and the Euclidean distance to the nearest embedding of each. Of people at the same
    distance, the one with the lower number is first.
    """
    people = np.unique(who)
    points, known = points.astype(np.float64), known.astype(np.float64)
    distance = np.empty((len(points), len(people)))
    for column, person in enumerate(people):
        gaps = points[:, None] - known[who == person]
        distance[:, column] = np.sqrt((gaps**2).sum(axis=2)).min(axis=1)
    order = distance.argsort(axis=1, kind="stable")
    return people[order], np.take_along_axis(distance, order, axis=1)


def match_curve(
    points: Points, who: Int64[np.ndarray, " N"], gallery: Bool[np.ndarray, " N"]
) -> Float[np.ndarray, " P"]:
    """Cumulative match characteristic (CMC) of embeddings.

    Parameters
    ----------
    points, who
        Embeddings, and the person that each shows.
    gallery
        True for embeddings of the gallery; the others are queries.

    Returns
    -------
    For each rank r from 1 to the number of people in the gallery, the share of queries whose
    person is among the r nearest people. A query of a person who is not in the gallery counts as
    not found.
    """
    ranked, _ = nearest_people(points[~gallery], points[gallery], who[gallery])
    found = ranked == who[~gallery][:, None]
    return found.mean(axis=0).cumsum()


def rank_metrics(
    points: Points, who: Int64[np.ndarray, " N"], gallery: Bool[np.ndarray, " N"]
) -> dict[str, float]:
    """Values of `match_curve` at ranks 1, 5 and 10, at the last rank of a smaller gallery."""
    curve = match_curve(points, who, gallery)
    return {f"rank{r}": float(curve[min(r, len(curve)) - 1]) for r in (1, 5, 10)}
