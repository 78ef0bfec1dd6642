"""Variant effects as INFO fields of the input VCF."""

from __future__ import annotations

import gzip
import logging
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import polars as pl

from danq.errors import InputError, escaped
from danq.genome.variants.text_header import CONTIG, VCF_COLUMNS
from danq.inference.writers.layout import Layout, Values, named_tracks
from danq.inference.writers.variant_layout import FLAGS, VariantLayout
from danq.inference.writers.writer import Writer
from danq.output import OutputFile, os_errors, replacing_files

PREFIX = "DANQ_"
MISSING = "."
INDEXES = (".tbi", ".csi")
"""Extensions of a VCF's index; CSI is for contigs that TBI cannot hold."""

INDEX_MAGICS = (b"TBI\x01", b"CSI\x01")
"""First bytes of the indexes, uncompressed."""

LONGEST_TBI = 1 << 29
"""Bases of a contig from which a TBI index is not enough, and CSI is used."""

FILE_FORMAT = "##fileformat=VCF"
NEWEST = f"{FILE_FORMAT}v4.2"
"""First line of a VCF whose input has none."""

_CONTIG_END = re.compile('[,<>"]')
_UNSAFE = re.compile(r"[^A-Za-z0-9_.]")
_OWN = re.compile(rf"##(INFO=<ID=)?{PREFIX}", re.IGNORECASE)

log = logging.getLogger("danq")


class LinesAndRows(NamedTuple):
    """Rows, and the table (``record``, ``line``) of all records that they are from."""

    rows: pl.DataFrame
    lines: pl.DataFrame


class VcfWriter(Writer):
    """Every record of the input, rejected ones too, with one INFO field per column.

    Fields have one value per ALT, ``.`` for a rejected one. ``DANQ_flags`` joins flags with ``&``.
    The file is compressed with bgzip. If it is sorted, it is indexed: its name and ``.tbi``, or
    ``.csi`` if a contig is too long for that.

    Parameters
    ----------
    path
        File to create.
    layout
        Columns, provenance and the header of the input.

    Raises
    ------
    InputError
        When two columns would get one field.
    """

    def __init__(self, path: Path, layout: VariantLayout) -> None:
        from pysam import BGZFile

        self.path = path
        self.indexes = self.files(path)[1:]
        self.fields = info_names(layout.columns)
        lines = _header(layout, self.fields)
        self._index_fields = info_names(layout.index_columns)
        self._track_names = [_UNSAFE.sub("_", name) for name in layout.tracks]
        self._samples = bool(layout.vcf_header and layout.vcf_header.samples)
        self._sorted, self._last = True, ("", 0)
        self._contigs: set[str] = set()
        self._furthest = 0
        with os_errors():
            self._file = BGZFile(str(path), "wb")  # type: ignore[call-arg]
            self._file.write("".join(f"{line}\n" for line in lines).encode())

    @classmethod
    def files(cls, out: Path) -> tuple[Path, ...]:
        return out, *(out.with_name(out.name + extension) for extension in INDEXES)

    @classmethod
    def check_layout(cls, layout: Layout) -> None:
        info_names(layout.columns)

    @classmethod
    def outputs(cls, out: Path) -> tuple[OutputFile, ...]:
        # An index of the file that is replaced would point to wrong positions.
        vcf, *indexes = cls.files(out)
        return *(OutputFile(file, is_index, optional=True) for file in indexes), OutputFile(vcf)

    @classmethod
    @contextmanager
    def open(cls, out: Path, layout: VariantLayout, overwrite: bool) -> Iterator[Writer]:
        with (
            replacing_files(cls.outputs(out), overwrite) as (*indexes, temporary),
            cls(temporary, layout) as writer,
        ):
            writer.indexes = tuple(indexes)
            yield writer

    def write(self, rows: LinesAndRows, values: Values) -> None:
        table = pl.from_numpy(values, orient="row", schema=list(self.fields))
        table = named_tracks(table, self._index_fields, self._track_names)
        texts = table.write_csv(include_header=False, separator="\t", quote_style="never")
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
        columns = line.split("\t", len(VCF_COLUMNS))
        if not self._samples:
            # Some files have a column FORMAT and no sample.
            columns = columns[: len(VCF_COLUMNS)]
        columns += [MISSING] * (len(VCF_COLUMNS) - len(columns))
        self._note_position(columns[0], int(columns[1]), len(columns[3]))
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

    def _note_position(self, chrom: str, pos: int, size: int) -> None:
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
                "the variants are not sorted, so their VCF is not indexed; 'bcftools sort' sorts it"
            )
            return
        far = self._furthest >= LONGEST_TBI
        index = self.indexes[far]
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
        # After an error, closing may fail for the same reason; the first error is raised.
        with suppress(OSError):
            self._file.close()


def is_index(path: Path) -> bool:
    """Whether a file is the index of a VCF, as tabix and bcftools write them."""
    try:
        with path.open("rb") as file, gzip.GzipFile(fileobj=file) as content:
            return content.read(len(INDEX_MAGICS[0])) in INDEX_MAGICS
    except (OSError, EOFError, zlib.error):
        return False


def info_names(columns: Sequence[str]) -> tuple[str, ...]:
    """INFO field of each column: ``DANQ_`` and its name, with ``_`` for invalid characters.

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
                remedy="Select tracks without one of them, or choose an output that ends with "
                ".tsv, .h5 or .parquet",
            )
        seen[name] = column
    return tuple(seen)


def _header(layout: VariantLayout, fields: Sequence[str]) -> Iterator[str]:
    """Header of the input, with the lines that a VCF must have, and those of the new fields."""
    head = layout.vcf_header
    assert head is not None
    # htslib needs the version in the first line, and it reads the first of several definitions.
    yield next((line for line in head.lines if line.startswith(FILE_FORMAT)), NEWEST)
    for line in dict.fromkeys(head.lines):
        if not line.startswith("##fileformat=") and not _OWN.match(line):
            yield line
    declared = {match[1] for match in map(CONTIG.match, head.lines) if match}
    undeclared = (name for name in head.contigs if name not in declared)
    # Other names would end the field.
    yield from (f"##contig=<ID={name}>" for name in undeclared if not _CONTIG_END.search(name))
    for name, text in layout.provenance.items():
        # A value that begins with '<' would be read as several fields.
        plain = escaped(" ".join(str(text).splitlines())).lstrip("<")
        yield f"##{PREFIX}{_UNSAFE.sub('_', name)}={plain}"
    yield _info(f"{PREFIX}flags", "String", f"Flags joined with &: {', '.join(FLAGS)}")
    named = info_names(layout.index_columns)
    for name, meaning in zip(fields, layout.meanings(), strict=True):
        yield _info(name, "String" if name in named else "Float", meaning)
    more = ("FORMAT", *head.samples) if head.samples else ()
    yield "\t".join((*VCF_COLUMNS, *more))


def _info(name: str, kind: str, meaning: str) -> str:
    text = escaped(" ".join(meaning.splitlines())).replace("\\", "\\\\").replace('"', '\\"')
    return f'##INFO=<ID={name},Number=A,Type={kind},Description="{text}">'
