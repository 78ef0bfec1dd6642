"""Variant effects as DeepSEA's own scripts write them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import polars as pl

from danq.inference.writers.layout import Values
from danq.inference.writers.variant_layout import VariantLayout
from danq.inference.writers.writer import Writer
from danq.output import OutputFile, replacing_files

FILES = {
    "ref": "ref",
    "alt": "alt",
    "logfoldchange": "logit",
    "diff": "diff",
    "evalue": "evalue",
    "ref_sd": "ref_sd",
    "alt_sd": "alt_sd",
    "logfoldchange_sd": "logit_sd",
    "diff_sd": "diff_sd",
}
"""Extension of each file, and the score in it."""

COLUMNS = ("", "chr", "pos", "name", "ref", "alt")

NEEDED = ("ref", "alt", "diff", "logit", "product")
"""Scores that it needs; the last one is needed for E-values."""

_ROW_END = "\0"
"""End of a row in memory: no field contains it."""


def deepsea_files(layout: VariantLayout) -> dict[str, str]:
    """Extensions of the files whose scores are in a layout, and the score in each."""
    return {extension: score for extension, score in FILES.items() if score in layout.per_track}


def is_deepsea_file(path: Path) -> bool:
    """Whether a file begins as the files of this format do."""
    start = (",".join(COLUMNS) + ",").encode()
    try:
        with path.open("rb") as file:
            return file.read(len(start)) == start
    except OSError:
        return False


class DeepSeaCsvWriter(Writer):
    """CSV files ``ref``, ``alt``, ``logfoldchange``, ``diff`` and, calibrated, ``evalue``.

    For several models also ``ref_sd``, ``alt_sd``, ``logfoldchange_sd`` and ``diff_sd``.

    Columns: row number from 0 (without a name), chr, pos (1-based), name, ref, alt, then one column
    per track with numbers as ``%.4e``.

    Parameters
    ----------
    paths
        File to create for each extension.
    layout
        Columns.
    """

    def __init__(self, paths: dict[str, Path], layout: VariantLayout) -> None:
        self.layout = layout
        self._count = 0
        self._open = ExitStack()
        self._files = {
            extension: self._open.enter_context(path.open("w", encoding="utf-8", newline=""))
            for extension, path in paths.items()
        }
        for file in self._files.values():
            csv.writer(file, lineterminator="\n").writerow([*COLUMNS, *layout.tracks])

    @classmethod
    def files(cls, out: Path) -> tuple[Path, ...]:
        return tuple(out.with_name(f"{out.name}.{extension}") for extension in FILES)

    @classmethod
    def outputs(cls, out: Path) -> tuple[OutputFile, ...]:
        # E-values and deviations of an earlier run do not belong to the other files.
        return tuple(
            OutputFile(file, is_deepsea_file, optional=file.name.endswith((".evalue", "_sd")))
            for file in reversed(cls.files(out))
        )

    @classmethod
    @contextmanager
    def open(cls, out: Path, layout: VariantLayout, overwrite: bool) -> Iterator[Writer]:
        with replacing_files(cls.outputs(out), overwrite) as temporaries:
            paths = dict(zip(FILES, reversed(temporaries), strict=True))
            written = {extension: paths[extension] for extension in deepsea_files(layout)}
            with cls(written, layout) as writer:
                yield writer

    def write(self, rows: pl.DataFrame, values: Values) -> None:
        text = io.StringIO()
        names = rows.select("chrom", "pos", "id", "ref", "alt").iter_rows()
        csv.writer(text, lineterminator=_ROW_END).writerows(
            [number, *name] for number, name in enumerate(names, start=self._count)
        )
        heads = text.getvalue().split(_ROW_END)[:-1]
        self._count += rows.height
        line = ",%.4e" * len(self.layout.tracks)
        scores = deepsea_files(self.layout)
        for extension, file in self._files.items():
            part = self.layout.part(values, scores[extension]).tolist()
            file.writelines(
                f"{head}{line % tuple(row)}\n" for head, row in zip(heads, part, strict=True)
            )

    def finish(self) -> None:
        self._open.close()

    def release(self) -> None:
        self._open.close()
