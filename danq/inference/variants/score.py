"""Predict the effects of variants, into memory or a file."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from danq._memory import kept_memory
from danq.errors import InputError
from danq.files.inputs_in_use import protects_inputs
from danq.inference.blocks import FinishedBlocks, Shard, check_unfinished, folder_of
from danq.inference.ensemble import Ensemble, Models
from danq.inference.result import Result
from danq.inference.variants.allele_scores import check_scores
from danq.inference.variants.assemble import assemble
from danq.inference.variants.finished_output import FinishedOutput
from danq.inference.variants.prepare import prepare
from danq.inference.variants.run import VALUES, VariantRun, no_rejects
from danq.inference.variants.run_identity import AnyGenome
from danq.inference.variants.run_summary import (
    VariantSummary,
    finished_run,
    rejects_file,
    rejects_of,
    write_rejects,
)
from danq.inference.variants.run_warnings import warn, warn_without_rows
from danq.inference.variants.shards import check_shard, write_shard
from danq.inference.variants.significance import Significance
from danq.inference.variants.variant_source import Variants, VariantSource, as_variants
from danq.inference.variants.variant_tally import VariantTally
from danq.inference.writers.open_output import Output, find_output
from danq.inference.writers.variant_deepsea import NEEDED
from danq.inference.writers.variant_layout import VariantLayout
from danq.output import (
    check_distinct,
    check_files,
    check_target,
    is_standard_output,
    recover_files,
)
from danq.typing import Location

log = logging.getLogger("danq")


@kept_memory()
def score_variants(
    model: Models,
    variants: Variants | VariantSource,
    genome: AnyGenome,
    *,
    scores: Sequence[str] | None = None,
    tracks: Sequence[str] | None = None,
    calibrate: Location | None = None,
) -> Result:
    """Predict the effect of variants on every track.

    danq left-aligns and trims each variant, then compares the window with its alternate allele
    with the window of the genome. The base at POS is at index ``center`` of both windows. Every
    ALT allele is one row of the result, in the order of the input, or one row of
    ``result.rejected`` with the reason.

    Parameters
    ----------
    model
        A loaded model; for several, the mean and the sample standard deviation of each score are
        reported.
    variants
        VCF, BCF or table (a path, or ``-`` for standard input), a data frame, rows (chrom, pos,
        ref, alt[, id]), or `danq.Variants` for other settings than the defaults.
    genome
        FASTA of the reference genome, the genome itself, or a dict of contig name to sequence.
    scores
        Any of ``logit`` (change in log2 odds, bits; probabilities are clipped as in DeepSEA),
        ``diff`` (change in probability, alt - ref), ``product`` (``|diff * logit|``), ``ref`` and
        ``alt`` (probabilities). None selects all. For the first three, the value of the track
        with the largest absolute value and the L2 norm over tracks are also reported. To rank
        variants, use ``logit_max``. For tracks of amounts, ``log2fc`` (log2 fold change,
        `danq.amounts.AmountUnit.bits`) takes the place of ``logit``, and the others are of
        amounts in the unit of the track. A model with both kinds of track gives each its own, and
        the summaries are over the tracks of a kind.
    tracks
        Names of the selected tracks, in that order. None selects all.
    calibrate
        Background file that `danq.write_background` wrote: adds E-values, quantiles, DeepSEA's
        functional significance, and p- and q-values.

    Returns
    -------
    Result
        ``rows`` has ``chrom``, ``pos`` (1-based), ``id``, ``ref``, ``alt`` and ``flags``
        (``padded``, ``moved``, ``swapped``, ``neighbours``, ``left-out``, ``unmatched``, separated
        by commas, or ``.``). Columns are named ``<track>_<score>``, or ``<track>`` if there is one
        score.
        On both strands, each score is the average over a window and its reverse complement;
        ``product`` is computed from the averages.

    Raises
    ------
    InputError
        When a file is missing or damaged, models disagree, a track or score is unknown, the
        genome has none of the contigs, the settings contradict each other, or the background was
        made with other settings.

    Examples
    --------
    >>> model = danq.load("runs/yeast")  # doctest: +SKIP
    >>> danq.score_variants(model, "strains.vcf.gz", "sacCer3.fa").to_polars()  # doctest: +SKIP
    """
    requested = check_scores(scores, Ensemble.of(model, tracks).kinds)
    run = prepare(model, variants, genome, requested, tracks=tracks, calibrate=calibrate)
    layout = run.scorer.layout
    layout.check_names()
    tally, rejects = VariantTally(), [no_rejects()]
    rows: list[pl.DataFrame] = [layout.keys()]
    values = [np.empty((0, len(layout.columns)), np.float32)]
    with run.counting() as count, run.open() as reader, closing(run.blocks(reader)) as blocks:
        for block in blocks:
            tally.add(VariantTally.of(block.counts))
            rows.append(layout.keys(block.tables["rows"]))
            rejects.append(block.tables["rejects"])
            values.append(block.arrays[VALUES])
            count(tally.records)
    warn(tally, run.input.variants.name, run.input.variants.check_assembly)
    if layout.calibrated:
        significance = Significance(layout)
        for one in values[1:]:
            significance.count(one)
        values[1:] = map(significance.fill, values[1:])
    if tally.rejects:
        log.warning("%s", tally.describe())
    return Result(
        values=np.concatenate(values),
        columns=layout.columns,
        tracks=layout.tracks,
        rows=pl.concat(rows),
        provenance=layout.provenance,
        rejected=pl.concat(rejects),
        index_columns=layout.index_columns,
    )


@protects_inputs
@kept_memory()
def write_variant_scores(
    model: Models,
    variants: Variants | VariantSource,
    genome: AnyGenome,
    out: Location,
    *,
    scores: Sequence[str] | None = None,
    tracks: Sequence[str] | None = None,
    calibrate: Location | None = None,
    format: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    shard: Shard | None = None,
) -> VariantSummary:
    """Write the effect of variants on every track to a file.

    As `danq.score_variants`, but variants stream through: memory does not grow with the input.
    Completed blocks are stored in the directory ``<out>.unfinished`` until the output is complete,
    so that an interrupted run can be resumed.

    Parameters
    ----------
    model, variants, genome, scores, tracks, calibrate
        As for `danq.score_variants`.
    out
        Output file. Its extension selects the format: ``.tsv``, ``.tsv.gz``, ``.h5`` or ``.hdf5``,
        ``.parquet``; ``.vcf.gz`` is the input with INFO fields, bgzipped and indexed.
        ``<out>.rejected.tsv`` lists the alleles without scores. ``-`` writes a TSV to standard
        output; rejected alleles are then counted only, and the run cannot be resumed.
    format
        ``tsv``, ``hdf5``, ``parquet`` or ``vcf`` overrides the extension; ``deepsea`` writes
        DeepSEA's CSV files ``<out>.ref``, ``.alt``, ``.diff``, ``.logfoldchange``, with
        ``calibrate`` ``.evalue``, and for several models one more of each score, ``_sd``.
    overwrite
        Replace an existing output, and discard an unfinished run for it.
    resume
        Continue an unfinished run, or shard, of the same inputs and settings.
    shard
        Score only this part of the variants, and store it in the directory
        ``<out>.shard-<index>-of-<count>``; `danq.merge` writes the output from all shards. Shards
        can be computed at the same time, on different machines. The merged output is the same,
        byte for byte, as that of a run without shards (of HDF5: its content), if machines and
        numbers of threads are the same. A shard needs variants that can be read again, so no
        stream.

    Raises
    ------
    InputError
        As `danq.score_variants`; when the output exists or cannot be written, or the unfinished
        run has other inputs or settings; when a shard is written to standard output or is of a
        stream, or there are shards of the same output with another number of shards.
    """
    output = find_output(out, VariantLayout, format)
    kinds = Ensemble.of(model, tracks).kinds
    requested = check_scores(scores, kinds)
    if output.format == "deepsea":
        if "amounts" in kinds:
            raise InputError(
                "the format deepsea holds probabilities and has no place for the units of amounts",
                remedy="Choose another format, or select tracks of peaks",
            )
        if scores is not None:
            raise InputError(
                "the format deepsea has a fixed set of scores", remedy="Do not select scores"
            )
        requested = NEEDED
    if output.format == "vcf" and not as_variants(variants).is_file:
        raise InputError(
            "an annotated VCF can only be made from a VCF with a header, and the variants are a "
            "table in memory",
            remedy="Choose an output that ends with .tsv, .h5 or .parquet",
        )
    prepared = partial(prepare, model, variants, genome, requested, tracks=tracks)
    if is_standard_output(output.path):
        if shard is not None:
            raise InputError("a shard cannot be written to standard output", remedy="Name a file")
        if resume:
            raise InputError("an output on standard output cannot be resumed", remedy="Name a file")
        return _stream(prepared(calibrate=calibrate), output)
    prepared = partial(prepared, calibrate=calibrate, output=output.format)
    if shard is not None:
        if (source := as_variants(variants)).is_stream:
            source.check_file("only variants in a file can be scored in shards")
        check_shard(output, shard, overwrite or resume)
        run = prepared(in_shards=True)
        run.check_resume(output.path, resume=resume, overwrite=overwrite, shard=shard)
        return write_shard(run, output, shard, resume, overwrite)
    target = output.path
    # A run that is resumed may be complete.
    files = [*output.files, rejects_of(target)]
    check_distinct(files)
    if resume:
        recover_files([one.path for one in output.writer.outputs(target)])
        for file in files:
            check_target(file, overwrite=True)
    else:
        output.check(overwrite=overwrite)
        check_files([rejects_file(target)], overwrite)
    check_unfinished(target, overwrite or resume)
    run = prepared()
    run.check_resume(target, resume=resume, overwrite=overwrite)
    if resume and (done := finished_run(target, run)) is not None:
        return done
    overwrite = overwrite or (resume and folder_of(target).exists())
    return _write(run, output, resume, overwrite)


def _write(run: VariantRun, output: Output, resume: bool, overwrite: bool) -> VariantSummary:
    """Score all variants, and write the output and the table of rejects."""
    target, layout = output.path, run.scorer.layout
    output.check(layout, overwrite=overwrite)
    check_files([rejects_file(target)], overwrite)
    seconds = {"score": 0.0, "write": 0.0}
    with FinishedBlocks(
        target, run.provenance, kind=run.kind, resume=resume, overwrite=overwrite
    ) as blocks:
        tally, head = run.score(blocks, seconds)
        _warn(run, tally)
        begun = time.perf_counter()
        assemble(blocks, output, layout, head=head, total=tally.rows, overwrite=overwrite)
        note = FinishedOutput.of(run.provenance.checksum(), tally.to_counts(), target, output.files)
        write_rejects(blocks, target, layout, note, tally, overwrite=overwrite)
        blocks.remove()
        seconds["write"] += time.perf_counter() - begun
    return VariantSummary(target, rejects_of(target), tally, layout.columns, seconds)


def _stream(run: VariantRun, output: Output) -> VariantSummary:
    """Write rows to standard output; rejected alleles are counted only.

    A block is written as soon as it is scored, except with q-values, which depend on all rows.
    """
    seconds = {"score": 0.0, "write": 0.0}
    layout = run.scorer.layout
    with (
        TemporaryDirectory(prefix="danq-") as folder,
        FinishedBlocks(Path(folder) / "variants", run.provenance, kind=run.kind) as blocks,
    ):
        try:
            if layout.calibrated:
                tally, head = run.score(blocks, seconds)
                _warn(run, tally)
                assemble(blocks, output, layout, head=head, total=tally.rows, overwrite=False)
            else:
                with output.open(layout) as writer:
                    tally, _ = run.score(
                        blocks,
                        seconds,
                        lambda one: writer.write(one.tables["rows"], one.arrays[VALUES]),
                    )
                    _warn(run, tally)
        finally:
            blocks.remove()
    return VariantSummary(output.path, output.path, tally, layout.columns, seconds)


def _warn(run: VariantRun, tally: VariantTally) -> None:
    source = run.input.variants
    warn_without_rows(tally, source.name)
    warn(tally, source.name, source.check_assembly)
