"""Score the effects of variants, into a table or a file."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict, Unpack, overload

import polars as pl

from danq._memory import kept_memory
from danq.errors import InputError
from danq.genome.fasta import Genome
from danq.genome.packed_genome import PackedGenome
from danq.genome.variants import RefMismatch
from danq.inference.ensemble import AnyModel
from danq.inference.variants.allele_scores import check_scores
from danq.inference.variants.finished_blocks import Parts, folder_of
from danq.inference.variants.input import Variants
from danq.inference.variants.prepare import VariantOptions, prepare
from danq.inference.variants.repeats import Repeats
from danq.inference.variants.run import VariantRun, VariantTally
from danq.inference.variants.run_summary import (
    VariantSummary,
    finished_run,
    rejects_of,
    write_rejects,
)
from danq.inference.writers.deepsea_csv import NEEDED
from danq.inference.writers.open_variant_writer import (
    Kind,
    check_variant_output,
    open_variant_writer,
    variant_files,
    variant_kind,
)
from danq.inference.writers.variant_vcf import Head, LinesAndRows
from danq.models.run_options import DEFAULT_TOLERANCE, Strand
from danq.output import check_target
from danq.typing import Location, Progress

log = logging.getLogger("danq")


class ScoreOptions(TypedDict, total=False):
    """Keywords of `score_variants`, which says what they mean."""

    scores: Sequence[str] | None
    tracks: Sequence[str] | None
    strand: Strand
    indel_anchor: str
    center: int | None
    ref_mismatch: RefMismatch
    chrom_map: Location | None
    haplotypes: str | None
    calibrate: Location | None
    format: str | None
    tolerance: float
    batch_size: int | None
    device: str
    precision: str
    threads: int | None
    overwrite: bool
    resume: bool
    progress: Progress | None


@overload
def score_variants(
    models: AnyModel | Sequence[AnyModel],
    variants: Variants,
    genome: Location | PackedGenome | Genome,
    out: None = None,
    **options: Unpack[ScoreOptions],
) -> pl.DataFrame: ...


@overload
def score_variants(
    models: AnyModel | Sequence[AnyModel],
    variants: Variants,
    genome: Location | PackedGenome | Genome,
    out: Location,
    **options: Unpack[ScoreOptions],
) -> VariantSummary: ...


@kept_memory()
def score_variants(
    models: AnyModel | Sequence[AnyModel],
    variants: Variants,
    genome: Location | PackedGenome | Genome,
    out: Location | None = None,
    *,
    scores: Sequence[str] | None = None,
    tracks: Sequence[str] | None = None,
    strand: Strand = "both",
    indel_anchor: str = "left",
    center: int | None = None,
    ref_mismatch: RefMismatch = "skip",
    chrom_map: Location | None = None,
    haplotypes: str | None = None,
    calibrate: Location | None = None,
    format: str | None = None,
    tolerance: float = DEFAULT_TOLERANCE,
    batch_size: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress | None = None,
) -> pl.DataFrame | VariantSummary:
    """Effect of every variant-allele on every track.

    A variant is left-aligned and trimmed; then the window with its alternate allele is compared
    with the genome's. The base that VCF calls POS stands at index ``center`` of both. With an
    allele of another length the alternate window starts at the same base and is refilled on the
    right. Every variant-allele (several ALT are several) is a row, in the order of the input, or
    a reject with its reason. Variants stream through: memory does not grow with the input.

    Finished blocks lie in the folder ``<out>.unfinished`` until the output is whole, so that a
    run that was killed can go on.

    Parameters
    ----------
    models
        Model file, run folder or loaded model; of several, means and standard deviations of
        each score are given.
    variants
        VCF, BCF, or tab-separated table with a line of column names (chrom, pos, ref, alt and
        perhaps id), plain or compressed, ``-`` for standard input; or from memory a data frame of
        polars or pandas with these columns, or such rows. Positions are 1-based.
    genome
        FASTA of the reference, or the genome itself.
    out
        What to write, its kind told by its ending: ``.tsv``, ``.tsv.gz``, ``.h5`` or ``.hdf5``,
        ``.parquet``; ``.vcf.gz`` is the input with INFO fields, bgzipped and indexed. Beside it
        ``<out>.rejected.tsv`` lists what was not scored. None gives the table back.
    scores
        Any of ``ref`` and ``alt`` (probabilities), ``diff`` (alt - ref), ``logit`` (change in log2
        odds, bits, guarded as by DeepSEA) and ``product`` (``|diff * logit|``). None for all.
        For the last three, the value of the track with the largest one and the L2 norm over
        tracks are given besides.
    tracks
        Names of the tracks wanted, in that order. None for all.
    strand
        ``"both"`` averages each score over a window and its reverse complement; ``"forward"``
        reads the window as it is. ``product`` is made of the averages.
    indel_anchor
        ``"left"`` as above; ``"both"`` averages with the window in which the base after the
        allele keeps its place and the left is refilled.
    center
        Index of the window at which a variant stands; None for ``window // 2 - 1``, as DeepSEA.
    ref_mismatch
        Where REF is not what the genome has: ``"skip"`` rejects it, ``"swap"`` exchanges REF and
        ALT where the genome has ALT (flagged), ``"error"`` stops.
    chrom_map
        Tab-separated file: contig name of the variants, name in the genome.
    haplotypes
        A sample of the VCF: windows then carry what else is on the variant's haplotype.
    calibrate
        Background file that `make_background` wrote: adds E-values and quantiles, and DeepSEA's
        functional significance.
    format
        ``tsv``, ``hdf5``, ``parquet`` or ``vcf`` whatever the ending; ``deepsea`` writes DeepSEA's
        CSV files ``<out>.ref``, ``.alt``, ``.diff``, ``.logfoldchange`` and, where it is
        calibrated, ``.evalue``.
    tolerance
        As `danq.models.RunOptions` takes it; 0 is exact.
    batch_size
        Windows at a time. None takes danq's own.
    device, precision
        As `danq.device.resolve_device` and `danq.device.resolve_precision` take them.
    threads
        CPU threads of torch. None leaves them as they are.
    overwrite
        Replace an output that is there, and an unfinished run for it.
    resume
        Go on with an unfinished run of the same inputs and options.
    progress
        Called with the records done and the records in all: of a file above 4 MB a guess, None
        where nothing can be said.

    Returns
    -------
    pl.DataFrame or VariantSummary
        Without ``out``, the table: ``chrom``, ``pos`` (1-based), ``id``, ``ref``, ``alt``,
        ``flags`` (``padded``, ``moved``, ``swapped``, ``neighbours``, ``left-out``, with commas
        between, or ``.``), then Float32 columns
        ``<track>_<score>``, or ``<track>`` where there is one score. With ``out``, what was
        written.

    Raises
    ------
    InputError
        When a model or file is missing or damaged, models disagree, a track or score is unknown,
        the genome has none of the contigs, options do not go together, the background was made
        otherwise, the output exists or cannot be written, or the unfinished run is another's.
    """
    if out is None:
        _refuse_without_out(format=format, overwrite=overwrite, resume=resume)
    kind = None if out is None else variant_kind(out, format)
    wanted = check_scores(scores)
    if kind == "deepsea":
        if scores is not None:
            raise InputError("the format deepsea has its own scores", remedy="Leave scores out")
        wanted = NEEDED
    options = VariantOptions(
        tracks=tracks,
        strand=strand,
        indel_anchor=indel_anchor,
        center=center,
        ref_mismatch=ref_mismatch,
        chrom_map=chrom_map,
        haplotypes=haplotypes,
        tolerance=tolerance,
        batch_size=batch_size,
        device=device,
        precision=precision,
        threads=threads,
    )
    run = prepare(models, variants, genome, wanted, options, calibrate=calibrate, kind=kind)
    if out is None:
        return _table(run, progress)
    assert kind is not None
    target = Path(out)
    run.check_resume(target, resume=resume, overwrite=overwrite)
    if resume and (done := finished_run(target, variant_files(target, kind), run)) is not None:
        return done
    overwrite = overwrite or (resume and folder_of(target).exists())
    check_variant_output(target, kind, run.scorer.layout, overwrite=overwrite)
    check_target(rejects_of(target), overwrite)
    return _write(run, target, kind, progress, resume=resume, overwrite=overwrite)


def _refuse_without_out(**given: object) -> None:
    for name, value in given.items():
        if value:
            raise InputError(
                f"'{name}' says something of an output, and there is none (out)",
                remedy=f"Say what to write with out, or leave {name} out to get the table back",
            )


def _table(run: VariantRun, progress: Progress | None) -> pl.DataFrame:
    layout = run.scorer.layout
    layout.check()
    tally, frames = VariantTally(), [layout.empty()]
    repeats = Repeats(lambda block: frames[block + 1].select(layout.columns).to_numpy())
    total = run.input.records() if progress is not None else None
    with run.open() as reader:
        for part in run.blocks(reader, repeats):
            tally.add(VariantTally.of(part.counts))
            frames.append(layout.frame(part.tables["rows"], part.values))
            if progress is not None:
                progress(tally.records, total and max(total, tally.records))
    if tally.rejects:
        log.warning("%s", tally.describe())
    return pl.concat(frames)


def _write(
    run: VariantRun,
    out: Path,
    kind: Kind,
    progress: Progress | None,
    *,
    resume: bool,
    overwrite: bool,
) -> VariantSummary:
    seconds = {"score": 0.0, "write": 0.0}
    with Parts(out, run.request, files=run.files, resume=resume, overwrite=overwrite) as parts:
        tally, head = run.score(parts, progress, seconds)
        begun = time.perf_counter()
        _assemble(run, parts, out, kind, head, tally, overwrite=overwrite)
        write_rejects(run, parts, rejects_of(out), tally, overwrite=overwrite)
        parts.remove()
        seconds["write"] += time.perf_counter() - begun
    return VariantSummary(out, rejects_of(out), tally, run.scorer.layout.columns, seconds)


def _assemble(
    run: VariantRun,
    parts: Parts,
    out: Path,
    kind: Kind,
    head: Head,
    tally: VariantTally,
    *,
    overwrite: bool,
) -> None:
    layout = run.scorer.layout
    if kind == "deepsea" and not layout.calibrated:
        log.info("%s.evalue is not written: E-values need a background to calibrate with", out)
    with open_variant_writer(
        out, kind, layout, total=tally.rows, head=head, overwrite=overwrite
    ) as writer:
        for part in parts:
            rows = part.tables["rows"]
            keys = LinesAndRows(rows, part.tables["lines"]) if kind == "vcf" else rows
            writer.write(keys, part.values)
