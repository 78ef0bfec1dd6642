"""Which rows of a table of measured variants can be compared, and why others cannot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from jaxtyping import Float64, Int8

from danq.errors import InputError
from danq.evaluation import window_blocks
from danq.genome.variants import VariantBlock
from danq.inference.variant_benchmark.baselines import kind_of
from danq.inference.variant_benchmark.measurements import MeasuredVariants
from danq.typing import BoolRow, IntRow

REJECTS = ("record", "chrom", "pos", "id", "ref", "alt", "reason", "detail")
FEWEST = 5
"""Smallest number of variants that are compared."""

FIFTHS = 5
MANY_VALUES = 10
"""Number of distinct numbers up to which controls are matched by equal values."""


@dataclass(frozen=True, eq=False)
class UsableVariants:
    """Scored variants with all measured values.

    Attributes
    ----------
    keep
        ``(V,)`` whether each scored row is used; N of them are.
    effect
        ``(N,)`` signed effects of ALT over REF; None if not measured.
    label
        ``(N,)`` 1 or 0; None if not measured.
    strata, matched
        ``(N,)`` group index of each row; None without such columns. Rows with a negative index in
        ``matched`` belong to no group.
    grouped
        Whether ``matched`` are groups of the table rather than classes that danq made.
    contig, start
        ``(N,)`` contig index and 0-based position.
    rejects
        Rows of the table that are not used, with a reason of each.
    notes
        What else was left out, for people.
    """

    keep: BoolRow
    effect: Float64[np.ndarray, "N"] | None
    label: Int8[np.ndarray, "N"] | None
    strata: IntRow | None
    matched: IntRow | None
    grouped: bool
    contig: IntRow
    start: IntRow
    rejects: pl.DataFrame = field(repr=False)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Number of variants N."""
        return int(self.keep.sum())

    def blocks(self, count: int) -> IntRow:
        """Blocks of neighbouring positions for the bootstrap.

        Rows of one position are in one block. A matched group of the table is in the block of
        its first variant, so that each replicate draws a whole group.
        """
        places, row = np.unique(np.stack([self.contig, self.start]), axis=1, return_inverse=True)
        block = window_blocks(places[0], places[1], count)[row.ravel()]
        if self.grouped and self.matched is not None:
            groups, first = np.unique(self.matched, return_index=True)
            inside = self.matched >= 0
            block[inside] = block[first][np.searchsorted(groups, self.matched[inside])]
        return block


def find_usable(
    measured: MeasuredVariants, blocks: Sequence[VariantBlock], file: str
) -> UsableVariants:
    """Select the rows that can be compared.

    Rows are left out, with a reason, when danq cannot score the variant, a measured value is
    missing, or an earlier row has the same variant and values.

    Parameters
    ----------
    measured
        The table.
    blocks
        Its variants, as read.
    file
        Its name, for messages.

    Raises
    ------
    InputError
        When a row has several alternate alleles, two rows of one variant (and stratum) have
        different values, fewer than `FEWEST` rows remain, all effects or all labels are equal, or
        a matched group has no control or no variant with an effect.
    """
    check_groups(measured, file)
    table = _Rows(measured, blocks, file)
    keep = table.complete() & table.distinct()
    rows = table.record[keep]
    used = UsableVariants(
        keep=keep,
        effect=None if measured.effect is None else table.effect[keep],
        label=None if measured.label is None else measured.label[rows],
        strata=None if measured.strata is None else _numbered([measured.strata[i] for i in rows]),
        matched=table.matched(keep),
        grouped=measured.group is not None,
        contig=table.contig[keep],
        start=table.start[keep],
        rejects=table.reject_table(),
        notes=tuple(table.notes),
    )
    _check_enough(used, table, file)
    return used


