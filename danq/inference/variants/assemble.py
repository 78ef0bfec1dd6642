"""Write the output of a variant run, or of its shards, from completed blocks."""

from __future__ import annotations

import logging
from dataclasses import replace

from danq.inference.blocks import Blocks
from danq.inference.variants.run import VALUES
from danq.inference.variants.significance import Significance
from danq.inference.writers.open_output import Output
from danq.inference.writers.variant_layout import VariantLayout, VcfHeader
from danq.inference.writers.variant_vcf import LinesAndRows
from danq.progress import counted

log = logging.getLogger("danq")


def assemble(
    blocks: Blocks,
    output: Output,
    layout: VariantLayout,
    *,
    head: VcfHeader | None,
    total: int,
    overwrite: bool,
    verb: str = "writing",
) -> None:
    """Write all rows to the output, which appears whole or not at all.

    Parameters
    ----------
    blocks
        All blocks of the run.
    output
        The output.
    layout
        Its columns.
    head
        Header of the input, with the contigs of all blocks.
    total
        Number of rows.
    overwrite
        Whether an existing output may be replaced.
    verb
        Name of the stage in which blocks are counted.

    Raises
    ------
    InputError
        When a block is damaged, or as `danq.inference.writers.open_output.Output.open`.
    """
    layout = replace(layout, vcf_header=head, total=total)
    if output.format == "deepsea" and not layout.calibrated:
        log.info("%s.evalue is not written: E-values need a background", output.path)
    significance = Significance(layout) if layout.calibrated else None
    if significance is not None:
        for number in counted(blocks.numbers, "reading p-values", "blocks"):
            significance.count(blocks.arrays(number)[VALUES])
    with output.open(layout, overwrite=overwrite) as writer:
        for block in counted(blocks, verb, "blocks", len(blocks.numbers)):
            rows, values = block.tables["rows"], block.arrays[VALUES]
            if significance is not None:
                values = significance.fill(values)
            keys = LinesAndRows(rows, block.tables["lines"]) if output.format == "vcf" else rows
            writer.write(keys, values)
