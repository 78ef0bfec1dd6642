"""Drop messages of inputs that are read more than once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silence() -> Iterator[None]:
    """Drop the messages that this thread logs meanwhile."""
    log, thread = logging.getLogger("danq"), threading.get_ident()

    def other(record: logging.LogRecord) -> bool:
        return record.thread != thread

    log.addFilter(other)
    try:
        yield
    finally:
        log.removeFilter(other)
