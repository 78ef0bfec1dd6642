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
from danq.genome.variants.table_columns import find_columns, plain_name
from danq.genome.variants.table_values import TableValues, unquoted
from danq.genome.variants.text_header import (
    LACKS,
    SEPARATORS,
    TABS,
    VCF_COLUMNS,
    TextHeader,
    header_contigs,
    read_text_header,
    split_line,
)
from danq.genome.variants.text_lines import TextLines

COLUMNS = ("chrom", "pos", "id", "ref", "alt")
INFO, FORMAT = 7, 8
"""Indices of the columns INFO and FORMAT; the columns of samples follow."""
END = re.compile(r"(?:^|;)END=([0-9]{1,18})")
NOT_UTF8 = re.compile("[\udc80-\udcff]")
"""Result of `surrogateescape` for a byte that is not UTF-8."""

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
        Keep the text of the records, which must then be those of a VCF. Bytes that are not UTF-8
        are then an error, since they could not be written again. Otherwise they are read as
        U+FFFD, with one warning.
    spans
        Also read the last base that each record of a VCF covers.
    numbered
        The text is the whole input. Otherwise the numbers of lines are not known.

    Attributes
    ----------
    is_table
        Whether the input is a table rather than a VCF.
    oriented
        Whether REF is the reference allele; False for a table that does not show it.

    Raises
    ------
    InputError
        When the line of column names is missing or lacks a column, or there is no such sample;
        when lines are kept and the input is not a VCF with the standard columns; and, while it is
        read, at bytes that are not UTF-8 when lines are kept, and at a second header that
        contradicts the first.
    """

    def __init__(
        self,
        handle: io.BufferedReader[Any],
        name: str,
        sample: str | None,
        keep_lines: bool,
        *,
        spans: bool = False,
        numbered: bool = True,
    ) -> None:
        self.name, self.keep_lines = name, keep_lines
        self._spans, self._numbered = spans, numbered
        self._text = TextLines(handle, self._plain)
        self._lines = iter(self._text)
        self._warned = self._repeated = False
        self._record = 1
        self._head = read_text_header(self._lines, name)
        columns = self._head.columns
        self._width = len(columns)
        self.is_table, self.oriented = not self._head.is_vcf, True
        contigs = list(header_contigs(self._head.meta, name))
        samples = columns[FORMAT + 1 :] if columns[FORMAT : FORMAT + 1] == ["FORMAT"] else []
        if keep_lines:
            _check_kept(self._head, name)
            # The lines are written again, with their samples.
            check_samples(samples, name)
        self.header = Header(self._head.meta if self._head.is_vcf else [], contigs, samples)
        self._sample = None if sample is None else FORMAT + 1 + find_sample(samples, sample, name)
        if self._head.is_vcf:
            plain = list(map(plain_name, columns[: len(VCF_COLUMNS)]))
            self._indices = [plain.index(one) if one in plain else -1 for one in COLUMNS]
        else:
            self._values = self._table_values()

    def _table_values(self) -> TableValues:
        names, line = self._head.columns, self._head.line
        found = find_columns(names, file=self.name, line=line, lacks=LACKS)
        self.oriented = found.oriented
        self._last = max(found.used) + 1
        usual = found.pos >= 0 and found.ref >= 0 and found.oriented
        used = [names[one] for one in found.used if one != found.strand]
        if not usual or {*map(plain_name, used)} - {*COLUMNS} or self._head.separator != "\t":
            log.info(
                "%s: a table separated by %s; %s",
                self.name,
                SEPARATORS[self._head.separator],
                found.describe(names),
            )
        return TableValues(found, names, self.name)

    def _plain(self, number: int, line: str) -> str:
        if not NOT_UTF8.search(line):
            return line
        if self.keep_lines:
            raise InputError(
                "has bytes that are not UTF-8, which cannot be written to an annotated VCF",
                file=self.name,
                **self._place(number),
                remedy="Convert it, for example with: iconv -f latin1 -t utf-8",
            )
        if not self._warned:
            where = f", line {number}" if self._numbered else ""
            log.warning(
                "%s%s: has bytes that are not UTF-8; they are read as U+FFFD", self.name, where
            )
            self._warned = True
        return NOT_UTF8.sub("\N{REPLACEMENT CHARACTER}", line)

    def skip(self, records: int) -> int:
        """Skip records without parsing them; returns their number, less at the end."""
        header = self._head.text if self.is_table else None
        done = 0
        while done < records:
            passed = self._text.skip_plain(records - done, header)
            if not passed:
                passed = sum(1 for _ in islice(self._records(), 1))
                if not passed:
                    break
            done += passed
        self._record += done
        return done

    def read(self, count: int) -> Records | None:
        """Read at most ``count`` records; None after the last one.

        Raises
        ------
        InputError
            At a record with more or fewer columns than the header, or a position that is not a
            whole number; and as `TableValues.read`.
        """
        taken = list(islice(self._records(), count))
        if not taken:
            return None
        lines = [line for _, line in taken]
        numbers = [number for number, _ in taken]
        first, self._record = self._record, self._record + len(lines)
        if self.is_table:
            values = self._values.read(self._columns(lines, numbers), numbers, first)
            return Records(first, numbers, *values, [], [], [], [])
        tabs = self._width - 1
        counts = [line.count("\t") for line in lines]
        if counts.count(tabs) != len(counts):
            lines = [self._fitting(number, line) for number, line in taken]
        numbers = numbers if self._numbered else []
        more = FORMAT if self._sample else INFO if self._spans else 0
        last = max(*self._indices, self._sample or 0, more) + 1
        fields = [line.split("\t", last) for line in lines]
        chrom, pos, id_, ref, alt = (
            ["."] * len(fields) if index < 0 else [row[index] for row in fields]
            for index in self._indices
        )
        genotype, phase_set = self._genotypes(fields)
        return Records(
            first,
            numbers,
            chrom,
            positions := whole_numbers(pos, self.name, numbers, first),
            id_,
            ref,
            alt,
            genotype,
            phase_set,
            lines if self.keep_lines else [],
            [] if self._sample is None else [row[INFO] for row in fields],
            self._ends(fields, positions, ref) if self._spans else (),
        )

    def _ends(self, fields: list[list[str]], pos: list[int], ref: list[str]) -> list[int]:
        """1-based last base of each record."""
        ends = [start + len(bases) - 1 for start, bases in zip(pos, ref, strict=True)]
        for row, texts in enumerate(fields):
            info = texts[INFO] if len(texts) > INFO else ""
            if "END=" in info and (found := END.search(info)) is not None:
                # As htslib, which ignores an END before POS.
                ends[row] = int(found[1]) if int(found[1]) >= pos[row] else ends[row]
        return ends

    def _columns(self, lines: list[str], numbers: list[int]) -> Any:
        """Texts of a table's column by its index."""
        separator, width = self._head.separator, self._width
        limit = self._last if separator == "\t" else -1
        rows = []
        for number, line in zip(numbers, lines, strict=True):
            if limit >= 0 and line.count("\t") == width - 1:
                rows.append(line.split("\t", limit))
                continue
            rows.append(self._fields(number, line))
        return lambda index: [row[index] for row in rows]

    def _fields(self, number: int, line: str) -> list[str]:
        """All fields of a record of a table."""
        row, width = split_line(line, self._head.separator), self._width
        if len(row) != width and (len(row) < width or any(map(str.strip, row[width:]))):
            raise self._misfit(number, line, len(row))
        return row

    def fields(self) -> Iterator[tuple[int, list[str]]]:
        """Line number and fields of each remaining record of a table, in place of `read`.

        Raises
        ------
        InputError
            At a record with more or fewer columns than the header.
        """
        for number, line in self._records():
            row = self._fields(number, line)[: self._width]
            yield number, [unquoted(text.strip()) for text in row]

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return [unquoted(name.strip()) for name in self._head.columns]

    def _records(self) -> Iterator[tuple[int, str]]:
        for number, line in self._lines:
            line = line.rstrip("\r\n")
            if line and not line.startswith("#") and not line.isspace():
                if self.is_table and line == self._head.text:
                    self._note_repeated(number)
                    continue
                yield number, line
            elif line.startswith("#"):
                self._check_later_header(number, line)

    def _check_later_header(self, number: int, line: str) -> None:
        """Refuse a header in the middle, as of concatenated files, that contradicts the first."""
        if line.startswith("##contig="):
            header_contigs([*self._head.meta, line], self.name)
            return
        columns = line.split("\t")
        if len(columns) < len(COLUMNS) or plain_name(columns[0]) != "chrom":
            return
        if [columns[0].lstrip("#"), *columns[1:]] != [
            self._head.columns[0].lstrip("#"),
            *self._head.columns[1:],
        ]:
            raise InputError(
                "a second line of column names differs from that in line "
                f"{self._head.line}, so the columns change",
                file=self.name,
                line=number,
                remedy="Give one file at a time, or join them with: bcftools merge",
            )
        self._note_repeated(number)

    def _note_repeated(self, number: int) -> None:
        if not self._repeated:
            log.info(
                "%s, line %d: the line of column names repeats, as in concatenated files; it is "
                "skipped",
                self.name,
                number,
            )
        self._repeated = True

    def _genotypes(self, fields: list[list[str]]) -> tuple[list[str], list[str]]:
        if self._sample is None:
            return [], []
        genotype, phase_set = [], []
        form, keys = "", [""]
        for row in fields:
            if row[FORMAT] != form:
                form = row[FORMAT]
                keys = form.split(":")
            values = dict(zip(keys, row[self._sample].split(":"), strict=False))
            one, its_set = phased(values)
            genotype.append(one)
            phase_set.append(its_set)
        return genotype, phase_set

    def _fitting(self, number: int, line: str) -> str:
        """A record of a VCF without empty fields after the last column."""
        bare = line.rstrip("\t")
        tabs = self._width - 1
        if line.count("\t") == tabs:
            return line
        if line.count("\t") > tabs >= bare.count("\t"):
            return bare + "\t" * (tabs - bare.count("\t"))
        raise self._misfit(number, line, line.count("\t") + 1)

    def _misfit(self, number: int, line: str, columns: int) -> InputError:
        if self._head.separator == "\t" and columns == 1 and len(line.split()) >= self._width > 1:
            problem = f"the fields are separated by spaces, not tabs ({line[:40]!r})"
            remedy = TABS
        else:
            problem = (
                f"the record has {columns} columns, the header has {self._width} ({line[:40]!r})"
            )
            remedy = "Check whether the file is truncated"
            if self.is_table and columns == self._width + 1:
                remedy = "If the first column holds names of rows, give it a name in the header"
            elif columns > self._width:
                remedy = "Check the separators of this line and of the header"
        return InputError(problem, file=self.name, **self._place(number), remedy=remedy)

    def _place(self, number: int) -> dict[str, Any]:
        """Where a line is: its number, or that of its record among those that are read."""
        if self._numbered:
            return {"line": number}
        return {"record": str(number - self._head.line)}


def _check_kept(head: TextHeader, name: str) -> None:
    """Refuse a header to whose records INFO fields cannot be added."""
    columns = ["#" + head.columns[0].lstrip("#"), *head.columns[1:]]
    standard = len(columns) >= len(COLUMNS) and all(
        one == other for one, other in zip(columns, VCF_COLUMNS, strict=False)
    )
    if not head.is_vcf or not standard or columns[FORMAT : FORMAT + 1] not in ([], ["FORMAT"]):
        raise InputError(
            "is a table, and only a VCF can be annotated"
            if not head.is_vcf
            else "the columns are not those of a VCF (#CHROM POS ID REF ALT QUAL FILTER INFO, and "
            "FORMAT with samples), so it cannot be annotated",
            file=name,
            line=head.line,
            remedy="Choose an output that ends with .tsv, .h5 or .parquet",
        )
