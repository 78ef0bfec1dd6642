"""The summary of a variant run, and the table of rejected alleles next to its output."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from danq.errors import InputError
from danq.inference.blocks import Blocks, FinishedBlocks, Shard, folder_of
from danq.inference.blocks.folder import delete_leftovers
from danq.inference.blocks.shard import describe_complete
from danq.inference.variants.finished_output import FinishedOutput, read_finished, seal_table
from danq.inference.variants.run import REJECT_COLUMNS, VariantRun
from danq.inference.variants.variant_tally import VariantTally
from danq.inference.writers.tsv import head, write_rows
from danq.inference.writers.variant_layout import VariantLayout
from danq.notebook_display import Display, display_html, display_text
from danq.output import REJECTED, OutputFile, is_standard_output, name_of_output, replacing_files

log = logging.getLogger("danq")


@dataclass(frozen=True)
class VariantSummary:
    """Summary of a variant run.

    Attributes
    ----------
    path
        The output, or the folder of a shard.
    rejected
        Table of the alleles without scores, with reasons; of a shard, its folder.
    tally
        Records, alleles, rows, rejects by reason and flags.
    columns
        Names of the value columns.
    seconds
        Time for scoring (``score``) and for writing (``write``).
    shard
        The shard; None for an output.
    """

    path: Path
    rejected: Path
    tally: VariantTally
    columns: tuple[str, ...]
    seconds: Mapping[str, float]
    shard: Shard | None = None

    __repr__ = display_text
    _repr_html_ = display_html

    def _display(self) -> Display:
        return Display.of_text(self.describe())

    def describe(self) -> str:
        """Output, rows, and counts of scored and rejected alleles."""
        rows, columns = self.tally.rows, len(self.columns)
        lines = [
            f"{name_of_output(self.path)}: {rows:,} row{'s' * (rows != 1)}, "
            f"{columns:,} column{'s' * (columns != 1)}",
            self.tally.describe(),
        ]
        if self.shard is not None:
            lines.append(describe_complete(self.shard))
        elif self.tally.rejects:
            lines.append(
                "rejected alleles are listed beside an output file only: name a file to see them"
                if is_standard_output(self.rejected)
                else f"{self.rejected}: rejected alleles, with reasons"
            )
        return "\n".join(lines)


def write_rejects(
    blocks: Blocks,
    out: Path,
    layout: VariantLayout,
    note: FinishedOutput,
    tally: VariantTally,
    *,
    overwrite: bool,
) -> None:
    """Write provenance, counts of the run, and a row per allele without scores.

    Parameters
    ----------
    blocks, tally
        The blocks of the run and their counts.
    out
        The output, which is complete. The table is written last, because it shows this.
    layout
        Columns of the output.
    note
        Sizes and checksums of the files of the output.
    overwrite
        Whether an existing table may be replaced.

    Raises
    ------
    InputError
        As `danq.output.replacing`.
    """
    with replacing_files([rejects_file(out)], overwrite) as (temporary,):
        with temporary.open("wb") as file:
            notes = tally.describe(), note.text()
            lines = head(REJECT_COLUMNS, layout.provenance, *notes)
            file.write(lines)
            for number in blocks.numbers:
                write_rows(file, blocks.tables(number, "rejects")["rejects"])
        seal_table(temporary, lines)


def finished_run(out: Path, run: VariantRun) -> VariantSummary | None:
    """Summary of the same run if it is complete, else None.

    What a run left because it was killed just before its end is deleted.

    Parameters
    ----------
    out
        The output.
    run
        The requested run.

    Raises
    ------
    InputError
        When a file of the complete output is missing or has changed, and there are no blocks to
        write it again; when another process uses the blocks.
    """
    rejected = rejects_of(out)
    if not rejected.is_file():
        return None
    unfinished = folder_of(out).exists()
    try:
        note = read_finished(rejected)
        if note is None or note.run != run.provenance.checksum():
            return None
        note.check(out)
        tally = VariantTally.of(note.counts)
    except KeyError:
        return None
    except InputError:
        if unfinished:
            return None
        raise
    if unfinished:
        with FinishedBlocks(out, run.provenance, kind=run.kind, overwrite=True) as blocks:
            blocks.remove()
    delete_leftovers(folder_of(out))
    log.info("%s: is complete, nothing remains to be done", out)
    return VariantSummary(out, rejected, tally, run.scorer.layout.columns, {})


def rejects_of(out: Path) -> Path:
    """Table of rejects of an output."""
    return out.with_name(out.name + REJECTED)


def rejects_file(out: Path) -> OutputFile:
    """The table of rejects of an output, which replaces such a table only."""
    return OutputFile(rejects_of(out), _is_table)


def _is_table(path: Path) -> bool:
    """Whether a file begins as the tables of danq do."""
    start = b"# danq: "
    try:
        with path.open("rb") as file:
            return file.read(len(start)) == start
    except OSError:
        return False
