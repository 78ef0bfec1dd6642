"""Choose the writer of an output from the extension of its name, or from the name of a format."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from danq.errors import InputError
from danq.inference.writers.attribution_bigwig import AttributionBigWig
from danq.inference.writers.attribution_hdf5 import AttributionHdf5
from danq.inference.writers.attribution_layout import AttributionLayout
from danq.inference.writers.attribution_modisco import ModiscoWriter
from danq.inference.writers.layout import Layout, PredictionLayout
from danq.inference.writers.mutation_hdf5 import MutationHdf5
from danq.inference.writers.mutation_layout import MutationLayout
from danq.inference.writers.parquet import ParquetWriter
from danq.inference.writers.prediction_bigwig import BigWigWriter
from danq.inference.writers.prediction_deepsea import PredWriter
from danq.inference.writers.prediction_hdf5 import PredictionHdf5
from danq.inference.writers.tabix import TabixWriter
from danq.inference.writers.tsv import GzipTsvWriter, TsvStream, TsvWriter
from danq.inference.writers.variant_deepsea import DeepSeaCsvWriter
from danq.inference.writers.variant_hdf5 import VariantHdf5
from danq.inference.writers.variant_layout import VariantLayout
from danq.inference.writers.variant_vcf import VcfWriter
from danq.inference.writers.writer import Writer
from danq.output import is_standard_output
from danq.typing import Location

TABLES: dict[str, type[Writer]] = {
    "tsv": TsvWriter,
    "tsv.gz": GzipTsvWriter,
    "parquet": ParquetWriter,
}

WRITERS: dict[type[Layout], dict[str, type[Writer]]] = {
    PredictionLayout: {
        **TABLES,
        "hdf5": PredictionHdf5,
        "bigwig": BigWigWriter,
        "deepsea": PredWriter,
    },
    VariantLayout: {
        **TABLES,
        "hdf5": VariantHdf5,
        "vcf": VcfWriter,
        "deepsea": DeepSeaCsvWriter,
    },
    AttributionLayout: {
        **TABLES,
        "hdf5": AttributionHdf5,
        "bigwig": AttributionBigWig,
        "modisco": ModiscoWriter,
    },
    MutationLayout: {**TABLES, "hdf5": MutationHdf5, "tabix": TabixWriter},
}
"""Formats of each kind of output."""

EXTENSIONS = {
    ".tsv": "tsv",
    ".tsv.gz": "tsv.gz",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".parquet": "parquet",
    ".vcf.gz": "vcf",
    ".vcf.bgz": "vcf",
    ".bw": "bigwig",
    ".bigwig": "bigwig",
    ".npz": "modisco",
}


@dataclass(frozen=True)
class Output:
    """Where to write, and in which format.

    Attributes
    ----------
    path
        File, directory of bigWig files, or start of the names of DeepSEA's CSV files.
    format
        One of the formats in `WRITERS`.
    writer
        Class that writes it.
    """

    path: Path
    format: str
    writer: type[Writer]

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that the output may consist of."""
        return self.writer.files(self.path)

    def check(self, layout: Layout | None = None, *, overwrite: bool = False) -> None:
        """Check that the output can be written, before any work is done.

        Parameters
        ----------
        layout
            Columns to check as well.
        overwrite
            Whether an existing output may be replaced.

        Raises
        ------
        InputError
            As `danq.inference.writers.writer.Writer.check` and ``check_layout``.
        """
        self.writer.check(self.path, overwrite)
        if layout is not None:
            self.writer.check_layout(layout)

    def open(self, layout: Layout, *, overwrite: bool = False) -> AbstractContextManager[Writer]:
        """Writer of the output, which appears whole at the end of the block, or not at all.

        Raises
        ------
        InputError
            As `check`; when the operating system refuses to write, as on a full disk.
        """
        self.writer.check_layout(layout)
        return self.writer.open(self.path, layout, overwrite)

    def open_at(self, temporary: Path, layout: Layout) -> AbstractContextManager[Writer]:
        """As `open`, for an output of one file, which the caller renames.

        Raises
        ------
        InputError
            When two columns would have one name.
        """
        self.writer.check_layout(layout)
        return self.writer(temporary, layout)


def find_output(out: Location, layout: type[Layout], format: str | None = None) -> Output:
    """The output that a name, or the name of a format, stands for.

    Parameters
    ----------
    out
        Name with one of `EXTENSIONS`, or ``-`` for a TSV on standard output. For bigWig files also
        a name without an extension or with a slash at its end, or an existing directory.
    layout
        What is written.
    format
        Format, one of `WRITERS`; None for the one that the extension stands for.

    Raises
    ------
    InputError
        When there is no such format, or no format has this extension.
    """
    path, writers = Path(out), WRITERS[layout]
    if is_standard_output(out):
        if format not in (None, "tsv"):
            raise InputError(
                f"the format {format} cannot be written to standard output",
                remedy="Choose the format tsv, or name a file",
            )
        return Output(path, "tsv", TsvStream)
    gzipped = path.name.lower().endswith(".gz")
    if format is None:
        format = _format_of_extension(out, path, layout)
    elif format not in writers or format == "tsv.gz":
        names = [name for name in writers if name != "tsv.gz"]
        raise InputError(
            f"no output format of {layout.contents} is named '{format}'",
            remedy=f"Choose {', '.join(names)}",
        )
    elif format == "tsv" and gzipped:
        format = "tsv.gz"
    if format != "bigwig" and (path.is_dir() or str(out).endswith(("/", os.sep))):
        raise InputError(
            f"is a directory, and the format {format} is a file", file=out, remedy="Name a file"
        )
    return Output(path, format, writers[format])


def _format_of_extension(out: Location, path: Path, layout: type[Layout]) -> str:
    formats, name = WRITERS[layout], path.name.lower()
    found = [
        format
        for extension, format in EXTENSIONS.items()
        if name.endswith(extension) and len(name) > len(extension)
    ]
    directory = str(out).endswith(("/", os.sep)) or path.is_dir()
    bare = not path.suffix and not name.startswith(".")
    format = "bigwig" if directory or (bare and not found) else found[0] if found else None
    if format in formats:
        return format
    if "vcf" in formats and name.endswith((".vcf", ".bcf")):
        raise InputError(
            "an annotated VCF is compressed with bgzip, but its name does not end with .gz",
            file=out,
            remedy="End the name with .vcf.gz",
        )
    extensions = ", ".join(one for one, format in EXTENSIONS.items() if format in formats)
    bigwig = ", or a name without an extension for a directory of bigWig files"
    raise InputError(
        f"does not have the extension of an output format for {layout.contents}",
        file=out,
        remedy=f"Use {extensions}{bigwig * ('bigwig' in formats)}",
    )
