"""Blocks: the parts of a run of inference, stored until the output is written.

A run is a sequence of blocks 0, 1, 2, ... The content and the bytes of a block depend only on the
input, the settings and the block's number. They do not depend on earlier blocks, on the number of
shards, or on where a run was interrupted. A block (`FinishedBlock`) holds named tables, named
arrays and counts. A name is lower-case letters and ``_``.

How a run uses blocks::

    with FinishedBlocks(out, provenance, kind="predictions", shard=shard, resume=resume) as blocks:
        if blocks.completed is None:
            # blocks.next is the number of the first block that is not stored.
            for number in the blocks of the run:
                if number < blocks.next or not blocks.part.owns(number):
                    continue
                blocks.add(FinishedBlock(tables, arrays, counts))
            if shard is not None:
                blocks.complete({"layout": ..., "total": ...})
        if shard is None:
            write the output from blocks
            blocks.remove()

- `Shard` is one of n parts of a run: the blocks with ``number % n == index - 1``.
  ``Shard.parse("2/4")`` reads it, ``shard.owns(number)`` selects. ``blocks.part`` is the shard, or
  all blocks (1/1) without one.
- The folder is ``<out>.unfinished``, or ``<out>.shard-2-of-4`` (`folder_of`). `check_unfinished`
  checks it before any work; its errors are those of `FinishedBlocks`.
- `FinishedBlocks` locks the folder and verifies what it holds. ``blocks.numbers`` and
  ``blocks.counts`` are those of the stored blocks. Iterating gives the blocks in order;
  ``blocks.tables(number)`` and ``blocks.arrays(number)`` read one. ``blocks.add`` writes block
  ``blocks.next`` in the background.
- Blocks of other shards are not added. A run calls ``add`` once for each block of its shard, in
  order, also for a block without rows. A run without any block completes, too.
- ``blocks.complete(content)`` writes the last line of a shard's journal: JSON with what the merge
  needs in addition to the blocks. ``blocks.completed`` is this content, in a resumed run also: then
  nothing remains to be done. All shards of a run must store the same content. What differs between
  shards, such as numbers of rows, belongs into the counts of blocks.
- A merge opens the same output with the same writer, and passes it the blocks of all shards in
  order. What writes an output therefore takes a `Blocks`, which has ``numbers``, ``counts``,
  ``tables``, ``arrays`` and iteration, and no `FinishedBlocks`.
- `danq.inference.blocks.stored_layout` makes entries of this content from a layout and a format,
  and the layout and the output from them. A kind of run has a function
  ``merge(blocks: MergedBlocks, *, overwrite)`` in the table of
  `danq.inference.merge_shards`. It restores the output within ``blocks.readable_content()``, checks
  it, writes it, and returns a summary.
- ``provenance`` contains everything that the bytes of a block depend on, also the format and the
  size of a block, and nothing of the shard.
"""

from danq.inference.blocks.finished_blocks import FinishedBlocks as FinishedBlocks
from danq.inference.blocks.folder import check_unfinished as check_unfinished
from danq.inference.blocks.folder import folder_of as folder_of
from danq.inference.blocks.shard import Shard as Shard
from danq.inference.blocks.stored_blocks import Blocks as Blocks
from danq.inference.blocks.stored_blocks import FinishedBlock as FinishedBlock
