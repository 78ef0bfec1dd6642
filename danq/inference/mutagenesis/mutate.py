"""In silico saturation mutagenesis: the effect of every single-base substitution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np
import polars as pl

from danq._memory import kept_memory
from danq.bounded_queue import write_behind
from danq.errors import InputError
from danq.files.inputs_in_use import protects_inputs
from danq.files.unchanged_inputs import UnchangedInputs
from danq.genome.nucleotide_codes import LETTERS, N
from danq.inference.blocks import Shard
from danq.inference.ensemble import Ensemble, Models
from danq.inference.mutagenesis.dependencies import (
    Dependencies,
    DependencyMap,
    check_map_size,
    score_pairs,
)
from danq.inference.mutagenesis.effect_kinds import Effect
from danq.inference.mutagenesis.effects import BaseEffects
from danq.inference.mutagenesis.mutation_job import MutationJob
from danq.inference.mutagenesis.pair_effects import PairEffects
from danq.inference.mutagenesis.pairs import pairs_of, parse_pairs
from danq.inference.mutagenesis.shards import KIND, write_in_blocks
from danq.inference.mutagenesis.targets import SequenceTally, Target, open_targets
from danq.inference.mutagenesis.written_mutations import WrittenMutations
from danq.inference.result import Result
from danq.inference.shard_run import ShardRun, check_shard, check_stored_run
from danq.inference.sources import Source, Tiles, as_source
from danq.inference.writers.mutation_layout import MutationLayout
from danq.inference.writers.open_output import Output, find_output
from danq.inference.writers.writer import Writer
from danq.progress import Stage, stage
from danq.typing import Location

_LETTERS = np.array(list(LETTERS), dtype=object)


class MutationObserver(Protocol):
    """Receives the effects while `write_mutations` writes them, for a plot."""

    def writer(self, output: Output, layout: MutationLayout) -> AbstractContextManager[Writer]:
        """Writer of the output, which may get its name together with that of the plot."""
        ...

    def begin(self, ensemble: Ensemble, targets: list[Target]) -> None:
        """Check models and targets before any window is scored."""

    def window(self, effects: BaseEffects) -> None:
        """Receive the effects of one window."""

    def dependencies(self, found: DependencyMap) -> None:
        """Receive the map of the pairs, if there are pairs."""

    def end(self) -> None:
        """Finish after the last window, before the output gets its name."""


@kept_memory()
def mutate(
    model: Models,
    source: Any,
    *,
    effect: Effect | None = None,
    tracks: Sequence[str] | None = None,
) -> Result:
    """Effect of every single-base substitution on every track (in silico mutagenesis).

    A sequence no longer than the model's window is scored in one window centred on it, padded
    with N. A longer one is split into tiles of the model's bin, as `danq.predict` does; the effect
    of a base is that on the prediction for its tile, in the window centred on the tile. Windows on
    a genome are filled with its bases. `danq.Tiles` splits a whole genome into tiles.

    Parameters
    ----------
    model
        A loaded model; for several, the mean effect and its sample standard deviation are
        reported.
    source
        Sequences in memory or in a FASTA file, as for `danq.predict`; `danq.Regions`; or
        `danq.Tiles`, with tiles no longer than the window.
    effect
        ``"logit"``: change in log2 odds (bits) of a peak, as in `danq.score_variants`;
        ``"probability"``: change in its probability; ``"log2fc"``: log2 fold change of an amount,
        as in `danq.score_variants`; ``"difference"``: change in an amount, in the unit of the
        model, or of the measured values with the option ``measured``. All are mutant minus
        reference. If there are peaks and amounts, ``"logit"`` and ``"log2fc"`` select both effects
        in bits, the others both differences. None selects ``"logit"`` for peaks alone and
        ``"difference"`` otherwise. A profile counts with its total.
    tracks
        Names of the selected tracks, in that order. None selects all.

    Returns
    -------
    Result
        ``values`` are ``(N, 4, C)``: one row per base, the effect of A, C, G and T at that base;
        0 for the base that is there, NaN for a base N. For one sequence N is its length.

    Raises
    ------
    InputError
        When a sequence is empty or has letters outside the IUPAC codes, a file is missing or
        damaged, the models disagree, a track is unknown, the effect is of another kind than all
        tracks, or a region extends past its contig.

    Examples
    --------
    >>> model = danq.load("runs/yeast")  # doctest: +SKIP
    >>> effects = danq.mutate(model, "ACGT" * 125)  # doctest: +SKIP
    >>> strongest = np.abs(effects.values).max(axis=(0, 1))  # doctest: +SKIP
    """
    job = MutationJob.of(model, as_source(source), effect, tracks)
    layout = job.layout()
    with open_targets(job.source, job.ensemble.window, job.ensemble.bin) as targets:
        done, tally = [], SequenceTally()
        with stage("mutating", "substitutions", 3 * sum(one.size for one in targets)) as now:
            for effects in job.effects(job.batches(targets)):
                done.append(effects)
                tally.count(effects.window)
                now.add(3 * len(effects.codes))
    tally.report(job.ensemble.window, job.tile)
    values = [np.empty((0, 4, len(layout.columns)), np.float32)]
    values += [
        one.mean if one.spread is None else np.concatenate([one.mean, one.spread], axis=2)
        for one in done
    ]
    return Result(
        values=np.concatenate(values),
        columns=layout.columns,
        tracks=layout.tracks,
        rows=_base_rows(layout.key, done),
        provenance=layout.provenance,
    )


@protects_inputs
@kept_memory()
def write_mutations(
    model: Models,
    source: Any,
    out: Location,
    *,
    effect: Effect | None = None,
    tracks: Sequence[str] | None = None,
    pairs: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    shard: Shard | None = None,
    observer: MutationObserver | None = None,
) -> WrittenMutations:
    """Write the effect of every single-base substitution to a file.

    As `danq.mutate`. Memory does not grow with the length of a region or genome; the records of a
    FASTA file and the rows of a BED file are held in memory. Of a tiled genome (`danq.Tiles`),
    completed blocks are stored in the directory ``<out>.unfinished`` until the output is complete,
    so that the run can be resumed, and a ``.tsv.gz`` gets a tabix index.

    Parameters
    ----------
    model, source, effect, tracks
        As for `danq.mutate`.
    out
        ``.h5`` or ``.hdf5``, ``.tsv``, ``.tsv.gz`` or ``.parquet``; see docs/formats.md.
    pairs
        Also mutate all pairs of bases of an interval: ``start-end`` (1-based, closed, on the
        contig or record, as in the output), or ``NAME:start-end`` if there are several sequences;
        ``all`` is the whole sequence. The sequence must not be longer than the window. HDF5 files
        also have the map of `danq.dependency_map`.
    overwrite
        Replace an existing output, and discard the stored effects of the run or shard.
    resume
        Continue a shard, or a run on a tiled genome, that was interrupted, with the same inputs
        and settings.
    shard
        Compute one of several parts of the effects, `danq.Shard`, and store it in the directory
        ``<out>.shard-i-of-n``. `danq.merge` writes the output once all parts are complete. None
        computes and writes all effects.
    observer
        Receives the effects of each window.

    Raises
    ------
    InputError
        As `danq.mutate`; when the pairs are in no sequence or in one that is too long; when the
        output exists, has an unknown extension or cannot be written; when the stored effects of
        the run or shard are of other inputs or settings, or ``resume`` is set without a shard or
        a tiled genome; when ``pairs`` or ``observer`` is set, or an input is a pipe, and ``shard``
        is set or the genome is tiled; when a tiled genome is to be written as ``.tsv``.
    """
    source = as_source(source)
    in_blocks = shard is not None or isinstance(source, Tiles)
    output = find_output(out, MutationLayout)
    if in_blocks:
        _check_undivided(source, pairs, observer)
        output = _indexed(output, source)
    if shard is None and in_blocks:
        overwrite = check_stored_run(output, source, resume=resume, overwrite=overwrite)
    else:
        check_shard(output, source, shard, resume=resume, overwrite=overwrite)
    unchanged = UnchangedInputs.of(source.files().values())
    region = None if pairs is None else parse_pairs(pairs)
    job = MutationJob.of(model, source, effect, tracks)
    with open_targets(source, job.ensemble.window, job.ensemble.bin) as targets:
        if in_blocks:
            layout = job.layout()
            output.writer.check_layout(layout)
            identity = job.identity(output.format)
            run = ShardRun(output.path, KIND, shard, identity, unchanged, resume, overwrite)
            return write_in_blocks(run, job, targets, layout, output)
        chosen = None if region is None else region.target(targets, job.ensemble.window)
        interval = (0, 0) if region is None or chosen is None else region.within(chosen)
        if observer is not None:
            observer.begin(job.ensemble, targets)
        layout = job.layout(pairs)
        tally = SequenceTally()
        total = 3 * sum(one.size for one in targets)
        total += pairs_of(interval[1] - interval[0])
        substitutions = pairs_done = 0
        maps = [] if observer is None else [observer.dependencies]
        if chosen is not None and (maps or output.format == "hdf5"):
            check_map_size(interval[1] - interval[0], len(layout.tracks))
        with (
            stage("mutating", "substitutions", total) as now,
            output.open(layout, overwrite=overwrite)
            if observer is None
            else observer.writer(output, layout) as writer,
        ):
            with write_behind(writer.write) as write:
                maps += [write] if output.format == "hdf5" else []
                for effects in job.effects(job.batches(targets)):
                    write(effects)
                    tally.count(effects.window)
                    substitutions += 3 * int((effects.codes != N).sum())
                    now.add(3 * len(effects.codes))
                    if observer is not None:
                        observer.window(effects)
                    if effects.window.target is chosen:
                        pairs_done += _write_pairs(job, effects, interval, write, maps, now)
            if observer is not None:
                observer.end()
    tally.report(job.ensemble.window, job.tile)
    return WrittenMutations(output.path, len(targets), substitutions, pairs_done, layout.columns)


def _indexed(output: Output, source: Source) -> Output:
    """The output of a run in blocks; that of a tiled genome has an index if it is a TSV.

    Raises
    ------
    InputError
        When the table of a tiled genome is not compressed.
    """
    if not isinstance(source, Tiles):
        return output
    if output.format == "tsv":
        raise InputError(
            "is a table without compression, and the effects of a tiled genome are compressed and "
            "indexed",
            file=output.path,
            remedy="End the name with .tsv.gz, .h5 or .parquet",
        )
    if output.format == "tsv.gz":
        return find_output(output.path, MutationLayout, "tabix")
    return output


def _check_undivided(source: Source, pairs: str | None, observer: MutationObserver | None) -> None:
    """Raise when an output was requested that needs all effects at once."""
    if isinstance(source, Tiles) and (pairs is not None or observer is not None):
        what = "a plot shows" if pairs is None else "pairs of bases are mutated in"
        raise InputError(
            f"{what} one sequence, and the genome is tiled",
            remedy="Choose one region of the genome, without tiles",
        )
    if pairs is not None:
        raise InputError(
            "pairs of bases are mutated in a run without shards",
            remedy="Leave the shard out for pairs, or the pairs for a shard",
        )
    if observer is not None:
        raise InputError(
            "a plot shows all effects, and a shard computes some of them",
            remedy="Leave the shard out for a plot, or the plot for a shard",
        )


def _write_pairs(
    job: MutationJob,
    effects: BaseEffects,
    interval: tuple[int, int],
    write: Callable[..., None],
    maps: Sequence[Callable[[DependencyMap], None]],
    now: Stage,
) -> int:
    """Write the effects of all pairs of an interval, pass on their map, and return their number."""
    found = Dependencies(effects, *interval) if maps else None

    def each(pairs: PairEffects) -> None:
        write(pairs)
        if found is not None:
            found.add(pairs)

    count = score_pairs(job.scorer, effects, interval, each, now)
    if found is not None:
        done = found.map(job.ensemble.tracks, {})
        for receive in maps:
            receive(done)
    return count


def _base_rows(key: str, done: list[BaseEffects]) -> pl.DataFrame:
    names = [one.window.target.name for one in done for _ in range(len(one.codes))]
    position = [one.window.first + np.arange(one.window.low, one.window.high) + 1 for one in done]
    codes = [one.codes for one in done]
    empty = np.empty(0, np.int64)
    return pl.DataFrame(
        {
            key: names,
            "pos": np.concatenate([empty, *position]),
            "ref": _LETTERS[np.concatenate([empty, *codes])].tolist(),
        },
        schema={key: pl.String, "pos": pl.Int64, "ref": pl.String},
    )