def check_groups(measured: MeasuredVariants, file: str) -> None:
    """Check that each matched group has variants with an effect and controls.

    Raises
    ------
    InputError
        Naming the first group that lacks one, or when groups come without labels.
    """
    if measured.group is None:
        return
    if measured.label is None:
        raise InputError(
            "has matched groups, but no labels that show which variants are controls",
            file=file,
            remedy="Name the column of the label",
        )
    seen: dict[str, set[int]] = {}
    for name, label in zip(measured.group, measured.label.tolist(), strict=True):
        if name and label >= 0:
            seen.setdefault(name, set()).add(label)
    for label, what in ((0, "control"), (1, "variant with an effect")):
        lacking = [name for name, labels in seen.items() if label not in labels]
        if lacking:
            raise InputError(
                f"{len(lacking):,} of {len(seen):,} matched groups have no {what}; the first is "
                f"'{lacking[0]}'",
                file=file,
                remedy="Complete these groups, or remove them",
            )


class _Rows:
    """Scored rows with the row of the table that each is from."""

    def __init__(
        self, measured: MeasuredVariants, blocks: Sequence[VariantBlock], file: str
    ) -> None:
        self.measured, self.blocks, self.file = measured, blocks, file
        self.record = _joined([one.record for one in blocks]) - 1
        self.contig = _joined([one.contig for one in blocks])
        self.start = _joined([one.start for one in blocks])
        allele = _joined([one.allele for one in blocks])
        swapped = np.concatenate([np.zeros(0, np.bool_), *(one.swapped for one in blocks)])
        self.alleles = [
            pair for one in blocks for pair in zip(one.ref_allele, one.alt_allele, strict=True)
        ]
        if (allele > 1).any():
            row = int(self.record[int(np.argmax(allele > 1))])
            raise InputError(
                "the row has several alternate alleles and one measured value",
                **self._place(row),
                remedy="Write one row for each alternate allele",
            )
        self.effect = np.zeros(0)
        if measured.effect is not None:
            self.effect = np.where(swapped, -1.0, 1.0) * measured.effect[self.record]
        self.notes: list[str] = []
        self._rejects: list[tuple] = []
        for one in blocks:
            self._rejects += [tuple(reject) for reject in one.rejects]

    def _place(self, row: int) -> dict:
        lines = self.measured.rows.lines
        place = {"line": lines[row]} if lines else {"record": str(row + 1)}
        return {"file": self.file, **place}

    def _reject(self, rows: BoolRow, reason: str, detail: str) -> None:
        names = ("chrom", "pos", "id", "ref", "alt")
        texts = {name: [x for one in self.blocks for x in getattr(one, name)] for name in names}
        for i in np.flatnonzero(rows):
            values = (texts[name][i] for name in names)
            self._rejects.append((int(self.record[i]) + 1, *values, reason, detail))

    def complete(self) -> BoolRow:
        """Rows without missing values."""
        done = np.ones(len(self.record), np.bool_)
        measured = self.measured
        if measured.effect is not None:
            missing = np.isnan(self.effect)
            self._reject(missing, "no-effect", "the effect is missing")
            done &= ~missing
        if measured.label is not None:
            missing = (measured.label[self.record] < 0) & done
            self._reject(
                missing, "no-label", "the label, or the number it is made from, is missing"
            )
            done &= ~missing
        return done

    def distinct(self) -> BoolRow:
        """Rows that do not repeat an earlier one."""
        measured, seen = self.measured, {}
        repeated = np.zeros(len(self.record), np.bool_)
        for i, row in enumerate(self.record.tolist()):
            values = (
                None if measured.effect is None else float(self.effect[i]),
                None if measured.label is None else int(measured.label[row]),
            )
            if values[0] != values[0] or values[1] == -1:
                continue
            key = (
                int(self.contig[i]),
                int(self.start[i]),
                self.alleles[i],
                None if measured.strata is None else measured.strata[row],
                None if measured.group is None else measured.group[row],
            )
            earlier = seen.setdefault(key, (values, row))
            if earlier[0] != values:
                first = self._place(earlier[1])
                where = f"line {first['line']}" if "line" in first else f"record {first['record']}"
                raise InputError(
                    f"the variant has other measured values than in {where}",
                    **self._place(row),
                    remedy="Keep one of the rows, or name the column in which they differ (such "
                    "as a gene or an experiment) as a stratum",
                )
            repeated[i] = earlier[1] != row
        self._reject(repeated, "repeated", "an earlier row has the same variant and values")
        return ~repeated

    def matched(self, keep: BoolRow) -> IntRow | None:
        """Index of the matched group or class of each kept row."""
        measured, rows = self.measured, self.record[keep]
        if measured.label is None:
            return None
        label = measured.label[rows]
        if measured.group is not None:
            names = [measured.group[row] for row in rows]
            index = _numbered(names)
            index[[not name for name in names]] = -1
            what = "are in no matched group that has controls after rows were left out"
        elif measured.match:
            kinds = [kind_of(*self.alleles[i]) for i in np.flatnonzero(keep)]
            classes = [_classes([texts[row] for row in rows]) for texts in measured.match.values()]
            index = _numbered(list(zip(kinds, *classes, strict=True)))
            what = "have no matched control"
        else:
            return None
        controls = np.unique(index[(label == 0) & (index >= 0)])
        alone = (label == 1) & ~np.isin(index, controls)
        if alone.any():
            self.notes.append(
                f"{int(alone.sum()):,} of {int((label == 1).sum()):,} variants with an effect "
                f"{what}; the matched metrics leave them out"
            )
        if (label == 1).any() and (label == 0).any() and alone.sum() == (label == 1).sum():
            raise InputError(
                "no variant with an effect has a matched control",
                file=self.file,
                remedy="Match by fewer columns, or add controls",
            )
        return index

    def reject_table(self) -> pl.DataFrame:
        """Rejected rows in the order of the table."""
        kinds = {name: pl.Int64 if name in ("record", "pos") else pl.String for name in REJECTS}
        rows = sorted(self._rejects, key=lambda row: row[0])
        return pl.DataFrame(rows, schema=kinds, orient="row")


