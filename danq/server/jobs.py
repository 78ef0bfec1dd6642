"""Jobs: a bounded queue, one thread that runs them, progress, cancelling, limits of time.

Short jobs run between two batches of a longer one, in the same thread: models are never used by two
threads at once.
"""

from __future__ import annotations

import logging
import math
import secrets
import sys
import threading
import time
import traceback
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal

from danq.errors import DanqError, InputError
from danq.server.messages import Messages
from danq.server.settings import ServerSettings

State = Literal["waiting", "running", "done", "failed", "cancelled"]
ENDED = ("done", "failed", "cancelled")

MAX_NOTICES = 50

log = logging.getLogger("danq")


class Cancelled(Exception):
    """A job ended because its user cancelled it or the server stops."""


class QueueFull(Exception):
    """As many jobs wait as are allowed.

    Attributes
    ----------
    seconds
        After how many seconds a request is likely to be accepted.
    """

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        super().__init__(f"{seconds} s")


@dataclass(eq=False)
class Job:
    """A task with its progress and answer.

    Attributes
    ----------
    task
        Name of what is computed.
    work
        Computes the answer; calls its argument, `Job.progress`. None once it ended.
    discard
        Removes what the job left outside, such as its uploaded file.
    seconds
        Limit of its running time.
    short
        Whether it takes about a batch, and need not wait until longer jobs have ended.
    id
        Name that cannot be guessed.
    state, done, total
        Progress; the total is None while it is unknown.
    notices
        Messages of the library for its user.
    error
        Why it failed.
    answer
        Its answer, when it is done.
    size
        Values of the answer.
    give_way
        Called at each progress: runs other jobs.
    """

    task: str
    work: Callable[[Job], Any] | None
    discard: Callable[[], None]
    seconds: float
    short: bool = False
    id: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    state: State = "waiting"
    done: int = 0
    total: int | None = None
    notices: list[str] = field(default_factory=list)
    error: str | None = None
    answer: Any = None
    size: int = 0
    created: float = field(default_factory=time.monotonic)
    started: float = math.inf
    ended: float = math.inf
    give_way: Callable[[], None] | None = None
    _stop: threading.Event = field(default_factory=threading.Event)

    def progress(self, done: int, total: int | None) -> None:
        """Note how much is done; end the job if it was cancelled or ran too long.

        Raises
        ------
        Cancelled
            When it was cancelled.
        InputError
            When it ran longer than allowed.
        """
        self.done, self.total = done, total
        if self._stop.is_set():
            raise Cancelled
        if time.monotonic() - self.started > self.seconds:
            raise InputError(
                f"the job ran longer than {self.seconds:g} seconds",
                remedy="Give less, or use the command line",
            )
        if self.give_way is not None:
            paused = time.monotonic()
            self.give_way()
            self.started += time.monotonic() - paused

    def cancel(self) -> None:
        """Ask the job to end, at its next progress."""
        self._stop.set()

    @property
    def is_ended(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state in ENDED

    def take(self, state: State, error: str | None = None) -> None:
        """Enter the last state, and forget the input."""
        self.work, self.give_way = None, None
        self.error, self.ended = error, time.monotonic()
        self.discard()
        self.state = state


class JobQueue:
    """Runs one job after the other in its own thread, in the order in which they came.

    While a longer job runs, the short jobs that wait at its progress run first. Those that come
    meanwhile run at its next progress, so that it goes on however many there are.

    Parameters
    ----------
    settings
        Limits.
    messages
        Makes texts for users.
    """

    def __init__(self, settings: ServerSettings, messages: Messages) -> None:
        self._settings, self.messages = settings, messages
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._waiting: deque[Job] = deque()
        self._changed = threading.Condition()
        self._running: Job | None = None
        self._stopped = False
        self._recent: deque[float] = deque([1.0], maxlen=20)
        self._thread = threading.Thread(target=self._run, name="danq-jobs", daemon=True)
        self._notices, self._level = _NoticesOfJobs(messages), log.level

    def start(self) -> None:
        """Start the thread. Messages of the library during a job go to its user only."""
        log.addFilter(self._notices)
        self._level = log.level
        log.setLevel(logging.INFO)
        self._thread.start()

    def stop(self) -> None:
        """Cancel all jobs, and wait until the thread has ended."""
        with self._changed:
            self._stopped = True
            for job in self._jobs.values():
                job.cancel()
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout=60)
        for job in self._jobs.values():
            if not job.is_ended:
                job.take("cancelled")
        log.removeFilter(self._notices)
        log.setLevel(self._level)

    def submit(self, job: Job) -> None:
        """Put a job at the end of the queue.

        Raises
        ------
        QueueFull
            When too many jobs wait.
        """
        with self._changed:
            self._forget_old()
            if len(self._waiting) >= self._settings.max_waiting or self._stopped:
                mean = sum(self._recent) / len(self._recent)
                raise QueueFull(min(60, max(1, math.ceil(mean))))
            self._jobs[job.id] = job
            self._waiting.append(job)
            self._changed.notify_all()

    def find(self, id: str) -> Job | None:
        """The job with an ID, unless it is forgotten."""
        with self._changed:
            self._forget_old()
            return self._jobs.get(id)

    def ahead(self, job: Job) -> int:
        """How many jobs end before a waiting one starts, as far as is known."""
        with self._changed:
            if job not in self._waiting:
                return 0
            before = [*filter(None, [self._running]), *self._waiting]
            before = before[: before.index(job)]
            return sum(one.short or not job.short for one in before)

    def remove(self, job: Job) -> None:
        """Cancel a job, or forget one that ended."""
        with self._changed:
            job.cancel()
            if job in self._waiting:
                self._waiting.remove(job)
                job.take("cancelled")
            elif job.is_ended:
                self._jobs.pop(job.id, None)

    def _forget_old(self) -> None:
        ended = [one for one in self._jobs.values() if one.is_ended]
        limit = time.monotonic() - self._settings.keep_seconds
        size = 0
        for number, job in enumerate(sorted(ended, key=lambda one: -one.ended)):
            size += job.size
            too_much = number > 0 and size > self._settings.max_kept_values
            if number >= self._settings.max_kept or too_much or job.ended < limit:
                del self._jobs[job.id]

    def _run(self) -> None:
        while (job := self._next()) is not None:
            self._complete(job)

    def _next(self) -> Job | None:
        with self._changed:
            while not self._waiting and not self._stopped:
                self._changed.wait()
            return None if self._stopped else self._waiting.popleft()

    def _run_short(self) -> None:
        """Run the short jobs that wait now."""
        with self._changed:
            count = sum(one.short for one in self._waiting)
        for _ in range(count):
            with self._changed:
                job = next((one for one in self._waiting if one.short), None)
                if job is None or self._stopped:
                    return
                self._waiting.remove(job)
            self._complete(job)

    def _complete(self, job: Job) -> None:
        with self._changed:
            outer, self._running = self._running, job
            job.started, job.state = time.monotonic(), "running"
        if not job.short:
            job.give_way = self._run_short
        before = _receiver.set(job.notices)
        try:
            self._compute(job)
        finally:
            _receiver.reset(before)
        with self._changed:
            self._running = outer
            self._recent.append(job.ended - job.started)

    def _compute(self, job: Job) -> None:
        assert job.work is not None
        try:
            job.answer = job.work(job)
        except Cancelled:
            job.take("cancelled")
        except (DanqError, OSError, MemoryError) as error:
            job.take("failed", self.messages.of_error(error))
        except Exception as error:
            log_place(error)
            job.take("failed", self.messages.of_error(error))
        else:
            job.take("done")


_receiver: ContextVar[list[str] | None] = ContextVar("receiver", default=None)
"""Notices of the job that is computed, or of the request that is read."""


@contextmanager
def notices_of_request() -> Iterator[list[str]]:
    """The messages of the library while this thread reads a request, instead of on stderr."""
    notices: list[str] = []
    before = _receiver.set(notices)
    try:
        yield notices
    finally:
        _receiver.reset(before)


class _NoticesOfJobs(logging.Filter):
    """Keeps messages of the library for the user of a job: they may have parts of sequences."""

    def __init__(self, messages: Messages) -> None:
        super().__init__()
        self.messages = messages

    def filter(self, record: logging.LogRecord) -> bool:
        notices = _receiver.get()
        if notices is None:
            return True
        text = self.messages.clean(record.getMessage())
        if len(notices) < MAX_NOTICES and text not in notices:
            notices.append(text)
        return False


def log_place(error: BaseException) -> None:
    """Write the type and the place of an unexpected error to stderr; its text may have input."""
    frames = traceback.extract_tb(error.__traceback__)
    places = "".join(f"  {one.filename}:{one.lineno} in {one.name}\n" for one in frames)
    print(f"danq: unexpected {type(error).__name__}\n{places}", end="", file=sys.stderr)
