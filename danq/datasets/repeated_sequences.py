"""Join the rows of a table that repeat a sequence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from danq.datasets.dataset_format import SPLITS
from danq.errors import InputError

PLURALS = {"split": "splits", "fold": "folds", "stratum": "strata"}


def join_repeats(
    path: Path, values: np.ndarray, rest: pl.DataFrame, *, weighted: bool
) -> tuple[np.ndarray, pl.DataFrame, dict[str, int]]:
    """Join the rows of each sequence: means of amounts and weights.

    Parameters
    ----------
    path
        The table, for errors.
    values
        ``(N, K)`` amounts; NaN where missing.
    rest
        Columns ``sequence``, ``split``, ``fold``, ``stratum`` and ``weight``.
    weighted
        Whether the means of amounts are weighted.

    Returns
    -------
    Amounts and columns of the joined rows, and the number of rows by what was done with them.

    Raises
    ------
    InputError
        When rows of one sequence have different splits, folds or strata.
    """
    if rest["sequence"].n_unique() == rest.height:
        return values, rest, {}
    numbered = rest.with_row_index("row")
    first = numbered.select(pl.col("row").first().over("sequence")).to_series().to_numpy()
    kept, group = np.unique(first, return_inverse=True)
    for column in PLURALS:
        codes = rest[column].rank("dense").to_numpy()
        differ = np.flatnonzero(codes != codes[first])
        if differ.size:
            row, other = int(differ[0]), int(first[differ[0]])
            shown = [rest[column][at] for at in (other, row)]
            if column == "split":
                shown = [SPLITS[number] for number in shown]
            raise InputError(
                f"a sequence has the {PLURALS[column]} '{shown[0]}' and '{shown[1]}' "
                f"({rest['sequence'][row][:40]}...); {differ.size:,} rows differ from the first "
                "row of their sequence",
                file=path,
                remedy=f"Give all rows of a sequence one {column}",
            )
    known = ~np.isnan(values)
    weight = rest["weight"].to_numpy() if weighted else np.ones(rest.height)
    shares = weight[:, None] * known
    # Rows whose weights are all 0 have the plain mean.
    total = _sums(group, shares, kept.size)
    share = np.where((total > 0)[group], shares, known)
    total = _sums(group, share, kept.size)
    with np.errstate(invalid="ignore"):
        mean = _sums(group, np.where(known, values, 0) * share, kept.size) / total
    low, high = np.full((2, kept.size, values.shape[1]), np.nan)
    np.fmin.at(low, group, values)
    np.fmax.at(high, group, values)
    differing = int((low < high).any(axis=1).sum())
    merged = {
        "rows that repeat a sequence": rest.height - kept.size,
        "sequences with different amounts, of which the mean is used": differing,
    }
    rest = rest[kept].with_columns(weight=np.bincount(group, weight) / np.bincount(group))
    return mean, rest, merged


def _sums(group: np.ndarray, values: np.ndarray, groups: int) -> np.ndarray:
    return np.stack([np.bincount(group, column, groups) for column in values.T], axis=1)
