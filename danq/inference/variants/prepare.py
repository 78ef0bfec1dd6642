"""Check the inputs of a variant run and load what it needs."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import torch

from danq._version import __version__
from danq.genome.fasta import Genome
from danq.genome.packed import PackedGenome
from danq.inference.engine.incremental import Incremental
from danq.inference.ensemble import Ensemble, Models
from danq.inference.sources.open_source import Location
from danq.inference.variants.allele_scores import MEANING
from danq.inference.variants.background import Background, read_background
from danq.inference.variants.run import BLOCK_RECORDS, BLOCK_VALUES, VariantRun
from danq.inference.variants.scorer import Scorer
from danq.inference.variants.variant_input import VariantInput, Variants, VariantTable, as_variants
from danq.inference.writers.layout import SPREAD
from danq.inference.writers.variant_layout import VariantLayout
from danq.models import Model

log = logging.getLogger("danq")


FEW_BACKGROUND = 10_000
"""Background variants below which E-values are too coarse for the range of interest."""

BATCH_WINDOWS = 8192
"""Reference and alternate windows per batch."""

AnyGenome = Location | PackedGenome | Genome
"""FASTA file of the reference genome, or the genome itself."""


def prepare(
    models: Models,
    variants: Variants | Location | VariantTable,
    genome: AnyGenome,
    scores: tuple[str, ...],
    *,
    tracks: Sequence[str] | None = None,
    calibrate: Location | None = None,
    output: str | None = None,
) -> VariantRun:
    """Load what a run needs and check it, before any variant is read.

    Parameters
    ----------
    models, variants, genome, tracks, calibrate
        As for `danq.score_variants`.
    scores
        Requested scores, in order.
    output
        Format of the output, or ``"background"``; None for a result in memory.

    Raises
    ------
    InputError
        As `danq.score_variants`.
    """
    ensemble = Ensemble.of(models, tracks)
    options = ensemble.options
    input = VariantInput(as_variants(variants), ensemble.window)
    # Both read all weights, which takes as long as loading them.
    with ThreadPoolExecutor(1) as executor:
        weights = executor.submit(weights_checksums, ensemble.models)
        engines = [Incremental(one.module, options) for one in ensemble.models]
    for reason in dict.fromkeys(one.reason for one in engines if one.reason is not None):
        log.info("each window is evaluated in full: %s", reason)
    conditions = {
        "models": weights.result(),
        "strand": options.strand,
        **input.conditions(),
    }
    background = None if calibrate is None else _background(calibrate, ensemble, conditions)
    reference = packed(genome)
    running = {
        "strand": options.strand,
        "precision": f"{options.resolved_precision} on {options.torch_device.type}",
        "tolerance": f"{options.tolerance:g}",
    }
    header = {
        "danq": __version__,
        **ensemble.provenance(),
        "genome": genome_text(genome, reference),
        **input.provenance(),
        **running,
    }
    layout = _layout(ensemble, scores, header, output, background)
    batch = BATCH_WINDOWS if options.batch_size is None else options.batch_size
    block = max(1, min(BLOCK_RECORDS, BLOCK_VALUES // len(layout.columns)))
    identity = {
        "danq": __version__,
        "kind of output": str(output),
        **conditions,
        **input.identity(),
        "genome": reference.digest,
        **running,
        "tracks": ", ".join(ensemble.tracks),
        "scores": ", ".join(layout.per_track),
        **({} if background is None else {"background": background.digest}),
        "batch size": str(batch),
        "records of a block": str(block),
    }
    files = {
        "models": ensemble.names,
        "genome": (genome_file(genome) or "the genome in memory",),
        "background": () if calibrate is None else (str(calibrate),),
        **input.files(),
    }
    scorer = Scorer(
        engines,
        ensemble.track_indices,
        options.strand == "both",
        batch,
        layout,
        background,
    )
    return VariantRun(
        input,
        reference,
        scorer,
        conditions,
        identity,
        files,
        block,
        keep_lines=output == "vcf",
        by_column=output == "background",
    )


def _layout(
    ensemble: Ensemble,
    scores: tuple[str, ...],
    header: dict[str, str],
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
        spread=ensemble.spread and output not in ("background", "deepsea"),
        calibrated=background is not None,
    )
    meanings = (f"{name} ({MEANING[name.removesuffix(SPREAD)]})" for name in layout.per_track)
    return replace(layout, provenance=about | {"scores": "; ".join(meanings)})


def packed(genome: AnyGenome) -> PackedGenome:
    """A genome in memory.

    Raises
    ------
    InputError
        As `danq.genome.fasta.Genome`.
    """
    if isinstance(genome, PackedGenome):
        return genome
    if isinstance(genome, Genome):
        return genome.pack()
    with Genome(genome) as opened:
        return opened.pack()


def genome_file(genome: AnyGenome) -> str | None:
    """The file of a genome; None for a genome in memory."""
    name = genome.path if isinstance(genome, Genome) else genome
    return None if isinstance(name, PackedGenome) else str(name)


def genome_text(genome: AnyGenome, content: PackedGenome) -> str:
    """The genome as text: its file, and the checksum of its content."""
    name = genome_file(genome)
    return f"{'' if name is None else f'{name} '}sha256:{content.digest}"


def weights_checksums(models: Sequence[Model]) -> str:
    """SHA-256 of the weights of each model in memory, as text.

    The checksum of the file does not suffice: a model may have changed since it was loaded.
    """
    return ", ".join(_weights_checksum(model) for model in models)


def _weights_checksum(model: Model) -> str:
    sha = hashlib.sha256()
    for name, value in sorted(model.module.state_dict().items()):
        sha.update(f"{name} {value.dtype} {tuple(value.shape)} ".encode())
        # As uint8, because numpy has no bfloat16.
        plain = value.detach().cpu().contiguous().flatten().view(torch.uint8)
        sha.update(plain.numpy().data)
    return sha.hexdigest()


def _background(calibrate: Location, ensemble: Ensemble, conditions: dict[str, str]) -> Background:
    background = read_background(calibrate).pick(
        ensemble.tracks, conditions, Path(calibrate), ensemble.names
    )
    if background.count < FEW_BACKGROUND:
        log.warning(
            "%s: %d background variants resolve no E-value below %.1g; use %d or more",
            calibrate,
            background.count,
            1 / background.count,
            FEW_BACKGROUND,
        )
    return background
