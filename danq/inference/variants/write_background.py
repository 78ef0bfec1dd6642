"""Write the background distribution that E-values, quantiles and p-values are read from."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from danq._memory import kept_memory
from danq.errors import InputError, few
from danq.files.inputs_in_use import protects_inputs
from danq.inference.blocks import FinishedBlocks, check_unfinished, folder_of
from danq.inference.ensemble import Models
from danq.inference.variants.allele_scores import LOGIT, PRODUCT, SPECIFIC
from danq.inference.variants.background import (
    FEWEST,
    Background,
    StratumScores,
    ranks,
    tail_ranks,
)
from danq.inference.variants.background_file import write_background_file
from danq.inference.variants.finished_output import FinishedOutput
from danq.inference.variants.prepare import prepare
from danq.inference.variants.run import STRATUM, VALUES, VariantRun
from danq.inference.variants.run_identity import AnyGenome
from danq.inference.variants.run_summary import (
    VariantSummary,
    finished_run,
    rejects_file,
    rejects_of,
    write_rejects,
)
from danq.inference.variants.run_warnings import warn, warn_without_rows
from danq.inference.variants.strata import members
from danq.inference.variants.variant_source import Variants, VariantSource, as_variants
from danq.output import check_files, check_target
from danq.progress import stage
from danq.typing import Location

log = logging.getLogger("danq")

CHUNK_VALUES = 1 << 26
"""Values per sort: 256 MB."""


@protects_inputs
@kept_memory()
def write_background(
    model: Models,
    variants: Variants | VariantSource,
    genome: AnyGenome,
    out: Location,
    *,
    tracks: Sequence[str] | None = None,
    overwrite: bool = False,
    resume: bool = False,
) -> VariantSummary:
    """Score background variants, usually common ones, and write the distribution of their scores.

    `danq.score_variants` takes the file as ``calibrate``, with the same models, strand, center
    and indel anchor. Scores are stored on disk until they are sorted, 12 bytes per variant and
    track.

    Parameters
    ----------
    model, variants, genome, tracks
        As for `danq.score_variants`. Haplotypes are not supported. The file stores the classes
        of `danq.Variants.regions`.
    out
        HDF5 file. ``<out>.rejected.tsv`` lists the alleles without scores.
    overwrite, resume
        As for `danq.write_variant_scores`.

    Raises
    ------
    InputError
        As `danq.write_variant_scores`; when the extension of ``out`` is not that of HDF5,
        haplotypes are requested, no variant could be scored, or the regions cannot be read
        (`danq.inference.variants.region_classes.read_region_classes`).
    """
    target = Path(out)
    if target.suffix.lower() not in (".h5", ".hdf5"):
        raise InputError(
            f"a background is an HDF5 file, and '{target.name}' has another extension",
            file=target,
            remedy="Use .h5",
        )
    source = as_variants(variants)
    if source.haplotypes is not None:
        raise InputError(
            f"haplotypes of sample '{source.haplotypes}' are requested for a background",
            remedy="Make backgrounds without haplotypes",
        )
    check_target(target, overwrite or resume)
    if resume:
        check_target(rejects_of(target), overwrite=True)
    else:
        check_files([rejects_file(target)], overwrite)
    check_unfinished(target, overwrite or resume)
    run = prepare(
        model, source, genome, (LOGIT, PRODUCT, SPECIFIC), tracks=tracks, output="background"
    )
    run.check_resume(target, resume=resume, overwrite=overwrite)
    if resume and (done := finished_run(target, run)) is not None:
        return replace(done, columns=run.scorer.layout.tracks)
    overwrite = overwrite or (resume and folder_of(target).exists())
    check_target(target, overwrite)
    check_files([rejects_file(target)], overwrite)
    seconds = {"score": 0.0, "write": 0.0}
    with FinishedBlocks(
        target, run.provenance, kind=run.kind, resume=resume, overwrite=overwrite
    ) as blocks:
        tally, _ = run.score(blocks, seconds)
        source = run.input.variants
        warn_without_rows(tally, source.name)
        warn(tally, source.name, source.check_assembly)
        if tally.rows == 0:
            blocks.remove()
            raise InputError(
                f"no background variant could be scored: {tally.describe()}",
                file=run.input.variants.name,
                remedy="Check that the variants and the genome are from the same assembly",
            )
        background = _collect(run, blocks, tally.rows)
        _report_small(background)
        write_background_file(target, background, overwrite=overwrite)
        note = FinishedOutput.of(run.provenance.checksum(), tally.to_counts(), target, (target,))
        write_rejects(blocks, target, run.scorer.layout, note, tally, overwrite=overwrite)
        blocks.remove()
    return VariantSummary(target, rejects_of(target), tally, run.scorer.layout.tracks, seconds)


def _collect(run: VariantRun, blocks: FinishedBlocks, count: int) -> Background:
    layout = run.scorer.layout
    assert run.strata is not None
    kept = ranks(count)
    number = np.concatenate(
        [blocks.tables(one, "rows")["rows"][STRATUM].to_numpy() for one in blocks.numbers]
    )
    size = np.bincount(number)
    strata = []
    for stratum, numbers in members(run.strata.classes.names).items():
        if total := int(size[[one for one in numbers if one < len(size)]].sum()):
            rank = tail_ranks(total)
            scores = np.empty((len(layout.tracks), rank.size), dtype=np.float32)
            strata.append((StratumScores(stratum, total, rank, scores), numbers))
    known = {
        name: np.empty((len(layout.tracks), kept.size), dtype=np.float32)
        for name in (PRODUCT, LOGIT, SPECIFIC)
    }
    with stage("sorting scores", "tracks", len(known) * len(layout.tracks)) as now:
        for name, out in known.items():
            for tracks, values in _columns(run, blocks, name, count):
                values = np.abs(values)
                if name == SPECIFIC:
                    for one, numbers in strata:
                        if len(one.rank):
                            own = np.sort(values[:, np.isin(number, numbers)], axis=1)
                            one.specific[tracks] = own[:, one.rank - 1]
                out[tracks] = np.sort(values, axis=1)[:, kept - 1]
                now.add(tracks.stop - tracks.start)
    return Background(
        layout.tracks,
        count,
        kept,
        known[PRODUCT],
        known[LOGIT],
        known[SPECIFIC],
        run.conditions.identity(),
        layout.provenance,
        run.strata.classes,
        tuple(one for one, _ in strata),
    )


def _report_small(background: Background) -> None:
    """Name the strata that have too few variants."""
    small = [
        f"{one.stratum.describe()} ({one.count:,})"
        for one in background.strata
        if not len(one.rank)
    ]
    if small:
        log.info(
            "strata with fewer than %s background variants: %s; p-values of their variants will be "
            "from larger strata",
            f"{FEWEST:,}",
            few(small),
        )


def _columns(
    run: VariantRun, blocks: FinishedBlocks, name: str, count: int
) -> Iterator[tuple[slice, np.ndarray]]:
    """All values of a score, ``(tracks, count)``, a few tracks at a time."""
    layout = run.scorer.layout
    start = layout.per_track.index(name) * len(layout.tracks)
    width = max(1, CHUNK_VALUES // count)
    for first in range(0, len(layout.tracks), width):
        tracks = slice(first, min(first + width, len(layout.tracks)))
        part = slice(start + tracks.start, start + tracks.stop)
        each = (blocks.columns(number, VALUES, part) for number in blocks.numbers)
        yield tracks, np.concatenate([values.T for values in each], axis=1)
