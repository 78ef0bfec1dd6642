"""Records of VCF, BCF and tables as columns of text, block by block."""

from __future__ import annotations

import io
import os
import re
import shutil
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from danq.errors import InputError
from danq.genome.variants.stream import STDIN, name_of, open_stream

if TYPE_CHECKING:
    import pysam

BCF_MAGIC = b"BCF\2"
COLUMNS = ("chrom", "pos", "id", "ref", "alt")
NEEDED = ("chrom", "pos", "ref", "alt")
GENOTYPES = 9
"""Column of the first sample."""
CONTIG = re.compile(r"##contig=<(?:.*,)?ID=([^,>]+)")
BYTE_ORDER_MARK = "\ufeff"
REMEDY = (
    "Give a VCF, a BCF, or a tab-separated table whose first line names the columns "
    "chrom, pos, ref, alt and perhaps id"
)


class Records(NamedTuple):
    """Consecutive records, one text a record and column.

    ``first`` is the 1-based number of the first one, ``numbers`` their lines in the file
    (empty where there are none), ``genotype`` and ``phase_set`` a sample's GT and PS (empty
    where none was asked for), ``lines`` the whole records (empty unless asked for).
    """

    first: int
    numbers: list[int]
    chrom: list[str]
    pos: list[int]
    id: list[str]
    ref: list[str]
    alt: list[str]
    genotype: list[str]
    phase_set: list[str]
    lines: list[str]


class Header(NamedTuple):
    """What an input says of itself: header lines, contigs, samples; empty for tables."""

    meta: list[str]
    contigs: list[str]
    samples: list[str]