def _check_enough(used: UsableVariants, table: _Rows, file: str) -> None:
    reasons = Counter(used.rejects["reason"].to_list())
    why = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())
    rejected = f" ({why})" if why else ""
    if len(used) < FEWEST:
        raise InputError(
            f"{len(used)} of {len(table.measured.rows.rows):,} rows can be compared{rejected}, "  # type: ignore[arg-type]
            f"the minimum is {FEWEST}",
            file=file,
            remedy="Give more variants with measured effects",
        )
    if used.label is not None and np.ptp(used.label) == 0:
        which = "an effect" if used.label[0] else "no effect"
        raise InputError(
            f"the label of all {len(used):,} variants{rejected} is {used.label[0]} ({which})",
            file=file,
            remedy="Give variants of both classes, or another cut",
        )
    if used.effect is not None and np.ptp(used.effect) == 0:
        raise InputError(
            f"the effect of all {len(used):,} variants{rejected} is {used.effect[0]:g}",
            file=file,
            remedy="Give effects that differ",
        )


def _joined(parts: Sequence[IntRow]) -> IntRow:
    return np.concatenate([np.zeros(0, np.int64), *parts])


def _numbered(names: Sequence) -> IntRow:
    """Index of each distinct name, in order of appearance."""
    seen: dict = {}
    return np.array([seen.setdefault(name, len(seen)) for name in names], np.int64)


def _classes(texts: list[str]) -> list[str]:
    """Texts themselves, or fifths of the values if most are different numbers."""
    column = pl.Series(texts).cast(pl.Float64, strict=False).fill_nan(None)
    numbers = column.drop_nulls().to_numpy()
    unknown = pl.Series(texts).filter(column.is_null()).n_unique()
    if unknown > 1 or len(np.unique(numbers)) <= MANY_VALUES:
        return texts
    limits = np.quantile(numbers, np.arange(1, FIFTHS) / FIFTHS)
    return ["" if one is None else str(np.searchsorted(limits, one)) for one in column]
