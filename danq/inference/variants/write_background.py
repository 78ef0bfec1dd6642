"""Score background variants once, for the E-values and quantiles of others."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from danq._memory import kept_memory
from danq.errors import InputError
from danq.genome.fasta import Genome
from danq.genome.packed_genome import PackedGenome
from danq.genome.variants import RefMismatch
from danq.inference.ensemble import AnyModel
from danq.inference.variants.allele_scores import LOGIT, PRODUCT
from danq.inference.variants.background import Background, ranks
from danq.inference.variants.finished_blocks import Parts, folder_of
from danq.inference.variants.input import Variants
from danq.inference.variants.prepare import VariantOptions, prepare
from danq.inference.variants.run import VariantRun
from danq.inference.variants.run_summary import (
    VariantSummary,
    finished_run,
    rejects_of,
    write_rejects,
)
from danq.models.run_options import DEFAULT_TOLERANCE, Strand
from danq.output import check_target
from danq.typing import Location, Progress

CHUNK_VALUES = 1 << 26
"""Values that are sorted at once: 256 MB."""

log = logging.getLogger("danq")


@kept_memory()
def make_background(
    models: AnyModel | Sequence[AnyModel],
    variants: Variants,
    genome: Location | PackedGenome | Genome,
    out: Location,
    *,
    tracks: Sequence[str] | None = None,
    strand: Strand = "both",
    indel_anchor: str = "left",
    center: int | None = None,
    ref_mismatch: RefMismatch = "skip",
    chrom_map: Location | None = None,
    tolerance: float = DEFAULT_TOLERANCE,
    batch_size: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress | None = None,
) -> VariantSummary:
    """Score background variants, most often common ones, and keep how their scores spread.

    `danq.score_variants` takes the file as ``calibrate``, with the same models, strand, centre
    and anchor. Values lie on the disk until they are sorted, 8 bytes a variant and track.

    Parameters
    ----------
    models, variants, genome
        As `danq.score_variants` takes them.
    out
        HDF5 file to make; beside it ``<out>.rejected.tsv`` lists what was not scored.
    tracks, strand, indel_anchor, center, ref_mismatch, chrom_map, tolerance, batch_size, device, \
precision, threads, overwrite, resume, progress
        As `danq.score_variants` takes them.

    Raises
    ------
    InputError
        As `danq.score_variants`; when ``out`` does not end as HDF5 does; when no variant could be
        scored.
    """
    options = VariantOptions(
        tracks=tracks,
        strand=strand,
        indel_anchor=indel_anchor,
        center=center,
        ref_mismatch=ref_mismatch,
        chrom_map=chrom_map,
        tolerance=tolerance,
        batch_size=batch_size,
        device=device,
        precision=precision,
        threads=threads,
    )
    target = Path(out)
    if target.suffix.lower() not in (".h5", ".hdf5"):
        raise InputError(
            f"a background is an HDF5 file, and the ending of '{target.name}' does not say so",
            file=target,
            remedy="Use .h5",
        )
    run = prepare(models, variants, genome, (LOGIT, PRODUCT), options, kind="background")
    run.check_resume(target, resume=resume, overwrite=overwrite)
    if resume and (done := finished_run(target, (target,), run)) is not None:
        return replace(done, columns=run.scorer.layout.tracks)
    overwrite = overwrite or (resume and folder_of(target).exists())
    check_target(target, overwrite)
    check_target(rejects_of(target), overwrite)
    seconds = {"score": 0.0, "write": 0.0}
    with Parts(target, run.request, files=run.files, resume=resume, overwrite=overwrite) as parts:
        tally, _ = run.score(parts, progress, seconds)
        if tally.rows == 0:
            parts.remove()
            raise InputError(
                f"no background variant could be scored: {tally.describe()}",
                file=run.input.provenance()["variants"],
                remedy="Check that the variants and the genome are of the same assembly",
            )
        _collect(run, parts, tally.rows).save(target, overwrite=overwrite)
        write_rejects(run, parts, rejects_of(target), tally, overwrite=overwrite)
        parts.remove()
    return VariantSummary(target, rejects_of(target), tally, run.scorer.layout.tracks, seconds)


def _collect(run: VariantRun, parts: Parts, count: int) -> Background:
    layout = run.scorer.layout
    kept = ranks(count)
    known = {
        name: np.empty((len(layout.tracks), kept.size), dtype=np.float32)
        for name in (PRODUCT, LOGIT)
    }
    for name, out in known.items():
        for tracks, values in _columns(run, parts, name, count):
            out[tracks] = np.sort(np.abs(values), axis=1)[:, kept - 1]
    return Background(
        layout.tracks,
        count,
        kept,
        known[PRODUCT],
        known[LOGIT],
        run.conditions,
        layout.provenance,
    )


def _columns(
    run: VariantRun, parts: Parts, name: str, count: int
) -> Iterator[tuple[slice, np.ndarray]]:
    """All values of a score, some tracks at a time, ``(tracks, count)``."""
    layout = run.scorer.layout
    width = max(1, CHUNK_VALUES // count)
    for first in range(0, len(layout.tracks), width):
        tracks = slice(first, min(first + width, len(layout.tracks)))
        blocks = map(parts.values, range(len(parts.counts)))
        pieces = [layout.part(values, name)[:, tracks].T for values in blocks]
        yield tracks, np.concatenate(pieces, axis=1)
