"""What became of a run over variants: its summary, and the table of rejects beside its output."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from danq.inference.variants.finished_blocks import FinishedBlocks, folder_of
from danq.inference.variants.run import REJECT_COLUMNS, VariantRun, VariantTally
from danq.output import comment_lines, replacing

REJECTED = ".rejected.tsv"
"""Ending, after the output's own name, of the table of rejects."""

_RUN = "# run: "

log = logging.getLogger("danq")


@dataclass(frozen=True)
class VariantSummary:
    """What was scored and written.

    Attributes
    ----------
    path
        The output.
    rejected
        Table of the variant-alleles that were not scored, and why.
    tally
        Records, variant-alleles, rows, rejects by reason and flags.
    columns
        Names of the value columns.
    seconds
        Time spent on scoring (``score``) and on writing (``write``).
    """

    path: Path
    rejected: Path
    tally: VariantTally
    columns: tuple[str, ...]
    seconds: Mapping[str, float]

    def describe(self) -> str:
        """What was written, and one line that accounts for every record."""
        lines = [
            f"{self.path}: {self.tally.rows:,} rows, {len(self.columns):,} columns",
            self.tally.describe(),
        ]
        if self.tally.rejects:
            lines.append(f"{self.rejected}: what was rejected, and why")
        return "\n".join(lines)


def write_rejects(
    run: VariantRun, blocks: FinishedBlocks, path: Path, tally: VariantTally, *, overwrite: bool
) -> None:
    """Write provenance, figures of the run, and a row for each variant-allele without scores.

    Raises
    ------
    InputError
        As `danq.output.replacing`.
    """
    note = {"sha256": run.provenance.checksum(), "counts": tally.to_counts()}
    with replacing(path, overwrite) as temporary, temporary.open("wb") as file:
        file.write(comment_lines(run.scorer.layout.provenance))
        file.write(f"# {tally.describe()}\n".encode())
        file.write(f"{_RUN}{json.dumps(note)}\n".encode())
        file.write("\t".join(REJECT_COLUMNS).encode() + b"\n")
        for block in blocks:
            table = block.tables["rejects"]
            table.write_csv(file, separator="\t", include_header=False, quote_style="never")


def finished_run(out: Path, files: Sequence[Path], run: VariantRun) -> VariantSummary | None:
    """Summary of the same run, if it ended before; None where there is something to do.

    Parameters
    ----------
    out
        The output.
    files
        Files that it may consist of.
    run
        What is to be done.
    """
    rejected = rejects_of(out)
    if folder_of(out).exists() or not any(file.exists() for file in files):
        return None
    if not rejected.is_file():
        return None
    with rejected.open(encoding="utf-8") as lines:
        notes = [line.removeprefix(_RUN) for line in lines if line.startswith(_RUN)]
    try:
        note = json.loads(notes[0])
        if note["sha256"] != run.provenance.checksum():
            return None
        tally = VariantTally.of(note["counts"])
    except (IndexError, KeyError, TypeError, ValueError):
        return None
    log.info("%s: is whole, nothing is left to do", out)
    return VariantSummary(out, rejected, tally, run.scorer.layout.columns, {})


def rejects_of(out: Path) -> Path:
    """Table of rejects that goes with an output."""
    return out.with_name(out.name + REJECTED)
