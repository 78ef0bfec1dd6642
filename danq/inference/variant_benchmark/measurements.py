"""Measured effects of variants: which columns of a table hold them, and their values."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int8

from danq.errors import InputError, few
from danq.files.text_tables import is_missing, number_problem
from danq.genome.variants import RefMismatch
from danq.genome.variants.read_data_frame import Frame, TableRows
from danq.genome.variants.table_columns import plain_name
from danq.inference.variant_benchmark.read_table import TextTable, read_table
from danq.typing import Location

EFFECTS = (
    "effect",
    "effect_size",
    "log_fc",
    "logfc",
    "lfc",
    "log2fc",
    "log2_fc",
    "log2foldchange",
    "log2_fold_change",
    "log_fold_change",
    "log_skew",
    "logskew",
    "log2_skew",
    "log2skew",
    "allelic_imbalance",
    "value",
    "beta",
    "slope",
)
"""Names of columns with signed effects, as `plain_name` writes them."""

LABELS = ("label", "significant", "is_significant", "emvar", "causal", "functional")
"""Names of columns that hold 1 for variants with an effect and 0 for others."""

ADJUSTED = (
    "p_adjusted",
    "p_adj",
    "padj",
    "adj_p",
    "adj_p_val",
    "adj_p_value",
    "fdr",
    "q",
    "qval",
    "qvalue",
    "q_value",
)
"""Names of columns with p-values that are adjusted for multiple tests."""

RAW = ("p", "pval", "p_val", "pvalue", "p_value")
STRATA = ("gene", "gene_id", "element", "region", "experiment", "study")
GROUPS = ("match_group", "matched_group")
CUT = 0.05
"""Adjusted p-value below which an effect is significant, unless the label says otherwise."""

_CUT = re.compile(r"(?P<name>.+?)\s*(?P<sign><=|>=|<|>)\s*(?P<cut>[-+.0-9eE]+)\s*")
_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_TRUE = {"1": 1, "1.0": 1, "true": 1, "yes": 1, "0": 0, "0.0": 0, "false": 0, "no": 0}

log = logging.getLogger("danq")


@dataclass(frozen=True)
class Measurements:
    """Variants with measured effects, and the columns that hold them.

    `danq.benchmark_variants` accepts the table alone where its columns have names that
    ``docs/formats.md`` lists.

    Attributes
    ----------
    table
        Table with a header line, plain or compressed, as `danq.score_variants` reads it; Parquet;
        or a data frame of polars or pandas. Each row is one variant with one alternate allele.
    effect
        Column of signed effects, alternate over reference allele, such as a log fold change.
    label
        Column that is 1 (or true) for variants with an effect and 0 for others; or a column of
        numbers with a cut, such as ``p_adjusted < 0.05`` or ``pip > 0.9``.
    strata
        Columns such as a gene or an element: variants with the same values are compared with
        each other. An empty sequence compares all.
    group
        Column of matched groups: each holds variants with an effect and controls that were
        matched to them.
    match
        Columns by which danq matches controls if there is no group: variants of the same kind
        (substitution, insertion, deletion) and with the same values are compared. A column with
        more than ten numbers is divided into fifths.
    chrom_map, ref_mismatch
        As for `danq.Variants`, but REF that differs from the genome is an error by default.
        Where REF and ALT are exchanged, the sign of the effect is reversed.
    """

    table: Location | Frame
    effect: str | None = None
    label: str | None = None
    strata: Sequence[str] | None = None
    group: str | None = None
    match: Sequence[str] = ()
    chrom_map: Location | None = None
    ref_mismatch: RefMismatch = "error"


class MeasuredVariants(NamedTuple):
    """Values of a table, one per row.

    Attributes
    ----------
    rows
        Variants, as `danq.Variants` takes them.
    effect
        ``(N,)`` signed effects, NaN where missing; None if there is no such column.
    label
        ``(N,)`` 1, 0, or -1 where missing; None if there is no such column.
    strata
        ``(N,)`` values of the strata's columns; None if there is none.
    group
        ``(N,)`` names of matched groups, empty where missing; None if there is no such column.
    match
        Texts of each column by which controls are matched.
    columns
        Which column is read as what, for headers.
    """

    rows: TableRows
    effect: Float64[np.ndarray, "N"] | None
    label: Int8[np.ndarray, "N"] | None
    strata: list[tuple[str, ...]] | None
    group: list[str] | None
    match: dict[str, list[str]]
    columns: dict[str, str]


def read_measurements(measurements: Measurements) -> MeasuredVariants:
    """Read a table of measured variants.

    Raises
    ------
    InputError
        When the file is no such table; when a column is missing, or the table has neither
        effects nor labels; at a value that is not a finite number, or a label that is neither 0
        nor 1.
    """
    table = read_table(measurements.table)
    found = {plain_name(name): name for name in reversed(table.names)}
    effect = _chosen(table, measurements.effect, [found[one] for one in EFFECTS if one in found])
    label, cut = _label(table, measurements.label, found)
    strata = measurements.strata
    if strata is None:
        strata = [found[one] for one in STRATA if one in found]
    groups = [found[one] for one in GROUPS if one in found]
    group = _chosen(table, measurements.group, groups)
    if effect is None and label is None:
        raise InputError(
            f"has no column of measured effects or labels; its columns are {few(table.names, 20)}",
            file=table.file,
            remedy="Name the column of the effect or of the label",
        )
    for name in (*strata, *measurements.match):
        table.check(name)
    columns = {
        name: text
        for name, text in (
            ("effect", effect),
            ("label", None if label is None else f"{label} {cut}".rstrip()),
            ("strata", ", ".join(strata)),
            ("matched groups", group),
            ("matched by", ", ".join(measurements.match)),
        )
        if text
    }
    log.info("%s: %s", table.file, "; ".join(f"{what}: {name}" for what, name in columns.items()))
    return MeasuredVariants(
        table.variants(),
        None if effect is None else _numbers(table, effect),
        None if label is None else _labels(table, label, cut),
        list(zip(*map(table.texts, strata), strict=True)) if strata else None,
        None if group is None else [("" if is_missing(t) else t) for t in table.texts(group)],
        {name: table.texts(name) for name in measurements.match},
        columns,
    )


def _chosen(table: TextTable, name: str | None, found: list[str]) -> str | None:
    """The named column, or the only one that was found."""
    if name is not None:
        table.check(name)
        return name
    if len(found) > 1:
        raise InputError(
            f"the columns {' and '.join(map(repr, found))} could both be measured",
            file=table.file,
            remedy="Name the one to compare with",
        )
    return found[0] if found else None


def _label(table: TextTable, text: str | None, found: dict[str, str]) -> tuple[str | None, str]:
    """Column of labels, and its cut."""
    if text is not None:
        match = None if text in table.names else _CUT.fullmatch(text)
        if match is None and text not in table.names and re.search("[<>]", text):
            raise _no_cut(text)
        name, cut = text, ""
        if match is not None:
            name, cut = match["name"], f"{match['sign']} {match['cut']}"
        table.check(name)
        return name, cut
    labels = [found[one] for one in LABELS if one in found]
    if labels:
        return _chosen(table, None, labels), ""
    adjusted = [found[one] for one in ADJUSTED if one in found]
    if adjusted:
        return _chosen(table, None, adjusted), f"< {CUT}"
    raw = [found[one] for one in RAW if one in found]
    if raw:
        log.info(
            "%s: %r is not read as a label, because it is not adjusted for the number of "
            "variants; a label such as '%s < 1e-5' reads it",
            table.file,
            raw[0],
            raw[0],
        )
    return None, ""


def _numbers(table: TextTable, name: str) -> Float64[np.ndarray, "N"]:
    """Values of a column, NaN where missing."""
    values = np.full(len(table), np.nan)
    for i, text in enumerate(table.texts(name)):
        if is_missing(text):
            continue
        values[i] = float(text) if _NUMBER.fullmatch(text) else math.inf
        if not math.isfinite(values[i]):
            hint = number_problem(text)
            raise InputError(
                f"'{text:.40}' in the column '{name}' is not a finite number"
                + (f": {hint}" if hint and "," in text else ""),
                **table.place(i),
                remedy="Write a number, or NA where the value is unknown",
            )
    return values


def _labels(table: TextTable, name: str, cut: str) -> Int8[np.ndarray, "N"]:
    """1, 0, or -1 where missing."""
    if cut:
        sign, limit = cut.split()[0], _limit(cut)
        values = _numbers(table, name)
        with np.errstate(invalid="ignore"):
            compare = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}
            above = compare[sign](values, limit)
        return np.where(np.isnan(values), -1, above).astype(np.int8)
    values = np.full(len(table), -1, np.int8)
    for i, text in enumerate(table.texts(name)):
        if is_missing(text):
            continue
        known = _TRUE.get(text.lower())
        if known is None:
            raise InputError(
                f"'{text:.40}' in the column '{name}' is not a label, 0 or 1",
                **table.place(i),
                remedy=f"Write 0 or 1; or give a cut for a number, such as '{name} < 0.05'",
            )
        values[i] = known
    return values


def _limit(cut: str) -> float:
    text = cut.split()[1]
    if not _NUMBER.fullmatch(text):
        raise _no_cut(cut)
    return float(text)


def _no_cut(text: str) -> InputError:
    return InputError(
        f"the label '{text}' is not a column and a number",
        remedy="Write a label as 'p_adjusted < 0.05'",
    )
