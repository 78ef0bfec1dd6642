"""Match the rows of a table of variants to scored variants, and count those without a match."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from danq.errors import InputError, few
from danq.genome.contig_names import ContigBridge, report_renamed

KEYS = ("chrom", "pos", "ref", "alt")
"""Columns that identify a variant; ``pos`` is 1-based, as in a VCF."""

LABEL = "label"
LINE = "_line"
"""Column with the 1-based line of each row in its file."""

ROW = "_row"
_CHROM, _POS, _REF, _ALT = _KEY = ("_chrom", "_pos", "_ref", "_alt")


class Matches(NamedTuple):
    """Result of `match_rows`.

    Attributes
    ----------
    row
        V row numbers in the table, null for scored variants that it lacks.
    note
        Text about rows of the table without a scored variant; empty if there are none.
    """

    row: pl.Series
    note: str


def match_rows(
    variants: pl.DataFrame,
    table: pl.DataFrame,
    path: str | Path,
    columns: Sequence[str] = KEYS,
    *,
    scored: Path | None = None,
) -> Matches:
    """Match the rows of a table to V scored variants.

    Contig names are matched as in `danq.genome.contig_names`. Alleles are compared without regard
    to case and without the bases that both have at their ends, so that ``AC>AT`` is ``C>T`` one
    base later. They are not left-aligned.

    Parameters
    ----------
    variants
        Scored variants, with the columns `KEYS` and ``id``.
    table
        Columns that identify variants, and `LINE`.
    path
        File of the table, for messages.
    columns
        `KEYS`, or ``("id",)``.
    scored
        File of the scored variants, for messages.

    Raises
    ------
    InputError
        When a row names a variant that another row also names, or an identifier is missing, or no
        row matches.
    """
    columns = list(columns)
    if columns == list(KEYS):
        contigs = _bridge(variants, table, path)
        ours, theirs = keyed(variants), keyed(table, contigs)
        keys = list(_KEY)
    else:
        ours, theirs, keys = variants, table, columns
        missing = table["id"].is_in([".", ""]).fill_null(True)
        if missing.any():
            raise InputError(
                f"{int(missing.sum())} rows have no id",
                file=path,
                line=_line(table, int(missing.arg_max() or 0)),
                remedy=f"Identify variants by the columns {', '.join(KEYS)}",
            )
    check_distinct(theirs, keys, columns, path)
    numbered = theirs.select(*keys, pl.int_range(pl.len()).alias(ROW))
    row = ours.select(keys).join(numbered, on=keys, how="left", maintain_order="left")[ROW]
    found = numbered.join(ours.select(keys), on=keys, how="semi")[ROW]
    rest = theirs[numbered.filter(~pl.col(ROW).is_in(found.implode()))[ROW]]
    reasons = _reasons(ours, rest, keys) if rest.height else ""
    if not len(found):
        raise _no_match(variants, table, path, scored, columns[0], reasons)
    note = ""
    if rest.height:
        note = f"{rest.height:,} of {table.height:,} rows of {path} match no scored variant"
        note += f" ({reasons})" if reasons else ""
        note += f"; the first is line {rest[LINE][0]}" if LINE in rest.columns else ""
    return Matches(row, note)


def keyed(table: pl.DataFrame, contigs: dict[str, str] | None = None) -> pl.DataFrame:
    """Add columns with the contig, position and alleles by which rows are compared.

    Parameters
    ----------
    table
        Rows with the columns `KEYS`.
    contigs
        Contig names of the table to those that they are compared with.
    """
    names = contigs or {}
    rows = [
        (names.get(chrom, chrom), *_trimmed(pos, ref, alt))
        for chrom, pos, ref, alt in table.select(KEYS).iter_rows()
    ]
    schema = {_CHROM: pl.String, _POS: pl.Int64, _REF: pl.String, _ALT: pl.String}
    return table.hstack(pl.DataFrame(rows, schema=schema, orient="row"))


def check_distinct(
    table: pl.DataFrame, keys: Sequence[str], columns: Sequence[str], path: str | Path | None
) -> None:
    """Raise an InputError, with the rows' lines, when rows agree in ``keys``.

    Parameters
    ----------
    table, keys
        Rows, and the columns in which they may not agree.
    columns
        Columns that identify a row in the message.
    path
        File of the table.
    """
    repeated = table.select(keys).is_duplicated()
    if not repeated.any():
        return
    first = int(repeated.arg_max() or 0)
    same = table.with_row_index(ROW).join(table[[first]].select(keys), on=keys, how="semi")
    lines = ""
    if LINE in table.columns:
        lines = " (lines " + " and ".join(map(str, same[LINE].to_list()[:3])) + ")"
    problem = f"{int(repeated.sum())} rows name a variant that another row also names"
    if LABEL in table.columns:
        differ = same[LABEL].n_unique() > 1
        problem = f"labels a variant twice{', with different labels' if differ else ''}"
    raise InputError(
        f"{problem}{lines}",
        file=path,
        record=_text(table.row(first, named=True), columns),
        remedy="Keep one row for each variant",
    )


def contig_groups(names: Sequence[str], ours: Sequence[str], path: str | Path) -> list[str]:
    """Contig names of a second file as the first file has them, so that contigs stay together."""
    bridge = ContigBridge(ours, source=str(path))
    found = {name: bridge.find(name).contig for name in dict.fromkeys(names)}
    report_renamed(bridge, found)
    return [found[name] or name for name in names]


def _trimmed(pos: int | None, ref: str | None, alt: str | None) -> tuple[int | None, str, str]:
    ref, alt = (ref or "").upper(), (alt or "").upper()
    while len(ref) > 1 and len(alt) > 1 and ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
    skip = 0
    while len(ref) - skip > 1 and len(alt) - skip > 1 and ref[skip] == alt[skip]:
        skip += 1
    return None if pos is None else pos + skip, ref[skip:], alt[skip:]


def _bridge(variants: pl.DataFrame, table: pl.DataFrame, path: str | Path) -> dict[str, str]:
    bridge = ContigBridge(variants["chrom"].unique(maintain_order=True), source=str(path))
    names = [name for name in table["chrom"].unique(maintain_order=True) if name is not None]
    found = {name: bridge.find(name).contig for name in names}
    report_renamed(bridge, found)
    return {name: contig for name, contig in found.items() if contig is not None}


def _reasons(ours: pl.DataFrame, rest: pl.DataFrame, keys: Sequence[str]) -> str:
    """Why rows have no scored variant, with their numbers."""
    if list(keys) != list(_KEY):
        return ""
    other_contig = ~rest[_CHROM].is_in(ours[_CHROM].unique().implode())
    exchanged = rest.select(_CHROM, _POS, pl.col(_REF).alias(_ALT), pl.col(_ALT).alias(_REF))
    later = rest.with_columns(pl.col(_POS) + 1)
    swapped = _count(exchanged, ours, keys)
    reasons = [
        (int(other_contig.sum()), "on contigs without scored variants"),
        (swapped, "with REF and ALT exchanged"),
        (_count(later, ours, keys), "with a position that is 0-based"),
        (_count(rest, ours, [_CHROM, _POS]) - swapped, "whose position has other alleles"),
    ]
    return ", ".join(f"{count:,} {what}" for count, what in reasons if count)


def _count(rows: pl.DataFrame, ours: pl.DataFrame, keys: Sequence[str]) -> int:
    return rows.join(ours.select(keys), on=keys, how="semi").height


def _no_match(
    variants: pl.DataFrame,
    table: pl.DataFrame,
    path: str | Path,
    scored: Path | None,
    column: str,
    reasons: str,
) -> InputError:
    theirs, ours = (
        few(one[column].unique(maintain_order=True).to_list()) for one in (table, variants)
    )
    what = {"chrom": "contigs", "id": "ids"}[column]
    return InputError(
        f"has none of the variants{'' if scored is None else f' of {scored}'}: its {what} are "
        f"{theirs}, those of the scored variants {ours}{f'; {reasons}' if reasons else ''}",
        file=path,
        remedy="Use the ids of the scored variants"
        if column == "id"
        else "Use the 1-based positions and the alleles of the scored variants, normalised in the "
        "same way, for example with: bcftools norm",
    )


def _line(table: pl.DataFrame, row: int) -> int | None:
    return table[LINE][row] if LINE in table.columns else None


def _text(row: dict[str, object], columns: Sequence[str]) -> str:
    return " ".join(str(row[key]) for key in columns)
