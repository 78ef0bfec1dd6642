"""Check the inputs of a variant run and load what it needs."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import torch

from danq._version import __version__
from danq.genome.fasta import Genome
from danq.genome.packed_genome import PackedGenome
from danq.inference.engine.incremental import Incremental
from danq.inference.ensemble import Ensemble, Models
from danq.inference.sources.in_memory import read_sequences
from danq.inference.variants.allele_scores import MEANING
from danq.inference.variants.background import Background, read_background
from danq.inference.variants.run import BLOCK_RECORDS, BLOCK_VALUES, VariantRun
from danq.inference.variants.scorer import Scorer
from danq.inference.variants.variant_input import VariantInput, Variants, VariantTable, as_variants
from danq.inference.writers.layout import SPREAD
from danq.inference.writers.variant_layout import VariantLayout
from danq.models import Model
from danq.provenance import Inputs, Provenance
from danq.typing import Location

log = logging.getLogger("danq")


FEW_BACKGROUND = 10_000
"""Background variants below which E-values are too coarse for the range of interest."""

BATCH_WINDOWS = 8192
"""Reference and alternate windows per batch."""

AnyGenome = Location | PackedGenome | Genome | Mapping[str, str]
"""FASTA file of the reference genome, the genome itself, or sequences by contig name."""


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
    conditions = input.conditions() | Provenance(
        settings={"strand": options.strand},
        inputs={"model": Inputs(ensemble.names, weights.result())},
    )
    background = None if calibrate is None else _background(calibrate, ensemble, conditions)
    reference = packed(genome)
    genome_input = Inputs([genome_file(genome) or "the genome in memory"], [reference.sha256])
    provenance = (
        Provenance(
            header={
                "danq": __version__,
                **ensemble.provenance(),
                "genome": genome_text(genome, reference),
            },
            settings={"danq": __version__},
            inputs={"genome": genome_input},
        )
        | conditions
        | input.provenance()
        | Provenance.shown(
            {
                "strand": options.strand,
                "precision": f"{options.resolved_precision} on {options.torch_device.type}",
                "tolerance": f"{options.tolerance:g}",
            }
        )
    )
    layout = _layout(ensemble, scores, provenance.header, output, background)
    batch = BATCH_WINDOWS if options.batch_size is None else options.batch_size
    block = max(1, min(BLOCK_RECORDS, BLOCK_VALUES // len(layout.columns)))
    provenance |= Provenance(
        settings={
            "output format": str(output),
            "tracks": ensemble.tracks,
            "scores": layout.per_track,
            "batch size": str(batch),
            "records of a block": str(block),
        },
        inputs={}
        if background is None
        else {"background": Inputs([str(calibrate)], [background.sha256])},
    )
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
        provenance,
        block,
        keep_lines=output == "vcf",
        by_column=output == "background",
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
        As `danq.genome.fasta.Genome`; when a sequence has letters outside the IUPAC codes.
    """
    if isinstance(genome, PackedGenome):
        return genome
    if isinstance(genome, Genome):
        return genome.pack()
    if isinstance(genome, Mapping):
        return PackedGenome.from_contigs(read_sequences(genome).records())
    with Genome(genome) as opened:
        return opened.pack()


def genome_file(genome: AnyGenome) -> str | None:
    """The file of a genome; None for a genome in memory."""
    name = genome.path if isinstance(genome, Genome) else genome
    return None if isinstance(name, PackedGenome | Mapping) else str(name)


def genome_text(genome: AnyGenome, content: PackedGenome) -> str:
    """The genome as text: its file, and the checksum of its content."""
    name = genome_file(genome)
    return f"{'' if name is None else f'{name} '}sha256:{content.sha256}"


def weights_checksums(models: Sequence[Model]) -> list[str]:
    """SHA-256 of the weights of each model in memory.

    The checksum of the file does not suffice: a model may have changed since it was loaded.
    """
    return [_weights_checksum(model) for model in models]


def _weights_checksum(model: Model) -> str:
    sha = hashlib.sha256()
    for name, value in sorted(model.module.state_dict().items()):
        sha.update(f"{name} {value.dtype} {tuple(value.shape)} ".encode())
        # As uint8, because numpy has no bfloat16.
        plain = value.detach().cpu().contiguous().flatten().view(torch.uint8)
        sha.update(plain.numpy().data)
    return sha.hexdigest()


def _background(calibrate: Location, ensemble: Ensemble, conditions: Provenance) -> Background:
    background = read_background(calibrate).select(ensemble.tracks, conditions, Path(calibrate))
    if background.count < FEW_BACKGROUND:
        log.warning(
            "%s: %d background variants resolve no E-value below %.1g; use %d or more",
            calibrate,
            background.count,
            1 / background.count,
            FEW_BACKGROUND,
        )
    return background
