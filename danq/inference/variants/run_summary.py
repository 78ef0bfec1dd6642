"""The summary of a variant run, and the table of rejected alleles next to its output."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from danq.inference.variants.finished_blocks import FinishedBlocks, folder_of
from danq.inference.variants.run import REJECT_COLUMNS, VariantRun, VariantTally
from danq.inference.writers.tsv import head, write_rows
from danq.output import REJECTED, replacing

"""Suffix of the table of rejects, after the name of the output."""

_RUN = "run: "
_NOTE = f"# {_RUN}"

log = logging.getLogger("danq")


@dataclass(frozen=True)
class VariantSummary:
    """Summary of a variant run.

    Attributes
    ----------
    path
        The output.
    rejected
        Table of the alleles without scores, with reasons.
    tally
        Records, alleles, rows, rejects by reason and flags.
    columns
        Names of the value columns.
    seconds
        Time for scoring (``score``) and for writing (``write``).
    """

    path: Path
    rejected: Path
    tally: VariantTally
    columns: tuple[str, ...]
    seconds: Mapping[str, float]

    def describe(self) -> str:
        """Output, rows, and counts of scored and rejected alleles."""
        lines = [
            f"{self.path}: {self.tally.rows:,} rows, {len(self.columns):,} columns",
            self.tally.describe(),
        ]
        if self.tally.rejects:
            lines.append(f"{self.rejected}: rejected alleles, with reasons")
        return "\n".join(lines)


def write_rejects(
    run: VariantRun, blocks: FinishedBlocks, path: Path, tally: VariantTally, *, overwrite: bool
) -> None:
    """Write provenance, counts of the run, and a row per allele without scores.

    Raises
    ------
    InputError
        As `danq.output.replacing`.
    """
    note = {"sha256": run.provenance.checksum(), "counts": tally.to_counts()}
    with replacing(path, overwrite) as temporary, temporary.open("wb") as file:
        notes = tally.describe(), f"{_RUN}{json.dumps(note)}"
        file.write(head(REJECT_COLUMNS, run.scorer.layout.provenance, *notes))
        for block in blocks:
            write_rows(file, block.tables["rejects"])


def finished_run(out: Path, files: Sequence[Path], run: VariantRun) -> VariantSummary | None:
    """Summary of the same run if it is complete, else None.

    Parameters
    ----------
    out
        The output.
    files
        Files that the output may consist of.
    run
        The requested run.
    """
    rejected = rejects_of(out)
    if folder_of(out).exists() or not any(file.exists() for file in files):
        return None
    if not rejected.is_file():
        return None
    with rejected.open(encoding="utf-8") as lines:
        notes = [line[len(_NOTE) :] for line in lines if line.startswith(_NOTE)]
    try:
        note = json.loads(notes[0])
        if note["sha256"] != run.provenance.checksum():
            return None
        tally = VariantTally.of(note["counts"])
    except (IndexError, KeyError, TypeError, ValueError):
        return None
    log.info("%s: is complete, nothing remains to be done", out)
    return VariantSummary(out, rejected, tally, run.scorer.layout.columns, {})


def rejects_of(out: Path) -> Path:
    """Table of rejects of an output."""
    return out.with_name(out.name + REJECTED)
