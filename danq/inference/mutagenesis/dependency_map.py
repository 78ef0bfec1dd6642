"""The dependency map of one sequence, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from danq._memory import kept_memory
from danq.inference.ensemble import Models
from danq.inference.mutagenesis.dependencies import (
    Dependencies,
    DependencyMap,
    check_map_size,
    score_pairs,
)
from danq.inference.mutagenesis.effect_kinds import Effect
from danq.inference.mutagenesis.mutation_job import MutationJob
from danq.inference.mutagenesis.pairs import WHOLE, pairs_of, parse_pairs
from danq.inference.mutagenesis.targets import open_targets
from danq.inference.sources import as_source
from danq.progress import stage


@kept_memory()
def dependency_map(
    model: Models,
    source: Any,
    *,
    pairs: str = WHOLE,
    effect: Effect | None = None,
    tracks: Sequence[str] | None = None,
) -> DependencyMap:
    """Which bases of a sequence the effect of a mutation depends on (dependency map).

    The dependency of two positions is the largest absolute interaction over their nine pairs of
    substitutions: the effect of both minus the sum of the effects of each alone. It is 0 where the
    model adds the effects of both, as of bases that it reads independently. All pairs are computed,
    nothing is sampled.

    Parameters
    ----------
    model
        A loaded model; several give the interactions of their mean effects.
    source
        One sequence or region, no longer than the window, as for `danq.mutate`.
    pairs
        Interval of the sequence: ``start-end`` (1-based, closed, on the contig or record), or
        ``NAME:start-end`` if there are several sequences; ``"all"`` is the whole sequence.
    effect, tracks
        As for `danq.mutate`.

    Returns
    -------
    DependencyMap
        The map, which `danq.plots.plot_dependencies` draws.

    Raises
    ------
    InputError
        As `danq.mutate`; when the interval is in no sequence or in one that is longer than the
        window, or when the map has more than 268 million values.

    References
    ----------
    da Silva et al. 2024, "Nucleotide dependency analysis of DNA language models reveals genomic
    functional elements", bioRxiv 2024.07.27.605418.

    Examples
    --------
    >>> model = danq.load("runs/yeast")  # doctest: +SKIP
    >>> found = danq.dependency_map(model, "ACGT" * 25, tracks=["Reb1"])  # doctest: +SKIP
    >>> found.to_polars(largest=10)  # doctest: +SKIP
    """
    region = parse_pairs(pairs)
    job = MutationJob.of(model, as_source(source), effect, tracks)
    with open_targets(job.source, job.ensemble.window, job.ensemble.bin) as targets:
        target = region.target(targets, job.ensemble.window)
        interval = region.within(target)
        bases = interval[1] - interval[0]
        check_map_size(bases, len(job.ensemble.tracks))
        total = 3 * target.size + pairs_of(bases)
        with stage("mutating", "substitutions", total) as now:
            [effects] = job.effects(job.batches([target]))
            now.add(3 * target.size)
            found = Dependencies(effects, *interval)
            score_pairs(job.scorer, effects, interval, found.add, now)
    return found.map(job.ensemble.tracks, job.layout(pairs).provenance)
