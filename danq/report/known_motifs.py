"""Known motifs that match filters, aligned with the filters as the comparison found them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from danq.errors import InputError
from danq.genome.information_content import letter_heights
from danq.genome.motif_files import read_motifs
from danq.genome.motif_matrix import Motif
from danq.interpretation.motifs.write_motifs import KNOWN
from danq.report.content import KnownLogo

_AGAIN = "Run danq motifs again"


def aligned_known_motifs(
    folder: Path, filters: pl.DataFrame, matches: pl.DataFrame, motifs: Mapping[str, Motif]
) -> dict[str, KnownLogo]:
    """The best known motif of each filter that has one, by the name of the filter.

    Parameters
    ----------
    folder
        The folder of `danq.write_motifs`.
    filters, matches
        Its tables ``filters.tsv`` and ``matches.tsv``.
    motifs
        Motifs of the filters by name.

    Raises
    ------
    InputError
        When the file of the known motifs is missing or damaged, or does not belong to the tables.
    """
    if not (folder / KNOWN).exists():
        raise InputError(
            "no such file",
            file=folder / KNOWN,
            remedy="Earlier versions of danq did not store the known motifs. " + _AGAIN,
        )
    known = read_motifs(folder / KNOWN)
    _check_columns(folder / "filters.tsv", filters, "core_start")
    _check_columns(folder / "matches.tsv", matches, "entry", "offset")
    first = matches.unique("filter", keep="first", maintain_order=True)
    joined = filters.drop_nulls("best_match").select("filter", "core_start", "best_match")
    joined = joined.join(first, on="filter", how="left", maintain_order="left")
    found = {}
    for row in joined.iter_rows(named=True):
        name, motif = row["filter"], motifs.get(row["filter"])
        if motif is None:
            continue
        if row["motif"] != row["best_match"]:
            raise InputError(
                f"the first match of '{name}' is not its best match in filters.tsv",
                file=folder / "matches.tsv",
                remedy=_AGAIN,
            )
        found[name] = _aligned(folder, known, motif, row)
    return found


def _aligned(
    folder: Path, known: list[Motif], motif: Motif, row: Mapping[str, int | str]
) -> KnownLogo:
    name, entry = str(row["motif"]), int(row["entry"])
    one = known[entry] if 0 <= entry < len(known) else None
    # Names in MEME files have no blanks.
    if one is None or one.name != "_".join(name.split()):
        raise InputError(
            f"entry {entry} is not '{name}', the best match of '{motif.name}' in matches.tsv",
            file=folder / KNOWN,
            remedy=_AGAIN,
        )
    start, reverse = int(row["core_start"]) - int(row["offset"]), row["strand"] == "-"
    if not -one.width < start < motif.width:
        raise InputError(
            f"the offset {row['offset']} of '{name}' from '{motif.name}' is outside of both motifs",
            file=folder / "matches.tsv",
            remedy=_AGAIN,
        )
    shown = one.reverse_complement() if reverse else one
    return KnownLogo(name, letter_heights(shown.probabilities), start, reverse)


def _check_columns(path: Path, table: pl.DataFrame, *names: str) -> None:
    for name in names:
        if name not in table.columns:
            raise InputError(f"has no column '{name}'", file=path, remedy=_AGAIN)
        if not table[name].dtype.is_integer() or table[name].null_count():
            raise InputError(
                f"the column '{name}' has a value that is not a whole number",
                file=path,
                remedy=_AGAIN,
            )
