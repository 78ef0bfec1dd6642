"""From options to a run over variants."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from danq._version import __version__
from danq.device import resolve_device, resolve_precision, set_threads
from danq.errors import InputError
from danq.genome.fasta import Genome
from danq.genome.packed_genome import PackedGenome
from danq.genome.variants import RefMismatch
from danq.inference.engine.incremental import Incremental
from danq.inference.ensemble import AnyModel, Ensemble
from danq.inference.variants.allele_scores import MEANING
from danq.inference.variants.background import Background, read_background
from danq.inference.variants.input import VariantInput, Variants
from danq.inference.variants.run import BLOCK_RECORDS, BLOCK_VALUES, VariantRun
from danq.inference.variants.scorer import Scorer
from danq.inference.writers.layout import SPREAD
from danq.inference.writers.variant_layout import VariantLayout
from danq.models import Model
from danq.models.run_options import DEFAULT_TOLERANCE, RunOptions, Strand
from danq.typing import Location

log = logging.getLogger("danq")


FEW = 10_000
"""Background variants below which E-values are too coarse to be told apart where it matters."""

BATCH_WINDOWS = 8192
"""Windows, references and alternates together, that a model gets at once."""


@dataclass(frozen=True)
class VariantOptions:
    """How variants are scored; the words are those of `danq.score_variants`."""

    tracks: Sequence[str] | None = None
    strand: Strand = "both"
    indel_anchor: str = "left"
    center: int | None = None
    ref_mismatch: RefMismatch = "skip"
    chrom_map: Location | None = None
    haplotypes: str | None = None
    tolerance: float = DEFAULT_TOLERANCE
    batch_size: int | None = None
    device: str = "auto"
    precision: str = "auto"
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.batch_size is not None and self.batch_size < 1:
            raise InputError(f"a batch of {self.batch_size} windows is below 1")
        if self.strand not in ("both", "forward"):
            raise InputError(f"strand is '{self.strand}'", remedy="Choose 'both' or 'forward'")
        if not 0 <= self.tolerance < float("inf"):
            raise InputError(f"a tolerance of {self.tolerance} is below 0 or no number")


def prepare(
    models: AnyModel | Sequence[AnyModel],
    variants: Variants,
    genome: Location | PackedGenome | Genome,
    scores: tuple[str, ...],
    options: VariantOptions,
    *,
    calibrate: Location | None = None,
    kind: str | None = None,
) -> VariantRun:
    """Load what a run needs and refuse what cannot work, before any variant is read.

    Parameters
    ----------
    models, variants, genome, calibrate
        As `danq.score_variants` takes them.
    scores
        Scores wanted, in order.
    options
        All else.
    kind
        Kind of output, or ``"background"``; None for a table in memory.

    Raises
    ------
    InputError
        As `danq.score_variants`.
    """
    where = resolve_device(options.device)
    precision = resolve_precision(options.precision, where)
    ensemble = Ensemble.load(models, options.tracks)
    input = _input(variants, ensemble.window, options)
    if options.threads is not None:
        set_threads(options.threads)
    # Both read all weights, and take as long as to load them.
    with ThreadPoolExecutor(1) as beside:
        digests = beside.submit(model_digests, ensemble.models)
        run = RunOptions(str(where), precision, tolerance=options.tolerance)
        engines = [Incremental(one.module, run) for one in ensemble.models]
    conditions = {
        "models": digests.result(),
        "strand": options.strand,
        **input.conditions(),
    }
    background = None if calibrate is None else _background(calibrate, ensemble, conditions)
    reference = packed(genome)
    how = {
        "strand": options.strand,
        "precision": f"{precision} on {where.type}",
        "tolerance": f"{options.tolerance:g}",
    }
    words = {
        "danq": __version__,
        **ensemble.provenance(),
        "genome": genome_words(genome, reference),
        **input.provenance(),
        **how,
    }
    layout = _layout(ensemble, scores, words, kind, background)
    batch = BATCH_WINDOWS if options.batch_size is None else options.batch_size
    block = max(1, min(BLOCK_RECORDS, BLOCK_VALUES // len(layout.columns)))
    for reason in dict.fromkeys(one.reason for one in engines if one.reason is not None):
        log.info("every window is evaluated by itself: %s", reason)
    request = {
        "danq": __version__,
        "kind of output": str(kind),
        **conditions,
        **input.identity(),
        "genome": reference.digest,
        **how,
        "tracks": ", ".join(ensemble.tracks),
        "scores": ", ".join(layout.per_track),
        **({} if background is None else {"background": background.digest}),
        "batch size": str(batch),
        "records of a block": str(block),
    }
    files = {
        "models": ensemble.names,
        "genome": (genome_file(genome) or "the one given",),
        "background": () if calibrate is None else (str(calibrate),),
    }
    return VariantRun(
        input,
        reference,
        Scorer(engines, ensemble.picked, options.strand == "both", batch, layout, background),
        conditions,
        request,
        {**files, **input.files()},
        block,
        keep_lines=kind == "vcf",
        by_column=kind == "background",
    )


def _input(variants: Variants, window: int, options: VariantOptions) -> VariantInput:
    return VariantInput(
        variants,
        window,
        center=options.center,
        indel_anchor=options.indel_anchor,
        ref_mismatch=options.ref_mismatch,
        chrom_map=options.chrom_map,
        haplotypes=options.haplotypes,
    )


def _layout(
    ensemble: Ensemble,
    scores: tuple[str, ...],
    words: dict[str, str],
    kind: str | None,
    background: Background | None,
) -> VariantLayout:
    about = {**words, "coordinates": "pos is 1-based, as in VCF"}
    if background is not None:
        made = background.provenance.get("variants", "?")
        about["background"] = f"{background.count:,} variant-alleles of {made}"
    layout = VariantLayout(
        tracks=ensemble.tracks,
        groups=ensemble.groups,
        scores=scores,
        spread=ensemble.spread and kind not in ("background", "deepsea"),
        calibrated=background is not None,
    )
    meanings = (f"{name} ({MEANING[name.removesuffix(SPREAD)]})" for name in layout.per_track)
    return replace(layout, provenance=about | {"scores": "; ".join(meanings)})


def packed(genome: Location | PackedGenome | Genome) -> PackedGenome:
    """A genome in memory, from wherever it is.

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