class TextSource:
    """VCF, or a table with a line of column names, from uncompressed text.

    Parameters
    ----------
    handle
        At the first byte.
    name
        How messages call the input.
    sample
        Sample whose genotypes are wanted, or None.
    keep_lines
        Keep the records' lines.

    Raises
    ------
    InputError
        When there is no line of column names, it lacks a column, or there is no such sample.
    """

    def __init__(
        self, handle: io.BufferedReader[Any], name: str, sample: str | None, keep_lines: bool
    ) -> None:
        self.name, self.keep_lines = name, keep_lines
        text = io.TextIOWrapper(handle, encoding="utf-8", errors="replace", newline="\n")
        self._lines = enumerate(text, start=1)
        self._record = 1
        meta, columns = self._read_header()
        self._width = len(columns)
        lowered = [column.lower() for column in columns]
        missing = [column for column in NEEDED if column not in lowered]
        if missing:
            raise InputError(
                f"the line of column names lacks {', '.join(missing)}", file=name, remedy=REMEDY
            )
        self._places = [lowered.index(one) if one in lowered else -1 for one in COLUMNS]
        samples = columns[GENOTYPES:] if meta and len(columns) > GENOTYPES else []
        self.header = Header(meta, [one[1] for one in map(CONTIG.match, meta) if one], samples)
        self._sample = None if sample is None else GENOTYPES + find_sample(samples, sample, name)

    def _read_header(self) -> tuple[list[str], list[str]]:
        meta: list[str] = []
        for number, line in self._lines:
            line = line.rstrip("\r\n").removeprefix(BYTE_ORDER_MARK if number == 1 else "")
            if line.startswith("##"):
                meta.append(line)
            elif line.strip():
                columns = line.removeprefix("#").split("\t")
                if columns[0].strip().lower() == "chrom" or not meta:
                    self._check_names(columns, number, line)
                    return meta, columns
                break
        raise InputError(
            "the line of column names (#CHROM POS ID REF ALT ...) is missing",
            file=self.name,
            remedy="Put the header back, for example with: bcftools reheader",
        )

    def _check_names(self, columns: list[str], number: int, line: str) -> None:
        if columns[0].lower() == "chrom":
            return
        spaces = len(columns) == 1 and columns[0].lower().split()[:1] == ["chrom"]
        raise InputError(
            f"the column names are separated by spaces, not tabs ({line[:40]!r})"
            if spaces
            else f"begins neither as VCF nor with column names ({line[:40]!r})",
            file=self.name,
            line=number,
            remedy="Put tabs there, for example with: tr -s ' ' '\\t'" if spaces else REMEDY,
        )

    def skip(self, records: int) -> None:
        """Pass over records."""
        self._record += sum(1 for _ in islice(self._records(), records))

    def read(self, count: int) -> Records | None:
        """Read at most ``count`` records; None after the last one.

        Raises
        ------
        InputError
            At a record with fewer columns than the header names or a position that is no
            whole number.
        """
        taken = list(islice(self._records(), count))
        if not taken:
            return None
        lines = [line for _, line in taken]
        numbers = [number for number, _ in taken]
        last = max(*self._places, self._sample or 0, 8 if self._sample else 0) + 1
        fields = [line.split("\t", last) for line in lines]
        for number, line, row in zip(numbers, lines, fields, strict=True):
            if len(row) <= last and len(row) < self._width:
                raise self._short(number, line)
            if len(row) > last and last + row[last].count("\t") + 1 < self._width:
                raise self._short(number, line)
        chrom, pos, id_, ref, alt = (
            ["."] * len(fields) if place < 0 else [row[place] for row in fields]
            for place in self._places
        )
        genotype, phase_set = self._genotypes(fields)
        first, self._record = self._record, self._record + len(lines)
        kept = lines if self.keep_lines else []
        return Records(
            first,
            numbers,
            chrom,
            whole_numbers(pos, self.name, numbers),
            id_,
            ref,
            alt,
            genotype,
            phase_set,
            kept,
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
            values = dict(zip(row[8].split(":"), row[self._sample].split(":"), strict=False))
            genotype.append(values.get("GT", "."))
            phase_set.append(values.get("PS", "."))
        return genotype, phase_set

    def _short(self, number: int, line: str) -> InputError:
        spaces = "\t" not in line and len(line.split()) >= self._width
        return InputError(
            f"the fields are separated by spaces, not tabs ({line[:40]!r})"
            if spaces
            else f"the record has {line.count(chr(9)) + 1} columns, "
            f"the header names {self._width} ({line[:40]!r})",
            file=self.name,
            line=number,
            remedy="Put tabs there, for example with: tr -s ' ' '\\t'"
            if spaces
            else "Check whether the file was cut short",
        )


class BcfSource:
    """BCF, read by htslib through pysam; the arguments are those of :class:`TextSource`."""

    def __init__(self, file: Any, name: str, sample: str | None, keep_lines: bool) -> None:
        import pysam

        self.name, self.sample, self.keep_lines = name, sample, keep_lines
        pysam.set_verbosity(0)
        try:
            self.file = pysam.VariantFile(file)
        except (OSError, ValueError) as error:
            raise self._damaged(error) from error
        header = self.file.header
        meta = str(header).splitlines()[:-1]
        self.header = Header(meta, [str(name) for name in header.contigs], list(header.samples))
        if sample is not None:
            find_sample(self.header.samples, sample, name)
        if not keep_lines:
            self.file.subset_samples([] if sample is None else [sample])
        self._record = 1

    def skip(self, records: int) -> None:
        """Pass over records."""
        self._record += len(self._take(records))

    def read(self, count: int) -> Records | None:
        """Read at most ``count`` records; None after the last one."""
        taken = self._take(count)
        if not taken:
            return None
        first, self._record = self._record, self._record + len(taken)
        genotype, phase_set = [], []
        for record in taken if self.sample is not None else []:
            call = record.samples[self.sample]
            indices = call.allele_indices or (None,)
            between = "|" if call.phased else "/"
            genotype.append(between.join("." if one is None else str(one) for one in indices))
            phase_set.append(str(call["PS"]) if "PS" in record.format else ".")
        return Records(
            first,
            [],
            [record.chrom for record in taken],
            [record.pos for record in taken],
            [record.id or "." for record in taken],
            [record.ref or "" for record in taken],
            [",".join(record.alts or (".",)) for record in taken],
            genotype,
            phase_set,
            [str(record).rstrip("\n") for record in taken] if self.keep_lines else [],
        )

    def _take(self, count: int) -> list[Any]:
        try:
            return list(islice(self.file, count))
        except (OSError, ValueError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> InputError:
        return InputError(
            f"cannot be read as BCF ({error})",
            file=self.name,
            remedy="Copy or make it again; 'bcftools view' checks it",
        )


class TableSource:
    """Rows in memory: (chrom, pos, ref, alt) or (chrom, pos, ref, alt, id), ``pos`` 1-based."""

    header = Header([], [], [])

    def __init__(self, rows: Iterable[tuple], name: str) -> None:
        self.name = name
        self._rows = iter(rows)
        self._record = 1

    def skip(self, records: int) -> None:
        """Pass over records."""
        self._record += sum(1 for _ in islice(self._rows, records))

    def read(self, count: int) -> Records | None:
        """Read at most ``count`` records; None after the last one.

        Raises
        ------
        InputError
            At a row that has not four or five values or a position that is no whole number.
        """
        taken = [tuple(row) for row in islice(self._rows, count)]
        if not taken:
            return None
        first, self._record = self._record, self._record + len(taken)
        for number, row in enumerate(taken, start=first):
            if len(row) not in (4, 5):
                raise InputError(
                    f"the row has {len(row)} values, not chrom, pos, ref, alt and perhaps id",
                    file=self.name,
                    record=str(number),
                )
        chrom, pos, ref, alt = (["" if v is None else str(v) for v in c] for c in _columns(taken))
        ids = [str(row[4]) if len(row) == 5 and row[4] is not None else "." for row in taken]
        numbers = list(range(first, first + len(taken)))
        places = whole_numbers(pos, self.name, numbers)
        return Records(first, numbers, chrom, places, ids, ref, alt, [], [], [])


Source = TextSource | BcfSource | TableSource


@contextmanager
def open_source(
    path: str | Path, sample: str | None = None, keep_lines: bool = False
) -> Iterator[TextSource | BcfSource]:
    """Open a VCF, a BCF or a table; plain, gzip or bgzip; ``-`` is standard input.

    Raises
    ------
    InputError
        As :func:`danq.genome.variants.stream.open_stream` and the sources.
    """
    name = name_of(path)
    with open_stream(path) as handle:
        if handle.peek(len(BCF_MAGIC))[: len(BCF_MAGIC)] != BCF_MAGIC:
            yield TextSource(handle, name, sample, keep_lines)
            return
        if str(path) != STDIN and Path(path).is_file():
            yield BcfSource(str(path), name, sample, keep_lines)
            return
        with _piped(handle) as pipe:
            yield BcfSource(pipe, name, sample, keep_lines)


@contextmanager
def _piped(handle: io.BufferedReader[Any]) -> Iterator[Any]:
    """Pipe with the bytes of ``handle`` in it: htslib reads nothing but files and pipes."""
    end, begin = os.pipe()
    failed: list[InputError] = []

    def pump() -> None:
        try:
            with os.fdopen(begin, "wb") as writer:
                shutil.copyfileobj(handle, writer)
        except BrokenPipeError:
            pass
        except InputError as error:
            failed.append(error)

    thread = threading.Thread(target=pump, daemon=True)
    thread.start()
    with os.fdopen(end, "rb") as reader:
        try:
            yield reader
        finally:
            # What is wrong with the bytes says more than what htslib makes of them.
            if failed:
                raise failed[0]
    thread.join()


def header_of(header: Header) -> pysam.VariantHeader | None:
    """Header as pysam has it; None for a table."""
    if not header.meta:
        return None
    import pysam

    made = pysam.VariantHeader()
    for line in header.meta:
        if not line.startswith("##fileformat"):
            made.add_line(line)
    made.add_samples(header.samples)
    return made


def find_sample(samples: list[str], sample: str, name: str) -> int:
    """Place of a sample among those of a file; an InputError where it is not there."""
    if sample not in samples:
        few = ", ".join(samples[:5]) + (", ..." if len(samples) > 5 else "")
        raise InputError(
            f"has no sample '{sample}'; it has {few or 'none'}",
            file=name,
            remedy="Name a sample of the file",
        )
    return samples.index(sample)


def whole_numbers(texts: list[str], name: str, numbers: list[int]) -> list[int]:
    """Positions from text; an InputError with the line of the first that is none."""
    joined = "".join(texts)
    if not (joined.isascii() and joined.isdigit() and max(map(len, texts)) <= 18 and all(texts)):
        for text, number in zip(texts, numbers, strict=True):
            if not (text.isascii() and text.isdigit() and len(text) <= 18):
                raise InputError(
                    f"the position {text!r} is not a whole number",
                    file=name,
                    line=number,
                    remedy="Positions count from 1",
                )
    return [int(text) for text in texts]


def _columns(rows: list[tuple]) -> list[list]:
    return [[row[i] for row in rows] for i in range(4)]
