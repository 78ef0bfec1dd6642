"""Write the output of a variant run, or of its shards, from completed blocks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from danq.inference.blocks import Blocks
from danq.inference.variants.run import VALUES
from danq.inference.variants.significance import Significance
from danq.inference.writers.open_output import Output
from danq.inference.writers.variant_layout import VariantLayout, VcfHeader
from danq.inference.writers.variant_vcf import LinesAndRows

log = logging.getLogger("danq")


def assemble(
    blocks: Blocks,
    output: Output,
    layout: VariantLayout,
    *,
    head: VcfHeader | None,
    total: int,
    overwrite: bool,
    each: Callable[[int], None] = lambda _: None,
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
    each
        Called with the number of blocks that are written.

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
        for number in blocks.numbers:
            significance.count(blocks.arrays(number)[VALUES])
    with output.open(layout, overwrite=overwrite) as writer:
        for done, block in enumerate(blocks, start=1):
            rows, values = block.tables["rows"], block.arrays[VALUES]
            if significance is not None:
                values = significance.fill(values)
            keys = LinesAndRows(rows, block.tables["lines"]) if output.format == "vcf" else rows
            writer.write(keys, values)
            each(done)