def genome_file(genome: Location | PackedGenome | Genome) -> str | None:
    """The file of a genome; None where it is in memory alone."""
    name = genome.path if isinstance(genome, Genome) else genome
    return None if isinstance(name, PackedGenome) else str(name)


def genome_words(genome: Location | PackedGenome | Genome, content: PackedGenome) -> str:
    """The genome in words: its file, and the digest of its content."""
    name = genome_file(genome)
    return f"{'' if name is None else f'{name} '}sha256:{content.digest}"


def model_digests(models: Sequence[Model]) -> str:
    """What models are, in words: SHA-256 of their weights as they are in memory.

    A model may have been changed since it was loaded, so the digest of its file does not do.
    """
    return ", ".join(_weights_digest(model) for model in models)


def _weights_digest(model: Model) -> str:
    sha = hashlib.sha256()
    for name, value in sorted(model.module.state_dict().items()):
        sha.update(f"{name} {value.dtype} {tuple(value.shape)} ".encode())
        # Bytes by way of uint8, since numpy has no bfloat16.
        plain = value.detach().cpu().contiguous().flatten().view(torch.uint8)
        sha.update(plain.numpy().data)
    return sha.hexdigest()


def _background(calibrate: Location, ensemble: Ensemble, conditions: dict[str, str]) -> Background:
    background = read_background(calibrate).pick(
        ensemble.tracks, conditions, Path(calibrate), ensemble.names
    )
    if background.count < FEW:
        log.warning(
            "%s: E-values from %d variants tell nothing apart below %.1g; a background wants %d "
            "or more",
            calibrate,
            background.count,
            1 / background.count,
            FEW,
        )
    return background
