"""Read records of VCF and of tables from text."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from danq.errors import InputError
from danq.genome.variants.genotypes import phased
from danq.genome.variants.raw_records import (
    Header,
    Records,
    check_samples,
    find_sample,
    whole_numbers,
)

COLUMNS = ("chrom", "pos", "id", "ref", "alt")
NEEDED = ("chrom", "pos", "ref", "alt")
INFO, FORMAT = 7, 8
"""Indices of the columns INFO and FORMAT; the columns of samples follow."""
CONTIG = re.compile(r"##contig=<(?:.*,)?ID=([^,>]+)")
BYTE_ORDER_MARK = "\ufeff"
NOT_UTF8 = re.compile("[\udc80-\udcff]")
"""Result of `surrogateescape` for a byte that is not UTF-8."""
REMEDY = (
    "Give a VCF, a BCF, or a tab-separated table whose first line names the columns "
    "chrom, pos, ref, alt and optionally id"
)

log = logging.getLogger("danq")


class TextSource:
    """Records of VCF, or of a table with a line of column names, from uncompressed text.

    Parameters
    ----------
    handle
        Uncompressed input at its first byte.
    name
        Name of the input in messages.
    sample
        Sample whose genotypes are read, or None.
    keep_lines
        Keep the text of the records. Bytes that are not UTF-8 are then an error, since they could
        not be written again. Otherwise they are read as U+FFFD, with one warning.

    Raises
    ------
    InputError
        When the line of column names is missing or lacks a column, or there is no such sample;
        and, while it is read, at bytes that are not UTF-8 when lines are kept.
    """

    def __init__(
        self, handle: io.BufferedReader[Any], name: str, sample: str | None, keep_lines: bool
    ) -> None:
        self.name, self.keep_lines = name, keep_lines
        # surrogateescape marks bytes that are not UTF-8.
        self._text = io.TextIOWrapper(
            handle, encoding="utf-8", errors="surrogateescape", newline="\n"
        )
        self._lines = self._decoded()
        self._warned = False
        self._record = 1
        meta, columns = self._read_header()
        self._width = len(columns)
        lowered = [column.lower() for column in columns]
        missing = [column for column in NEEDED if column not in lowered]
        if missing:
            raise InputError(
                f"the line of column names lacks {', '.join(missing)}", file=name, remedy=REMEDY
            )
        self._indices = [lowered.index(one) if one in lowered else -1 for one in COLUMNS]
        samples = columns[FORMAT + 1 :] if columns[FORMAT : FORMAT + 1] == ["FORMAT"] else []
        self.header = Header(meta, [one[1] for one in map(CONTIG.match, meta) if one], samples)
        if keep_lines:
            # The lines are written again, with their samples.
            check_samples(samples, name)
        self._sample = None if sample is None else FORMAT + 1 + find_sample(samples, sample, name)

    def _decoded(self) -> Iterator[tuple[int, str]]:
        for number, line in enumerate(self._text, start=1):
            yield number, line if line.isascii() else self._plain(number, line)

    def _plain(self, number: int, line: str) -> str:
        if not NOT_UTF8.search(line):
            return line
        if self.keep_lines:
            raise InputError(
                "has bytes that are not UTF-8, which cannot be written to an annotated VCF",
                file=self.name,
                line=number,
                remedy="Convert it, for example with: iconv -f latin1 -t utf-8",
            )
        if not self._warned:
            log.warning(
                "%s, line %d: has bytes that are not UTF-8; they are read as U+FFFD",
                self.name,
                number,
            )
            self._warned = True
        return NOT_UTF8.sub("\N{REPLACEMENT CHARACTER}", line)

    def _read_header(self) -> tuple[list[str], list[str]]:
        meta: list[str] = []
        for number, line in self._lines:
            line = line.rstrip("\r\n").removeprefix(BYTE_ORDER_MARK if number == 1 else "")
            if line.startswith("##"):
                meta.append(line)
            elif line.strip():
                columns = line.removeprefix("#").split("\t")
                if "chrom" in line.lower() or not meta:
                    self._check_names(columns, number, line)
                    return meta, columns
                break
        raise InputError(
            "the line of column names (#CHROM POS ID REF ALT ...) is missing",
            file=self.name,
            remedy="Restore the header, for example with: bcftools reheader",
        )

    def _check_names(self, columns: list[str], number: int, line: str) -> None:
        if "chrom" in map(str.lower, columns):
            return
        spaces = len(columns) == 1 and "chrom" in columns[0].lower().split()
        raise InputError(
            f"the column names are separated by spaces, not tabs ({line[:40]!r})"
            if spaces
            else f"starts neither as VCF nor with column names ({line[:40]!r})",
            file=self.name,
            line=number,
            remedy="Convert the spaces to tabs, for example with: tr -s ' ' '\\t'"
            if spaces
            else REMEDY,
        )

    def skip(self, records: int) -> None:
        """Skip records."""
        self._record += sum(1 for _ in islice(self._records(), records))

    def read(self, count: int) -> Records | None:
        """Read at most ``count`` records; None after the last one.

        Raises
        ------
        InputError
            At a record with fewer columns than the header, or a position that is not a whole
            number.
        """
        taken = list(islice(self._records(), count))
        if not taken:
            return None
        lines = [line for _, line in taken]
        numbers = [number for number, _ in taken]
        last = max(*self._indices, self._sample or 0, FORMAT if self._sample else 0) + 1
        fields = [line.split("\t", last) for line in lines]
        for number, line, row in zip(numbers, lines, fields, strict=True):
            if len(row) <= last and len(row) < self._width:
                raise self._short(number, line)
            if len(row) > last and last + row[last].count("\t") + 1 < self._width:
                raise self._short(number, line)
        chrom, pos, id_, ref, alt = (
            ["."] * len(fields) if index < 0 else [row[index] for row in fields]
            for index in self._indices
        )
        genotype, phase_set = self._genotypes(fields)
        first, self._record = self._record, self._record + len(lines)
        kept = lines if self.keep_lines else []
        return Records(
            first,
            numbers,
            chrom,
            whole_numbers(pos, self.name, numbers, first),
            id_,
            ref,
            alt,
            genotype,
            phase_set,
            kept,
            [] if self._sample is None else [row[INFO] for row in fields],
        )

    def _records(self) -> Iterator[tuple[int, str]]:
        for number, line in self._lines:
            line = line.rstrip("\r\n")
            if line and not line.startswith("#") and not line.isspace():
                yield number, line

    def _genotypes(self, fields: list[list[str]]) -> tuple[list[str], list[str]]:
        if self._sample is None:
            return [], []
        genotype, phase_set = [], []
        for row in fields:
            values = dict(zip(row[FORMAT].split(":"), row[self._sample].split(":"), strict=False))
            one, its_set = phased(values)
            genotype.append(one)
            phase_set.append(its_set)
        return genotype, phase_set

    def _short(self, number: int, line: str) -> InputError:
        spaces = "\t" not in line and len(line.split()) >= self._width
        return InputError(
            f"the fields are separated by spaces, not tabs ({line[:40]!r})"
            if spaces
            else f"the record has {line.count(chr(9)) + 1} columns, "
            f"the header has {self._width} ({line[:40]!r})",
            file=self.name,
            line=number,
            remedy="Convert the spaces to tabs, for example with: tr -s ' ' '\\t'"
            if spaces
            else "Check whether the file is truncated",
        )
