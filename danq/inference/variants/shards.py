"""Score a shard of a variant run, and merge the shards into the output."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from pathlib import Path

from danq.errors import InputError
from danq.inference.blocks import FinishedBlocks, Shard, check_unfinished
from danq.inference.blocks.merged_blocks import MergedBlocks
from danq.inference.blocks.stored_layout import restored_output, stored_layout
from danq.inference.variants.assemble import assemble
from danq.inference.variants.finished_output import FinishedOutput
from danq.inference.variants.run import VariantRun
from danq.inference.variants.run_summary import (
    VariantSummary,
    rejects_file,
    rejects_of,
    write_rejects,
)
from danq.inference.variants.run_warnings import warn, warn_without_rows
from danq.inference.variants.variant_tally import count_blocks
from danq.inference.writers.open_output import Output
from danq.inference.writers.variant_layout import VariantLayout
from danq.output import check_distinct, check_files, recover_files

log = logging.getLogger("danq")


def check_shard(output: Output, shard: Shard, exists: bool) -> None:
    """Check that a shard, and later the output, can be written.

    Parameters
    ----------
    output
        The output of all shards. It may exist, because the merge decides whether it is replaced.
    shard
        The shard.
    exists
        Whether the shard may exist, because it is continued or discarded.

    Raises
    ------
    InputError
        As `danq.inference.blocks.check_unfinished`; when the output cannot be written.
    """
    check_distinct([*output.files, rejects_of(output.path)])
    output.check(overwrite=True)
    check_files([rejects_file(output.path)], overwrite=True)
    check_unfinished(output.path, exists, shard)


def write_shard(
    run: VariantRun,
    output: Output,
    shard: Shard,
    resume: bool,
    overwrite: bool,
) -> VariantSummary:
    """Score the variants of a shard, and store what the merge needs.

    Raises
    ------
    InputError
        As `danq.write_variant_scores`.
    """
    layout = run.scorer.layout
    output.check(layout, overwrite=True)
    seconds = {"score": 0.0, "write": 0.0}
    with FinishedBlocks(
        output.path,
        run.provenance,
        kind=run.kind,
        shard=shard,
        resume=resume,
        overwrite=overwrite,
    ) as blocks:
        if blocks.completed is not None:
            log.info("%s: is complete, nothing remains to be done", blocks.folder)
            tally, _ = count_blocks(blocks)
        else:
            tally, head = run.score(blocks, seconds)
            # Contigs are those of all shards.
            kept = head._replace(contigs=()) if output.format == "vcf" else None
            blocks.complete(
                {
                    **stored_layout(replace(layout, vcf_header=kept), output.format),
                    "check_assembly": run.input.variants.check_assembly,
                }
            )
        return VariantSummary(blocks.folder, blocks.folder, tally, layout.columns, seconds, shard)


def merge_variants(blocks: MergedBlocks, *, overwrite: bool) -> VariantSummary:
    """Write the output of a variant run from the blocks of all shards.

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
    begun = time.perf_counter()
    out, content = blocks.out, blocks.content
    with blocks.readable_content():
        layout, output = restored_output(VariantLayout, content, out)
        name = layout.provenance["variants"]
        check_assembly = bool(content["check_assembly"])
    recover_files([one.path for one in output.writer.outputs(out)])
    if not overwrite and not rejects_of(out).exists():
        for file in filter(Path.exists, output.files):
            raise InputError(
                f"exists already, without {rejects_of(out)}, as after a merge that was killed",
                file=file,
                remedy="Allow overwriting (overwrite), or choose another name for another file",
            )
    output.check(layout, overwrite=overwrite)
    check_files([rejects_file(out)], overwrite)
    tally, contigs = count_blocks(blocks)
    warn_without_rows(tally, name)
    warn(tally, name, check_assembly)
    head = layout.vcf_header
    assemble(
        blocks,
        output,
        layout,
        head=head and head._replace(contigs=tuple(contigs)),
        total=tally.rows,
        overwrite=overwrite,
        verb="merging",
    )
    note = FinishedOutput.of(blocks.checksum, tally.to_counts(), out, output.files)
    write_rejects(blocks, out, layout, note, tally, overwrite=overwrite)
    seconds = {"write": time.perf_counter() - begun}
    return VariantSummary(out, rejects_of(out), tally, layout.columns, seconds)
