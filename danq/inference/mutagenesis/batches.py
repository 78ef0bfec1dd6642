"""Bases to mutate in batches, which are scored together, and in blocks, which a shard stores.

Both depend only on the sizes of the sequences and on settings. A batch does not depend on which
other batches are scored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from danq.inference.mutagenesis.targets import Span, Target, target_spans

BLOCK_VALUES = 1 << 22
"""Values at which a block is complete: 16 MB."""

BLOCK_BASES = 1 << 14
"""Bases at which a block is complete, if it has few tracks."""

Batch = list[Span]


def batches(
    targets: Iterable[Target], window: int, step: int, substitutions: int
) -> Iterator[Batch]:
    """Batches of at least a number of substitutions; the last may have fewer.

    Parameters
    ----------
    targets
        Sequences to mutate.
    window, step
        As for `danq.inference.mutagenesis.targets.target_spans`.
    substitutions
        Substitutions of a batch.
    """
    held: Batch = []
    count = 0
    for target in targets:
        for span in target_spans(target, window, step):
            held.append(span)
            count += 3 * span.bases
            if count >= substitutions:
                yield held
                held, count = [], 0
    if held:
        yield held


def blocks(each: Iterable[Batch], columns: int) -> Iterator[list[Batch]]:
    """Join batches into blocks.

    Parameters
    ----------
    each
        Batches.
    columns
        Values per substitution.
    """
    held: list[Batch] = []
    count = 0
    for batch in each:
        held.append(batch)
        count += bases_of([batch])
        if count >= BLOCK_BASES or 4 * count * columns >= BLOCK_VALUES:
            yield held
            held, count = [], 0
    if held:
        yield held


def bases_of(each: Iterable[Batch]) -> int:
    """Bases to mutate in some batches."""
    return sum(span.bases for batch in each for span in batch)
