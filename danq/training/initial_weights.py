"""Initial weights of a sequence model."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from danq.core import CnnRnn
from danq.datasets.dataset import Dataset
from danq.genome.motif_files import Motif, check_motifs, read_motifs
from danq.models import first_layer, initialise_danq, initialise_jaspar, set_base_rates
from danq.progress import stage
from danq.training.enriched_motifs import (
    LARGE_SET,
    LARGEST_SHARE,
    find_correlated_kmers,
    find_enriched_kmers,
    initialise_filters,
)
from danq.training.recipe import Recipe

log = logging.getLogger("danq")


def initialise(
    module: CnnRnn, preset: str, dataset: Dataset, recipe: Recipe, seed: int
) -> Sequence[Motif]:
    """Set the initial weights of a module, in place.

    First by the rules of DanQ's authors; then the biases of the outputs from the tracks' positive
    rates and filters from motifs, as the recipe says. The preset "danq-jaspar" initialises filters
    by the rule of DanQ-JASPAR.

    Returns
    -------
    Motifs that initialised filters.

    Raises
    ------
    InputError
        When the recipe's motif file cannot be read.
    """
    initialise_danq(module)
    if recipe.base_rates and dataset.measured is None:
        windows = max(1, len(dataset.indices("train")))
        set_base_rates(module, dataset.positives("train") / windows)
    layer = first_layer(module)
    filters = layer.out_features
    motifs, source = _motifs(dataset, recipe, filters, seed)
    if not motifs:
        return ()
    if preset == "danq-jaspar":
        strands = 1
        used = initialise_jaspar(module, [motif.probabilities for motif in motifs], seed)
    else:
        strands = 2
        used = initialise_filters(module, motifs, seed)
    if used < strands * len(motifs):
        log.warning(
            "%d motifs are too many for %d filters; using the first %d",
            len(motifs),
            filters,
            used // strands,
        )
    wide = sum(motif.width > layer.width for motif in motifs[: used // strands])
    if wide:
        log.warning(
            "%d motifs are wider than the filters; using their middle %d positions",
            wide,
            layer.width,
        )
    log.info(
        "initialised %d of %d filters from %d %s%s",
        used,
        filters,
        used // strands,
        source,
        " (both strands)" if strands == 2 else "",
    )
    return motifs


def check_motif_file(recipe: Recipe) -> None:
    """Check that the motif file of a recipe, if it names one, can be read.

    Raises
    ------
    InputError
        As `read_motifs`.
    """
    if recipe.initial_motifs not in ("none", "auto"):
        check_motifs(recipe.initial_motifs)


@stage("searching initial motifs")
def _motifs(
    dataset: Dataset, recipe: Recipe, filters: int, seed: int
) -> tuple[Sequence[Motif], str]:
    """Motifs to initialise filters from, and what to call them."""
    if recipe.initial_motifs == "none":
        return (), ""
    if recipe.initial_motifs != "auto":
        return read_motifs(recipe.initial_motifs), f"motifs of {recipe.initial_motifs}"
    most = int(LARGEST_SHARE * filters / 2)
    if not dataset.peaks.size:
        # At random, all filters have similar outputs, and with them the dense layers learn nothing.
        correlated = find_correlated_kmers(dataset, limit=most, seed=seed)
        return [kmer.motif() for kmer in correlated], "motifs that correlate with amounts"
    if len(dataset.indices("train")) > LARGE_SET:
        log.info("more than %s training windows: filters start at random", f"{LARGE_SET:,}")
        return (), ""
    found = find_enriched_kmers(dataset, limit=most, seed=seed)
    return [kmer.motif() for kmer in found], "enriched motifs"
