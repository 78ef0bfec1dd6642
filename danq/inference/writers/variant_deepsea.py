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
from danq.output import replacing

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

NEEDED = ("ref", "alt", "diff", "logit", "product")
"""Scores that it needs; the last one is needed for E-values."""

_ROW_END = "\0"
"""End of a row in memory: no field contains it."""


def deepsea_files(layout: VariantLayout) -> dict[str, str]:
    """Extensions of the files whose scores are in a layout, and the score in each."""
    return {extension: score for extension, score in FILES.items() if score in layout.per_track}


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
            csv.writer(file, lineterminator="\n").writerow(
                ["", "chr", "pos", "name", "ref", "alt", *layout.tracks]
            )

    @classmethod
    def files(cls, out: Path) -> tuple[Path, ...]:
        return tuple(out.with_name(f"{out.name}.{extension}") for extension in FILES)

    @classmethod
    @contextmanager
    def open(cls, out: Path, layout: VariantLayout, overwrite: bool) -> Iterator[Writer]:
        with ExitStack() as stack:
            paths = {
                extension: stack.enter_context(
                    replacing(out.with_name(f"{out.name}.{extension}"), overwrite)
                )
                for extension in deepsea_files(layout)
            }
            yield stack.enter_context(cls(paths, layout))

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
