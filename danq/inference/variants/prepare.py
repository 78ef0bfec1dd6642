"""Check the inputs of a variant run and load what it needs."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from danq.amounts import describe_units
from danq.device import memory_errors
from danq.errors import InputError, few
from danq.files.unchanged_inputs import UnchangedInputs
from danq.genome.packed_genome import PackedGenome
from danq.inference.engine.device_genome import DeviceGenome
from danq.inference.engine.incremental import Incremental
from danq.inference.engine.transfer import transfer_for
from danq.inference.engine.whole_windows import WholeWindows, evaluates_whole_windows
from danq.inference.ensemble import Ensemble, Models
from danq.inference.variants.assembly_check import check_assembly
from danq.inference.variants.background import Background
from danq.inference.variants.background_file import read_background
from danq.inference.variants.device_scorer import DeviceScorer
from danq.inference.variants.region_classes import RegionClasses, read_region_classes
from danq.inference.variants.run import (
    BACKGROUND,
    BLOCK_RECORDS,
    BLOCK_VALUES,
    VARIANTS,
    VariantRun,
)
from danq.inference.variants.run_identity import (
    AnyGenome,
    packed,
    run_provenance,
    shared_conditions,
)
from danq.inference.variants.scorer import Scorer
from danq.inference.variants.strata import Strata
from danq.inference.variants.variant_input import VariantInput
from danq.inference.variants.variant_source import Variants, VariantSource, as_variants
from danq.inference.weights_checksums import weights_checksums
from danq.inference.writers.variant_layout import VariantLayout
from danq.models.run_options import RunOptions
from danq.progress import stage
from danq.provenance import Inputs, Provenance
from danq.typing import Location

log = logging.getLogger("danq")

FEW_BACKGROUND = 10_000
"""Background variants below which E-values are too coarse for the range of interest."""

DEVICE_RECORDS = 16384
"""Maximum number of records per block on a GPU: with SNVs, several full batches of windows."""

BATCH_WINDOWS = 8192
"""Reference and alternate windows per batch."""


@stage("preparing the run")
def prepare(
    models: Models,
    variants: Variants | VariantSource,
    genome: AnyGenome,
    scores: tuple[str, ...],
    *,
    tracks: Sequence[str] | None = None,
    calibrate: Location | None = None,
    output: str | None = None,
    in_shards: bool = False,
) -> VariantRun:
    """Load what a run needs and check it, before any variant is scored.

    Parameters
    ----------
    models, variants, genome, tracks, calibrate
        As for `danq.score_variants`.
    scores
        Requested scores, in order.
    output
        Format of the output, or ``"background"``; None for a result in memory.
    in_shards
        Whether the run is a part of the variants.

    Raises
    ------
    InputError
        As `danq.score_variants`.
    """
    ensemble = Ensemble.of(models, tracks).for_effects()
    ensemble.check_measured()
    options = ensemble.options
    source = as_variants(variants)
    unchanged = UnchangedInputs.of(
        (*source.paths, source.chrom_map, source.regions, genome, calibrate)
    )
    input = VariantInput(source, ensemble.window)
    if input.variants.regions is not None and output != "background":
        raise InputError(
            "classes of regions are set, but only a background has them",
            remedy="Give the regions when the background is made; it stores them",
        )
    _note_assumptions(ensemble)
    # Both read all weights, which takes as long as loading them.
    with ThreadPoolExecutor(1) as executor:
        weights = executor.submit(weights_checksums, ensemble.models)
        engines = _engines(ensemble)
    conditions = shared_conditions(ensemble, input, weights.result())
    background = None if calibrate is None else _background(calibrate, ensemble, conditions)
    reference = packed(genome)
    keep_lines = output == "vcf"
    check_assembly(input, reference, in_shards=in_shards, one_vcf=keep_lines)
    provenance = (
        run_provenance(ensemble, input, genome, reference, keep_lines=keep_lines) | conditions
    )
    if background is not None:
        _compare_genomes(background, Path(str(calibrate)), provenance.header["genome"])
    strata: Strata | None = None
    if background is not None or output == "background":
        strata, used = _strata(background, str(calibrate), reference, input)
        provenance |= used
    whole = evaluates_whole_windows(options.torch_device)
    batch = _windows_per_batch(engines, options)
    if whole:
        provenance |= Provenance(header={"batch size": f"{batch} windows"})
    layout = _layout(ensemble, scores, provenance.header, output, background)
    records = DEVICE_RECORDS if whole else BLOCK_RECORDS
    block = max(1, min(records, BLOCK_VALUES // len(layout.columns)))
    provenance |= Provenance(
        settings={
            "output format": str(output),
            "tracks": ensemble.tracks,
            "scores": tuple(one.name for one in layout.named_scores),
            "batch size": str(batch),
            "records of a block": str(block),
        },
        inputs={}
        if background is None
        else {"background": Inputs([str(calibrate)], [background.sha256])},
    )
    scorer = _scorer(engines, ensemble, reference, batch, layout, background)
    return VariantRun(
        input,
        reference,
        scorer,
        conditions,
        provenance,
        block,
        keep_lines=keep_lines,
        kind=BACKGROUND if output == BACKGROUND else VARIANTS,
        unchanged=unchanged,
        strata=strata,
    )


Engines = Sequence[Incremental] | Sequence[WholeWindows]


def _engines(ensemble: Ensemble) -> Engines:
    """The engine of each model."""
    options = ensemble.options
    if evaluates_whole_windows(options.torch_device):
        return [WholeWindows(one.module, options, one.spec.targets) for one in ensemble.models]
    engines = [Incremental(one.module, options, one.spec.targets) for one in ensemble.models]
    for reason in dict.fromkeys(one.reason for one in engines if one.reason is not None):
        log.info("the model computes each window in full, which is slower: %s", reason)
    return engines


def _windows_per_batch(engines: Engines, options: RunOptions) -> int:
    first = engines[0]
    if isinstance(first, WholeWindows):
        return first.batch
    return BATCH_WINDOWS if options.batch_size is None else options.batch_size


def _scorer(
    engines: Engines,
    ensemble: Ensemble,
    genome: PackedGenome,
    batch: int,
    layout: VariantLayout,
    background: Background | None,
) -> Scorer | DeviceScorer:
    both_strands, device = ensemble.options.strand == "both", ensemble.options.torch_device
    levels = ensemble.levels
    whole = [one for one in engines if isinstance(one, WholeWindows)]
    incremental = [one for one in engines if isinstance(one, Incremental)]
    if incremental:
        return Scorer(
            incremental,
            ensemble.track_indices,
            both_strands,
            batch,
            layout,
            background,
            levels,
            ensemble.reverse_tracks,
        )
    with memory_errors():
        stored = DeviceGenome(genome, device)
    return DeviceScorer(
        whole,
        stored,
        transfer_for(device),
        ensemble.track_indices,
        both_strands,
        layout,
        background,
        levels,
        ensemble.reverse_tracks,
    )


def _strata(
    background: Background | None, calibrate: str, genome: PackedGenome, input: VariantInput
) -> tuple[Strata, Provenance]:
    """Strata of a run with a background or for one, and the file of their regions."""
    if background is not None:
        classes = background.classes
        return Strata(classes, classes.lookup(genome, calibrate)), Provenance()
    regions = input.variants.regions
    if regions is None:
        classes = RegionClasses()
        return Strata(classes, classes.lookup(genome, "")), Provenance()
    classes = read_region_classes(regions, genome, input.chrom_map())
    return Strata(classes, classes.lookup(genome, str(regions))), Provenance(
        header={"regions": str(regions)},
        inputs={"file of regions": Inputs([str(regions)], [classes.sha256()])},
    )


def _layout(
    ensemble: Ensemble,
    scores: tuple[str, ...],
    header: Mapping[str, str],
    output: str | None,
    background: Background | None,
) -> VariantLayout:
    about = {**header, "coordinates": "pos is 1-based, as in VCF"}
    if background is not None:
        made = background.provenance.get("variants", "?")
        about["background"] = f"{background.count:,} variant alleles of {made}"
    layout = VariantLayout(
        tracks=ensemble.tracks,
        groups=ensemble.groups,
        scores=scores,
        spread=ensemble.spread and output != "background",
        calibrated=background is not None,
        units=ensemble.units,
    )
    meanings = (
        f"{one.name} ({layout.meaning(one.score, one.kind)})" for one in layout.named_scores
    )
    about["scores"] = "; ".join(meanings)
    if "amounts" in ensemble.kinds:
        about["units"] = describe_units(ensemble.tracks, ensemble.units)
    return replace(layout, provenance=about)


def _note_assumptions(ensemble: Ensemble) -> None:
    """Notices about the strand, and about fold changes of amounts whose unit is not known."""
    if ensemble.models[0].spec.oriented:
        log.info(
            "the model was trained on oriented sequences: effects are those on the forward strand "
            "of the genome, in windows of the genome without the flanks of the training sequences"
        )
    used = ensemble.levels.select(ensemble.track_indices).units
    named = [
        (name, unit)
        for name, unit in zip(ensemble.tracks, used, strict=True)
        if unit is not None and unit.transform == "none"
    ]
    unknown = [name for name, unit in named if not unit.unit]
    if unknown:
        log.info(
            "amounts without a unit: %s; if they are logarithms, diff is their fold change, and "
            "log2fc is not; amounts with a name that begins with log2 or log10 count as logarithms",
            few(unknown),
        )
    logarithms = [f"{name} ({unit.logarithm})" for name, unit in named if unit.logarithm]
    if logarithms:
        log.info(
            "amounts that are logarithms, by their name or unit: %s; log2fc is their difference",
            few(logarithms),
        )


def _compare_genomes(background: Background, file: Path, genome: str) -> None:
    theirs = background.provenance.get("genome", genome)
    if theirs.rpartition("sha256:")[2] != genome.rpartition("sha256:")[2]:
        log.warning(
            "%s: the background was made with another genome (%s): is it of the same assembly?",
            file,
            theirs.rpartition(" sha256:")[0] or "in memory",
        )


def _background(calibrate: Location, ensemble: Ensemble, conditions: Provenance) -> Background:
    background = read_background(calibrate).select(ensemble.tracks, conditions, Path(calibrate))
    if background.count < FEW_BACKGROUND:
        log.warning(
            "%s: with %d background variants, the E-values are multiples of %.2g, or 1e-6 where no "
            "background variant is larger, and no p is below %.2g; use %d or more",
            calibrate,
            background.count,
            1 / background.count,
            1 / (1 + background.count),
            FEW_BACKGROUND,
        )
    return background
