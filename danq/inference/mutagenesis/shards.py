"""Mutation effects in blocks of windows, of a shard or of a genome, and the output they make."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import numpy as np
import polars as pl

from danq.bounded_queue import write_behind
from danq.genome.nucleotide_codes import N
from danq.inference.blocks import Blocks, FinishedBlock
from danq.inference.blocks.merged_blocks import MergedBlocks
from danq.inference.blocks.stored_layout import restored_output, stored_layout
from danq.inference.mutagenesis.batches import bases_of, blocks
from danq.inference.mutagenesis.effects import BaseEffects
from danq.inference.mutagenesis.mutation_job import MutationJob
from danq.inference.mutagenesis.targets import SequenceTally, Target, TargetWindow
from danq.inference.mutagenesis.written_mutations import WrittenMutations
from danq.inference.shard_run import ShardRun
from danq.inference.sources.tiling import Selection
from danq.inference.writers.mutation_layout import MutationLayout
from danq.inference.writers.open_output import Output
from danq.progress import counted, is_watched, stage
from danq.typing import Codes

KIND = "mutations"
WINDOWS, SUBSTITUTIONS = "windows", "substitutions"
"""Name of the table of a block; name of the count of its substitutions."""

_COLUMNS = ("name", "target_start", "target_end", "length", "first", "low", "high")
_SCHEMA = {name: pl.String if name == "name" else pl.Int64 for name in _COLUMNS}


def write_in_blocks(
    run: ShardRun,
    job: MutationJob,
    targets: list[Target],
    layout: MutationLayout,
    output: Output,
) -> WrittenMutations:
    """Compute the effects of a shard or of all windows, and store them block by block.

    Without a shard, the output is then written, and replaces an existing one: the caller has
    checked whether it may.

    Parameters
    ----------
    run
        The run or shard.
    job, targets
        Models, and the sequences of the whole run.
    layout, output
        Columns and output.

    Raises
    ------
    InputError
        As `danq.inference.shard_run.ShardRun.store`; when the output cannot be written.
    """

    def own(selected: Selection) -> Iterator[list]:
        each = enumerate(blocks(job.batches(targets), len(layout.columns)))
        return (block for number, block in each if selected(number))

    def make(selected: Selection) -> Generator[FinishedBlock, None, None]:
        total = 3 * sum(map(bases_of, own(selected))) if is_watched() else None
        with stage("mutating", "substitutions", total) as now:
            for block in own(selected):
                done = []
                for effects in job.effects(block):
                    done.append(effects)
                    now.add(3 * len(effects.codes))
                yield _stored(done)

    window, tile = job.ensemble.window, job.tile
    content = {
        **stored_layout(layout, output.format),
        "sequences": len(targets),
        "window": window,
        "bin": tile,
    }
    if run.shard is not None:
        done = run.store(make, content)[SUBSTITUTIONS]
        return WrittenMutations(run.folder, len(targets), done, 0, layout.columns, run.shard)

    def write(blocks: Blocks) -> None:
        _write_output(blocks, output, layout, overwrite=run.overwrite, verb="writing").report(
            window, tile
        )

    done = run.store(make, content, write)[SUBSTITUTIONS]
    return WrittenMutations(output.path, len(targets), done, 0, layout.columns)


def merge_mutations(blocks: MergedBlocks, *, overwrite: bool) -> WrittenMutations:
    """Write the effects of a run from the blocks of all shards.

    Parameters
    ----------
    blocks
        The blocks.
    overwrite
        Whether an existing output may be replaced.

    Raises
    ------
    InputError
        As `danq.merge`.
    """
    content = blocks.content
    with blocks.readable_content():
        layout, output = restored_output(MutationLayout, content, blocks.out)
        sequences = int(content["sequences"])
        window, step = int(content["window"]), int(content["bin"])
    output.check(layout, overwrite=overwrite)
    _write_output(blocks, output, layout, overwrite=overwrite, verb="merging").report(window, step)
    substitutions = sum(counts[SUBSTITUTIONS] for counts in blocks.counts)
    return WrittenMutations(output.path, sequences, substitutions, 0, layout.columns)


def _write_output(
    blocks: Blocks, output: Output, layout: MutationLayout, *, overwrite: bool, verb: str
) -> SequenceTally:
    """Write the effects of all blocks, and count sequences and bases."""
    tally = SequenceTally()
    with (
        output.open(layout, overwrite=overwrite) as writer,
        write_behind(writer.write) as write,
    ):
        counted_blocks = counted(blocks, verb, "blocks", len(blocks.numbers))
        for number, block in zip(blocks.numbers, counted_blocks, strict=True):
            with blocks.readable(number):
                each = list(_effects(block))
            for effects in each:
                write(effects)
                tally.count(effects.window)
    return tally


def _substitutions(codes: Codes) -> int:
    return 3 * int((codes != N).sum())


def _stored(each: list[BaseEffects]) -> FinishedBlock:
    windows = [one.window for one in each]
    places = [
        (
            one.target.name,
            one.target.start,
            one.target.end,
            one.target.length,
            one.first,
            one.low,
            one.high,
        )
        for one in windows
    ]
    spreads = [one.spread for one in each if one.spread is not None]
    return FinishedBlock(
        {WINDOWS: pl.DataFrame(places, schema=_SCHEMA, orient="row")},
        {
            "codes": np.stack([one.codes for one in windows]),
            "reference": np.stack([one.reference for one in each]),
            "mean": np.concatenate([one.mean for one in each]),
            **({"spread": np.concatenate(spreads)} if spreads else {}),
        },
        {SUBSTITUTIONS: sum(_substitutions(one.codes) for one in each)},
    )


def _effects(block: FinishedBlock) -> Iterator[BaseEffects]:
    """The inverse of `_stored`; the targets cannot be read."""
    arrays, at = block.arrays, 0
    rows = block.tables[WINDOWS].iter_rows()
    for row, codes, reference in zip(rows, arrays["codes"], arrays["reference"], strict=True):
        name, start, end, length, first, low, high = row
        window = TargetWindow(Target(name, start, end, length, _unread), codes, first, low, high)
        own = slice(at, at + high - low)
        at += high - low
        spread = arrays["spread"][own] if "spread" in arrays else None
        yield BaseEffects(window, arrays["mean"][own], spread, reference)


def _unread(low: int, high: int) -> Codes:
    raise AssertionError(f"bases {low} to {high} are not stored")
