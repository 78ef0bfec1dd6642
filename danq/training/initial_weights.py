"""What a model knows before it is trained."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from danq.core import CnnRnn
from danq.datasets.dataset import Dataset
from danq.genome.motif_files import Motif, read_motifs
from danq.models import first_layer, initialise_danq, initialise_jaspar, set_base_rates
from danq.training.enriched_motifs import SEEDED_SHARE, SMALL_SET, apply_seeds, find_seeds
from danq.training.recipe import Recipe

log = logging.getLogger("danq")


def start(
    module: CnnRnn, preset: str, dataset: Dataset, recipe: Recipe, seed: int
) -> Sequence[Motif]:
    """Give a module its start values, in place.

    The authors' rules, then the tracks' base rates and the seeded filters where the recipe asks
    for them. With the preset "danq-jaspar" motifs enter by DanQ-JASPAR's rule.

    Returns
    -------
    Motifs that filters were seeded with.

    Raises
    ------
    InputError
        When the recipe's motif file cannot be read.
    """
    initialise_danq(module)
    if recipe.base_rates:
        windows = max(1, len(dataset.indices("train")))
        set_base_rates(module, dataset.positives("train") / windows)
    filters = first_layer(module).out_features
    motifs = _seed_motifs(dataset, recipe, filters, seed)
    if not motifs:
        return ()
    if preset == "danq-jaspar":
        each = 1
        used = initialise_jaspar(module, [motif.probabilities for motif in motifs], seed)
    else:
        each = 2
        used = apply_seeds(module, motifs, seed)
    if used < each * len(motifs):
        log.warning(
            "of %d motifs only the first %d have room among %d filters",
            len(motifs),
            used // each,
            filters,
        )
    log.info("%d of %d filters start as %d motifs", used, filters, len(motifs))
    return motifs


def check_motif_file(recipe: Recipe) -> None:
    """Refuse a recipe whose motif file cannot be read, before anything else is done.

    Raises
    ------
    InputError
        As `read_motifs`.
    """
    if recipe.seed_filters not in ("none", "auto"):
        read_motifs(recipe.seed_filters)


def _seed_motifs(dataset: Dataset, recipe: Recipe, filters: int, seed: int) -> Sequence[Motif]:
    if recipe.seed_filters == "none":
        return ()
    if recipe.seed_filters != "auto":
        return read_motifs(recipe.seed_filters)
    if len(dataset.indices("train")) > SMALL_SET:
        log.info("filters are not seeded from the data: more than %s windows", f"{SMALL_SET:,}")
        return ()
    found = find_seeds(dataset, limit=int(SEEDED_SHARE * filters / 2), seed=seed)
    return [one.motif() for one in found]
