"""Variant effects as INFO fields of the input VCF."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import polars as pl

from danq.errors import InputError
from danq.inference.writers.layout import Values, Writer
from danq.inference.writers.variant_layout import FLAGS, VariantLayout
from danq.output import os_errors

PREFIX = "DANQ_"
COLUMNS = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")
MISSING = "."
LONGEST_TBI = 1 << 29
"""Bases of a contig from which on a TBI index does not do, and CSI is used."""

_UNSAFE = re.compile(r"[^A-Za-z0-9_.]")
_OURS = re.compile(rf"##(INFO=<ID=)?{PREFIX}", re.IGNORECASE)

log = logging.getLogger("danq")


class Head(NamedTuple):
    """Header of the input: its ``##`` lines, and its samples."""

    lines: Sequence[str]
    samples: Sequence[str]


class LinesAndRows(NamedTuple):
    """Rows, and the table (``record``, ``line``) of all records that they come from."""

    rows: pl.DataFrame
    lines: pl.DataFrame


class VcfWriter(Writer):
    """Every record of the input, rejected ones too, with one INFO field a column.

    Fields have one value an ALT, ``.`` where that was rejected. ``DANQ_flags`` joins flags with
    ``&``. The file is bgzipped and, where it is sorted, indexed:
    its name and ``.tbi``, or ``.csi`` where a contig is too long for that.

    Parameters
    ----------
    path
        File to make.
    layout
        Columns and provenance.
    head
        Header of the input.

    Raises
    ------
    InputError
        When the input is no VCF, or two columns would get one field.
    """

    def __init__(self, path: Path, layout: VariantLayout, head: Head) -> None:
        from pysam import BGZFile

        self.path = path
        self.fields = info_names(layout.columns)
        lines = _header(layout, head, self.fields)
        self._sorted, self._last = True, ("", 0)
        self._contigs: set[str] = set()
        self._furthest = 0
        with os_errors():
            self._file = BGZFile(str(path), "wb")  # type: ignore[call-arg]
            self._file.write("".join(f"{line}\n" for line in lines).encode())

    def write(self, rows: LinesAndRows, values: Values) -> None:
        texts = pl.from_numpy(values, orient="row").write_csv(include_header=False, separator="\t")
        per_row = zip(
            rows.rows["record"].to_list(),
            rows.rows["allele"].to_list(),
            rows.rows["flags"].str.replace_all(",", "&").to_list(),
            texts.splitlines(),
            strict=True,
        )
        upcoming = next(per_row, None)
        lines = []
        for record, line in rows.lines.iter_rows():
            found: dict[int, list[str]] = {}
            while upcoming is not None and upcoming[0] == record:
                _, allele, flags, text = upcoming
                found[allele] = [flags, *text.split("\t")]
                upcoming = next(per_row, None)
            lines.append(self._annotated(line, found))
        with os_errors():
            self._file.write("".join(lines).encode())

    def _annotated(self, line: str, found: dict[int, list[str]]) -> str:
        columns = line.split("\t", len(COLUMNS))
        columns += [MISSING] * (len(COLUMNS) - len(columns))
        self._note_place(columns[0], int(columns[1]), len(columns[3]))
        kept = [one for one in columns[7].split(";") if not one.startswith(PREFIX)]
        kept = [one for one in kept if one not in ("", MISSING)]
        if found:
            blank = [MISSING] * (len(self.fields) + 1)
            alleles = range(1, columns[4].count(",") + 2)
            values = zip(*(found.get(allele, blank) for allele in alleles), strict=True)
            names = (f"{PREFIX}flags", *self.fields)
            kept += [f"{name}={','.join(each)}" for name, each in zip(names, values, strict=True)]
        columns[7] = ";".join(kept) or MISSING
        return "\t".join(columns) + "\n"

    def _note_place(self, chrom: str, pos: int, size: int) -> None:
        last = self._last
        if chrom == last[0]:
            self._sorted &= pos >= last[1]
        else:
            self._sorted &= chrom not in self._contigs
            self._contigs.add(chrom)
        self._furthest = max(self._furthest, pos + size)
        self._last = chrom, pos

    def finish(self) -> None:
        from pysam import tabix_index

        with os_errors():
            self._file.close()
        if not self._sorted:
            log.warning(
                "the variants are not sorted, so their VCF gets no index; 'bcftools sort' sorts it"
            )
            return
        far = self._furthest >= LONGEST_TBI
        index = self.path.with_name(f"{self.path.name}.{'csi' if far else 'tbi'}")
        with os_errors():
            tabix_index(
                str(self.path),
                preset="vcf",
                force=True,
                keep_original=True,
                index=str(index),
                csi=far,
            )

    def release(self) -> None:
        # The error that led here is the one to tell; what closing adds is its echo.
        with suppress(OSError):
            self._file.close()


def info_names(columns: Sequence[str]) -> tuple[str, ...]:
    """INFO field of each column: ``DANQ_`` and its name, with ``_`` for what VCF does not allow.

    Raises
    ------
    InputError
        When two columns get one field.
    """
    seen: dict[str, str] = {}
    for column in columns:
        name = PREFIX + _UNSAFE.sub("_", column)
        if name in seen:
            raise InputError(
                f"'{seen[name]}' and '{column}' would both be the field {name} of the VCF",
                remedy="Name the tracks that you want so as to leave one out, or choose an output "
                "that ends with .tsv, .h5 or .parquet",
            )
        seen[name] = column
    return tuple(seen)


def _header(layout: VariantLayout, head: Head, fields: Sequence[str]) -> Iterator[str]:
    if not head.lines:
        raise InputError(
            "an annotated VCF can be made of a VCF with its header alone",
            remedy="Give a VCF or BCF, or choose an output that ends with .tsv, .h5 or .parquet",
        )
    yield from (line for line in head.lines if not _OURS.match(line))
    for name, text in layout.provenance.items():
        yield f"##{PREFIX}{_UNSAFE.sub('_', name)}={text}"
    yield _info(f"{PREFIX}flags", "String", f"Flags joined with &: {', '.join(FLAGS)}")
    for name, meaning in zip(fields, layout.meanings(), strict=True):
        yield _info(name, "Float", meaning)
    more = ("FORMAT", *head.samples) if head.samples else ()
    yield "\t".join((*COLUMNS, *more))


def _info(name: str, kind: str, meaning: str) -> str:
    words = meaning.replace("\\", "\\\\").replace('"', '\\"')
    return f'##INFO=<ID={name},Number=A,Type={kind},Description="{words}">'
