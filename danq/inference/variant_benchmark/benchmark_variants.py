"""Compare predicted with measured effects of variants."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl

from danq._memory import kept_memory
from danq.errors import InputError
from danq.evaluation.grouped_metrics import Replicates
from danq.genome.variants import VariantBlock, VariantReader
from danq.genome.variants.read_data_frame import Frame
from danq.inference.ensemble import Ensemble, Models
from danq.inference.variant_benchmark.baselines import read_baselines
from danq.inference.variant_benchmark.comparison import (
    DIFFERENCE,
    HIGH,
    LEVEL,
    LOW,
    METRICS,
    compare,
    draw_replicates,
    first_metric,
)
from danq.inference.variant_benchmark.measurements import Measurements, read_measurements
from danq.inference.variant_benchmark.members import describe_members, members, with_spread
from danq.inference.variant_benchmark.predictors import (
    TRACK,
    compute_scores,
    joined,
    predictors,
)
from danq.inference.variant_benchmark.usable_variants import (
    UsableVariants,
    check_groups,
    find_usable,
)
from danq.inference.variants.allele_scores import SIGNED
from danq.inference.variants.prepare import prepare
from danq.inference.variants.run import VariantRun
from danq.inference.variants.run_identity import AnyGenome
from danq.inference.variants.run_summary import rejects_file
from danq.inference.variants.variant_source import Variants
from danq.inference.writers.layout import SPREAD
from danq.inference.writers.tsv import write_table
from danq.notebook_display import Display, FirstRows, display_html, display_text
from danq.output import OutputFile, check_files, replacing_files
from danq.progress import stage
from danq.provenance import sha256_of
from danq.typing import Location

MOST_VALUES = 250_000_000
"""Largest number of variants times tracks: 1 GB."""

FEW_BLOCKS = 20
FEW_VARIANTS = 10
BEST_TRACKS = 3
"""Number of tracks in the printed summary."""

SHOWN = (
    "auroc",
    "ap",
    "spearman_size",
    "spearman_signed",
    "pearson",
    "sign_agreement",
    "strata_auroc",
    "strata_spearman_size",
    "strata_spearman_signed",
    "matched_auroc",
)
"""Metrics in the printed summary."""

log = logging.getLogger("danq")


@dataclass(frozen=True, eq=False)
class BenchmarkReport:
    """Result of `benchmark_variants`.

    Attributes
    ----------
    table
        One row per predictor, best first: ``kind`` (summary, track, baseline), ``name``, the
        metrics with the limits of their intervals, for an ensemble also the sample standard
        deviation over its members (``_sd``), and ``meaning``.
    rejected
        Rows of the input that were left out, with the reason of each.
    counts
        Numbers of rows, variants, labels, strata and groups.
    notes
        What limits the comparison, as text.
    provenance
        Files, columns and settings.
    reference
        Name of the predictor with which all others are compared.
    """

    table: pl.DataFrame
    rejected: pl.DataFrame = field(repr=False)
    counts: dict[str, int]
    notes: tuple[str, ...]
    provenance: dict[str, str]
    reference: str

    __repr__ = display_text
    _repr_html_ = display_html

    def _display(self) -> Display:
        tables = [FirstRows.of("Predictors, best first", self.table)]
        if self.rejected.height:
            tables.append(FirstRows.of("Rows that were left out", self.rejected))
        summary = ", ".join(f"{what} {count:,}" for what, count in self.counts.items())
        return Display(summary, "\n".join(self.notes), tables=tables)

    def describe(self) -> str:
        """Counts, the metrics of summaries, baselines and the best tracks, and notes, as text."""
        tracks = self.table.filter(pl.col("kind") == TRACK)
        others = self.table.filter(pl.col("kind") != TRACK)
        shown = pl.concat([others, tracks.head(BEST_TRACKS)])
        first = first_metric(shown)
        names = [name for name in (*SHOWN, DIFFERENCE) if name in shown.columns]
        rows = [["kind", "name", *(name.replace("spearman", "rho") for name in names)]]
        rows += [
            [
                row["kind"],
                row["name"],
                *(_shown(row, name, name in (first, DIFFERENCE)) for name in names),
            ]
            for row in shown.iter_rows(named=True)
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [", ".join(f"{what} {count:,}" for what, count in self.counts.items()), ""]
        for row in rows:
            pairs = enumerate(zip(row, widths, strict=True))
            cells = (
                f"{text:<{width}}" if i < 2 else f"{text:>{width}}" for i, (text, width) in pairs
            )
            lines.append("  ".join(cells))
        if len(tracks) > BEST_TRACKS:
            lines.append(f"(the best {BEST_TRACKS} of {len(tracks):,} tracks)")
        lines.append(
            f"difference: {first} of {self.reference} minus that of the row, in the same draws"
        )
        return "\n".join([*lines, "", *self.notes])

    def to_dict(self) -> dict[str, Any]:
        """The table, counts, notes and provenance, as JSON types or numbers that are NaN."""
        return {
            "table": self.table.to_dicts(),
            "reference": self.reference,
            "counts": self.counts,
            "rejected": len(self.rejected),
            "notes": list(self.notes),
            "provenance": self.provenance,
        }


@kept_memory()
def benchmark_variants(
    model: Models,
    measurements: Measurements | Location | Frame,
    genome: AnyGenome,
    *,
    baselines: Sequence[Location] = (),
    tracks: Sequence[str] | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
) -> BenchmarkReport:
    """Compare the effects that a model predicts for variants with measured ones.

    danq scores the variants, and compares with the measured values: three summaries over tracks
    of each of the scores ``logit``, ``diff`` and ``product``; the ``logit`` of each track; and
    baselines. For tracks of amounts, ``log2fc`` takes the place of ``logit``. With labels, the
    metrics are AUROC and average precision of the size of the predicted effect; with effects,
    Spearman correlations of size and of signed effect, the Pearson correlation, and the agreement
    of signs. Metrics within strata compare variants of one stratum with each other only, and
    matched metrics compare a variant with an effect with its matched controls only. Intervals are
    from a bootstrap over blocks of neighbouring variants.

    Parameters
    ----------
    model
        A loaded model; of several, the mean of each score is compared. The members are also
        compared alone, which gives the spread of each metric.
    measurements
        Table of variants with measured effects or labels, or `danq.Measurements` to name its
        columns.
    genome
        FASTA of the reference genome, the genome itself, or a dict of contig name to sequence.
    baselines
        A dataset (`danq.build_dataset`), to which danq fits a linear k-mer model, and a file of
        motifs (`danq.read_motifs`); at most one of each.
    tracks
        Names of the selected tracks, in that order. None selects all.
    bootstrap
        Number of replicates; 0 for no intervals.
    seed
        Random seed of the bootstrap.

    Raises
    ------
    InputError
        When the table lacks columns or has invalid values; when REF differs from the genome; when
        all labels or all effects are equal, a matched group has no control, rows of one variant
        contradict each other, or too few variants remain; and as `danq.score_variants`.

    Examples
    --------
    >>> danq.benchmark_variants(model, "mpra.tsv", "hg38.fa").table  # doctest: +SKIP
    """
    if bootstrap < 0 or bootstrap == 1:
        raise InputError(
            f"bootstrap is {bootstrap}, the minimum is 2", remedy="Use 2 or more, or 0 for none"
        )
    if not isinstance(measurements, Measurements):
        measurements = Measurements(measurements)
    measured = read_measurements(measurements)
    file = measured.rows.file or "the table"
    check_groups(measured, file)
    rows = len(measured.label if measured.label is not None else measured.effect)  # type: ignore[arg-type]
    ensemble = Ensemble.of(model, tracks)
    if rows * len(ensemble.tracks) > MOST_VALUES:
        raise InputError(
            f"{rows:,} variants and {len(ensemble.tracks):,} tracks are more than "
            f"{MOST_VALUES:,} values",
            file=file,
            remedy="Select tracks, or give fewer variants",
        )
    variants = Variants(
        measured.rows,
        chrom_map=measurements.chrom_map,
        ref_mismatch=measurements.ref_mismatch,
    )
    run = prepare(model, variants, genome, SIGNED, tracks=tracks)
    with run.open() as reader:
        blocks = list(reader)
    used = find_usable(measured, blocks, file)
    extra = read_baselines(baselines, ensemble, run.input.center)
    replicates, drawn = draw_replicates(used, bootstrap, seed)
    scorers = [run.scorer, *members(run.scorer)]
    compared = []
    for number, scorer in enumerate(scorers):
        parts = []
        name = "scoring" if number == 0 else f"scoring with model {number} of {len(scorers) - 1}"
        with stage(name, "variants", rows) as now:
            for records, scores in compute_scores(scorer, extra, _windows(run, blocks), used.keep):
                parts.append(scores)
                now.add(records)
        found = predictors(joined(parts), scorer.layout, extra)
        with stage("comparing with measured effects"):
            compared.append(compare(found, used, replicates))
        # Members have no intervals, and baselines are the same for all.
        extra, replicates = [], Replicates.single(len(used))
    table, *each = compared
    layout = run.scorer.layout
    reference = f"{layout.summarised[0].name}_max"
    counts = _counts(rows, used)
    size = "none" if drawn is None else drawn.describe()
    provenance = {
        **run.provenance.header,
        **{name: text for name, text in layout.provenance.items() if name == "units"},
        "variants": _named(measurements.table, file),
        "columns": "; ".join(f"{what}: {name}" for what, name in measured.columns.items()),
        "baselines": ", ".join(map(str, baselines)) or "alleles only",
        "counts": ", ".join(f"{what} {count:,}" for what, count in counts.items()),
        "intervals": f"{LEVEL:.0%}, {bootstrap:,} replicates, seed {seed}; {size}",
    }
    notes = _notes(used, counts, bootstrap, size, 0 if drawn is None else drawn.count)
    if each:
        table = with_spread(table, each)
        notes = (describe_members(each, reference), *notes)
    return BenchmarkReport(table, used.rejects, counts, notes, provenance, reference)


def write_variant_benchmark(
    report: BenchmarkReport, out: Location, *, overwrite: bool = False
) -> None:
    """Write the metrics of a report as TSV, and the rows that were left out.

    Parameters
    ----------
    report
        Result of `benchmark_variants`.
    out
        File for ``report.table``. ``<out>.rejected.tsv`` holds ``report.rejected``.
    overwrite
        Whether to replace existing files.

    Raises
    ------
    InputError
        When an output exists and ``overwrite`` is false, or cannot be written.
    """
    metrics = report.table.with_columns(pl.selectors.float().fill_nan(None).round_sig_figs(6))
    definitions = {name: text for name, text in METRICS.items() if name in report.table.columns}
    if any(name.endswith(SPREAD) for name in report.table.columns):
        definitions[SPREAD] = "sample standard deviation of the metrics of the models, each alone"
    first = first_metric(report.table)
    definitions[DIFFERENCE] = f"{first} of {report.reference} minus that of the row"
    with replacing_files(_files(Path(out)), overwrite) as (rejected, main):
        write_table(rejected, report.rejected, report.provenance, *report.notes)
        write_table(main, metrics, {**report.provenance, **definitions}, *report.notes)


def check_benchmark(out: Location, overwrite: bool = False) -> None:
    """Check that a benchmark can be written, before any work is done.

    Raises
    ------
    InputError
        When an output exists and ``overwrite`` is false, or cannot be written; when
        ``<out>.rejected.tsv`` is a file that danq did not write.
    """
    check_files(_files(Path(out)), overwrite)


def _files(out: Path) -> list[OutputFile]:
    return [rejects_file(out), OutputFile(out)]


def _named(table: Location | Frame, file: str) -> str:
    """The table, with its checksum if it is a file."""
    if isinstance(table, str | Path) and Path(table).is_file():
        return f"{file} sha256:{sha256_of(table)}"
    return file


def _shown(row: dict, name: str, interval: bool) -> str:
    """A value, and the limits of its interval if it has one."""
    if row[name] is None or row[name] != row[name]:
        return "-"
    text = f"{row[name]:.3f}"
    if interval and (low := row.get(name + LOW)) is not None:
        text += f" [{low:.3f}, {row[name + HIGH]:.3f}]"
    return text


def _windows(run: VariantRun, blocks: Sequence[VariantBlock]):
    # The blocks were read before; without haplotypes, their windows need only the genome.
    return run.input.windows(cast(VariantReader, _Blocks(run, blocks)))


class _Blocks:
    """Blocks that were read, in place of their reader."""

    def __init__(self, run: VariantRun, blocks: Sequence[VariantBlock]) -> None:
        self.genome, self.blocks = run.genome, blocks

    def __iter__(self):
        return iter(self.blocks)


def _counts(rows: int, used: UsableVariants) -> dict[str, int]:
    counts = {"rows": rows, "compared": len(used), "left out": used.rejects.height}
    if used.label is not None:
        counts |= {"label 1": int(used.label.sum()), "label 0": int((used.label == 0).sum())}
    if used.strata is not None:
        counts["strata"] = len(np.unique(used.strata))
    if used.matched is not None:
        name = "matched groups" if used.grouped else "classes of controls"
        counts[name] = len(np.unique(used.matched[used.matched >= 0]))
    return counts


def _notes(
    used: UsableVariants, counts: dict[str, int], bootstrap: int, size: str, blocks: int
) -> tuple[str, ...]:
    notes = list(used.notes)
    reasons = used.rejects.group_by("reason", maintain_order=True).len().rows()
    if reasons:
        kinds = ", ".join(f"{count:,} {reason}" for reason, count in reasons)
        notes.append(f"left out {used.rejects.height:,} rows: {kinds}")
    if bootstrap and blocks:
        notes.append(f"intervals: {bootstrap:,} bootstrap replicates of {size}")
    if bootstrap and blocks < FEW_BLOCKS:
        notes.append(
            f"only {blocks} blocks of neighbouring variants: intervals are "
            f"{'too narrow' if blocks else 'not given'}"
        )
    few = min((counts[name] for name in ("label 1", "label 0") if name in counts), default=None)
    if few is not None and few < FEW_VARIANTS:
        notes.append(f"only {few} variants in the smaller class: its metrics are uncertain")
    if used.label is not None:
        share = counts["label 1"] / counts["compared"]
        notes.append(f"a random order has AUROC .500 and average precision {share:.3f}")
    notes.append(
        "the best of many tracks is chosen on these variants, so its metrics are optimistic"
    )
    return tuple(notes)
