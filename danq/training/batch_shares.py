"""What each of several processes computes of a batch."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import Any, NamedTuple

from danq.training.problem import SharedStream, Stream


class Share(NamedTuple):
    """The share of a batch that one process computes.

    Attributes
    ----------
    size
        Number of examples of the batch.
    own
        The examples of this process.
    batch
        The whole batch; None if only the share was made.
    """

    size: int
    own: tuple[Any, ...]
    batch: tuple[Any, ...] | None


def share_of(size: int, rank: int, world: int) -> slice:
    """Examples that a process computes: all if a batch is too small to give one to each."""
    return slice(None) if size < world else slice(rank, None, world)


def own_shares(
    stream: Stream, epoch: int, start_batch: int, rank: int, world: int
) -> Generator[Share, None, None]:
    """Yield the share of each batch of an epoch; whole batches only where they have to be made."""
    if isinstance(stream, SharedStream):
        with closing(stream.shares(epoch, start_batch, rank, world)) as shares:
            for size, own in shares:
                yield Share(size, own, own if len(own[0]) == size else None)
        return
    with closing(stream.epoch(epoch, start_batch=start_batch)) as batches:
        for batch in batches:
            size = len(batch[0])
            own = tuple(part[share_of(size, rank, world)] for part in batch)
            yield Share(size, own, batch)
