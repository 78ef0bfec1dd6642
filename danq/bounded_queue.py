"""Read and write in separate threads, while the calling thread computes.

    with read_ahead(blocks) as ready, write_behind(writer.write) as write:
        for block in ready:
            write(block, compute(block))

Both use a `BoundedQueue`: a thread stops when it is a few items ahead, so memory stays bounded.
Items keep their order. The threads have the context variables of the calling thread, but their
progress is not watched. An error in a thread is raised in the calling thread, at the latest when
the block is left. Any error there, also Ctrl-C, ends the threads before; an error of a thread is
then noted on it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from danq.progress import watch_progress

T = TypeVar("T")

DEPTH = 2
"""Items that a thread may be ahead or behind."""


class _End:
    """The last item of a queue, with the error that ended it."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class BoundedQueue(Generic[T]):
    """Items from one thread to another, at most ``depth`` at a time.

    It waits in two queues of the C library, one of items and one of free places. An interrupt
    therefore cannot leave a lock behind, as it can in `queue.Queue`.

    Parameters
    ----------
    depth
        Maximum number of items.
    """

    def __init__(self, depth: int) -> None:
        self._items: SimpleQueue[T | _End] = SimpleQueue()
        self._free: SimpleQueue[None] = SimpleQueue()
        self._stopped = False
        for _ in range(depth):
            self._free.put(None)

    def put(self, item: T) -> bool:
        """Add an item, after waiting for a free place; False once the queue is stopped."""
        if not self._stopped:
            self._free.get()
        if self._stopped:
            return False
        self._items.put(item)
        return True

    def end(self, error: BaseException | None = None) -> None:
        """Mark the end; the reader raises ``error`` after the items before it."""
        self._items.put(_End(error))

    def stop(self) -> None:
        """Drop the items; threads that wait for the queue return."""
        self._stopped = True
        self._free.put(None)
        self._items.put(_End())

    def __iter__(self) -> Iterator[T]:
        while True:
            item = self._items.get()
            if self._stopped:
                return
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            self._free.put(None)
            yield item


@contextmanager
def read_ahead(items: Iterable[T], depth: int = DEPTH) -> Iterator[Iterator[T]]:
    """Run an iterator in a thread that stays up to ``depth`` items ahead.

    Parameters
    ----------
    items
        Iterated, and a generator closed, in the thread, which has ended when the block is left.
    depth
        Maximum number of items that wait.

    Yields
    ------
    Iterator
        The items, in order; it raises the error that ended ``items``. If the block is left before,
        the end of the block raises it, also one of the items ahead or of closing a generator.
    """
    queue: BoundedQueue[T] = BoundedQueue(depth)
    failed: list[BaseException] = []

    def work() -> None:
        try:
            try:
                for item in items:
                    if not queue.put(item):
                        break
            finally:
                close: Callable[[], None] | None = getattr(items, "close", None)
                if close is not None:
                    close()
        except BaseException as error:
            failed.append(error)
            queue.end(error)
        else:
            queue.end()

    with _thread(work, "reading", queue, failed):
        yield iter(queue)


@contextmanager
def write_behind(write: Callable[..., None], depth: int = DEPTH) -> Iterator[Callable[..., None]]:
    """Call a function in a thread that stays up to ``depth`` calls behind.

    Parameters
    ----------
    write
        Called with the arguments of each call, in order, by one thread.
    depth
        Maximum number of calls that wait.

    Yields
    ------
    Callable
        Takes the arguments of ``write`` and returns at once, or when one of the waiting calls has
        begun; it raises the error of an earlier call. At the end of the block all calls have
        returned. After an error, waiting calls are dropped.
    """
    queue: BoundedQueue[tuple] = BoundedQueue(depth)
    failed: list[BaseException] = []

    def work() -> None:
        try:
            for arguments in queue:
                write(*arguments)
        except BaseException as error:
            failed.append(error)
            queue.stop()

    def call(*arguments: object) -> None:
        if not queue.put(arguments):
            raise failed[0]

    with _thread(work, "writing", queue, failed) as thread:
        yield call
        queue.end()
        thread.join()


@contextmanager
def _thread(
    work: Callable[[], None],
    doing: str,
    queue: BoundedQueue[Any],
    failed: Sequence[BaseException],
) -> Iterator[threading.Thread]:
    """Run a thread, stop its queue and wait for it at the end, and raise or note its error."""

    def run() -> None:
        with watch_progress(None):
            work()

    context = copy_context()
    thread = threading.Thread(target=context.run, args=[run], name=f"danq-{doing}", daemon=True)
    try:
        try:
            thread.start()
            yield thread
        finally:
            queue.stop()
            if thread.ident is not None:
                thread.join()
    except GeneratorExit:
        # The end of a generator, which hides its notes.
        if failed:
            raise failed[0] from None
        raise
    except BaseException as error:
        if failed and error is not failed[0]:
            error.add_note(f"Another error while {doing}: {failed[0]!r}")
        raise
    if failed:
        raise failed[0]
