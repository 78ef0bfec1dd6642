"""Shards of predictions: blocks of rows with their values, and the output that they make."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing

from danq.inference.blocks import FinishedBlock
from danq.inference.blocks.merged_blocks import MergedBlocks
from danq.inference.blocks.stored_layout import restored_output, stored_layout
from danq.inference.ensemble import Ensemble
from danq.inference.prediction.row_blocks import batches_per_block, joined, rows_per_write
from danq.inference.prediction.written_predictions import (
    WrittenPredictions,
    stored_columns,
    write_rows,
)
from danq.inference.shard_run import ShardRun
from danq.inference.sources.tiling import Rows, RowStream, Selection
from danq.inference.writers.layout import PredictionLayout, Values
from danq.progress import counted, stage

KIND = "predictions"
ROWS, VALUES = "rows", "values"
"""Names of the table and of the array of a block, and of the count of its rows."""


def write_shard(
    run: ShardRun,
    ensemble: Ensemble,
    opened: RowStream,
    layout: PredictionLayout,
    format: str,
) -> WrittenPredictions:
    """Predict the rows of a shard, and store them block by block.

    Parameters
    ----------
    run
        The shard.
    ensemble, opened
        Models, and the rows of the whole run.
    layout, format
        Columns and format of the output.

    Raises
    ------
    InputError
        As `danq.inference.shard_run.ShardRun.store`.
    """
    batch, columns = ensemble.options.windows_per_batch, stored_columns(layout)
    batches = batches_per_block(columns, batch)

    def make(selected: Selection) -> Generator[FinishedBlock, None, None]:
        total = None if opened.total is None else _rows_in(opened.total, batches * batch, selected)
        predicted = ensemble.predict(
            opened, steps=bool(layout.profiles), selected=lambda chunk: selected(chunk // batches)
        )
        with stage("predicting", "rows", total) as now, closing(predicted):
            for rows, values in joined(predicted, batches * batch):
                yield FinishedBlock(
                    {ROWS: layout.keys(rows)}, {VALUES: values}, {ROWS: len(values)}
                )
                now.add(len(values))

    content = {
        **stored_layout(layout, format),
        "rows per write": rows_per_write(columns, batch),
    }
    counts = run.store(make, content)
    return WrittenPredictions.of(run.folder, counts[ROWS], layout, format, run.shard)


def merge_predictions(blocks: MergedBlocks, *, overwrite: bool) -> WrittenPredictions:
    """Write the predictions of a run from the blocks of all shards.

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
        layout, output = restored_output(PredictionLayout, content, blocks.out)
        size = int(content["rows per write"])
    output.check(layout, overwrite=overwrite)

    def parts() -> Iterator[tuple[Rows, Values]]:
        each = counted(blocks, "merging", "blocks", len(blocks.numbers))
        for number, block in zip(blocks.numbers, each, strict=True):
            with blocks.readable(number):
                rows = _rows(block, layout)
            yield rows, block.arrays[VALUES]

    return write_rows(parts(), output, layout, size, overwrite=overwrite)


def _rows(block: FinishedBlock, layout: PredictionLayout) -> Rows:
    table = block.tables[ROWS]
    names, start, end, *labels = (table[name] for name in layout.key_types)
    named = labels[0].to_list() if labels else None
    return Rows(names.to_list(), start.to_numpy(), end.to_numpy(), named)


def _rows_in(total: int, size: int, selected: Selection) -> int:
    """Rows of the selected blocks of a run."""
    return sum(
        min(size, total - first) for first in range(0, total, size) if selected(first // size)
    )
