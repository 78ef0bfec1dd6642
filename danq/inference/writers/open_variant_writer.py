"""Outputs of variant effects; the ending of the name, or a word, picks the kind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal, cast

from danq.errors import InputError
from danq.inference.writers import kind_by_ending
from danq.inference.writers.deepsea_csv import FILES, DeepSeaWriter, deepsea_files
from danq.inference.writers.layout import Writer
from danq.inference.writers.parquet import ParquetWriter
from danq.inference.writers.tsv import TsvWriter
from danq.inference.writers.variant_hdf5 import VariantHdf5Writer
from danq.inference.writers.variant_layout import VariantLayout
from danq.inference.writers.variant_vcf import Head, VcfWriter, info_names
from danq.output import check_target, replacing, write_errors

Kind = Literal["tsv", "tsv.gz", "hdf5", "parquet", "vcf", "deepsea"]

FORMATS = ("tsv", "hdf5", "parquet", "vcf", "deepsea")
"""Words that pick a kind whatever the ending."""

INDEXES = (".tbi", ".csi")
"""Endings of a VCF's index; CSI is for contigs that TBI cannot hold."""

_VCF_ENDINGS = (".vcf.gz", ".vcf.bgz")


def variant_kind(out: str | Path, format: str | None = None) -> Kind:
    """Kind of output that a name, or a word, asks for.

    Parameters
    ----------
    out
        ``.tsv``, ``.tsv.gz``, ``.h5`` or ``.hdf5``, ``.parquet``, ``.vcf.gz``.
    format
        One of `FORMATS`; ``deepsea`` makes ``out`` the beginning of five names.

    Raises
    ------
    InputError
        When the word is none of these, or the ending names no kind of output.
    """
    name = Path(out).name.lower()
    if format is None:
        if name.endswith(_VCF_ENDINGS):
            return "vcf"
        if name.endswith((".vcf", ".bcf")):
            raise InputError(
                f"an annotated VCF is always bgzipped, and '{Path(out).name}' does not say so",
                file=out,
                remedy="Let the name end with .vcf.gz",
            )
        kind = None if str(out).endswith("/") else kind_by_ending(name)
        if kind is None or kind == "bigwig":
            raise InputError(
                f"the ending of '{Path(out).name}' names no kind of output for variants",
                file=out,
                remedy="Use .tsv, .tsv.gz, .h5, .parquet or .vcf.gz, or the format deepsea",
            )
        return cast(Kind, kind)
    if format not in FORMATS:
        raise InputError(f"no format is named '{format}'", remedy=f"Choose {', '.join(FORMATS)}")
    if format == "tsv" and name.endswith(".gz"):
        return "tsv.gz"
    return cast(Kind, format)


def variant_files(out: Path, kind: Kind) -> tuple[Path, ...]:
    """Every file that an output of a kind may consist of."""
    if kind == "deepsea":
        return tuple(out.with_name(f"{out.name}.{ending}") for ending in FILES)
    if kind == "vcf":
        return out, *(out.with_name(out.name + ending) for ending in INDEXES)
    return (out,)


def check_variant_output(
    out: Path, kind: Kind, layout: VariantLayout, *, overwrite: bool = False
) -> None:
    """Refuse an output that may not or cannot be written, before any work is done.

    Raises
    ------
    InputError
        When a file of it is there and ``overwrite`` is false, the folder around it is missing or
        not writable, or two columns would have one name.
    """
    for file in variant_files(out, kind):
        check_target(file, overwrite)
    if kind == "vcf":
        info_names(layout.columns)
    elif kind not in ("hdf5", "deepsea"):
        layout.check()


@contextmanager
def open_variant_writer(
    out: Path, kind: Kind, layout: VariantLayout, *, total: int, head: Head, overwrite: bool
) -> Iterator[Writer]:
    """Writer for an output that appears whole when the block ends well, or else not at all.

    Parameters
    ----------
    out, kind
        What to write.
    layout
        Columns and provenance.
    total
        Rows that will come.
    head
        Header of the input.
    overwrite
        Replace an output that is there.

    Raises
    ------
    InputError
        As `check_variant_output` and the writers; when the system refuses to write, as on a full
        disk.
    """
    with ExitStack() as stack:
        if kind == "deepsea":
            paths = {
                ending: stack.enter_context(
                    replacing(out.with_name(f"{out.name}.{ending}"), overwrite)
                )
                for ending in deepsea_files(layout)
            }
            yield stack.enter_context(DeepSeaWriter(paths, layout))
            return
        if kind == "vcf":
            with _vcf_writer(out, layout, head, overwrite) as writer:
                yield writer
            return
        temporary = stack.enter_context(replacing(out, overwrite))
        if kind == "hdf5":
            writer = VariantHdf5Writer(temporary, layout, total)
        elif kind == "parquet":
            writer = ParquetWriter(temporary, layout)
        else:
            writer = TsvWriter(temporary, layout, zipped=kind == "tsv.gz")
        yield stack.enter_context(writer)


@contextmanager
def _vcf_writer(out: Path, layout: VariantLayout, head: Head, overwrite: bool) -> Iterator[Writer]:
    """Writer of a VCF; its index is moved to its place once the VCF is in its own."""
    indexes = [check_target(file, overwrite) for file in variant_files(out, "vcf")[1:]]
    beside: list[Path] = []
    try:
        with replacing(out, overwrite) as temporary:
            beside += variant_files(temporary, "vcf")[1:]
            with VcfWriter(temporary, layout, head) as writer:
                yield writer
        with write_errors(out):
            for made, index in zip(beside, indexes, strict=True):
                # An index of what lay there before would point to wrong places.
                index.unlink(missing_ok=True)
                if made.exists():
                    made.replace(index)
    finally:
        for made in beside:
            made.unlink(missing_ok=True)
