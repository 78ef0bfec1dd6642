"""Processes that decode files for this one."""

from __future__ import annotations

import json
import mmap
import os
import selectors
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import numpy as np

import danq
from danq.errors import DanqError, InputError
from danq.files.kept_processes import KeptProcesses
from danq.files.separate_reader import new_memory
from danq.vision.own_data.decoders import Description, make_decoder
from danq.vision.own_data.reading_worker import batch_arrays, batch_layout

MOST_WORKERS = 8
"""Largest number of processes, unless a number is given."""

AHEAD = 3
"""Batches that are decoded at a time."""

_LARGEST_JOB = 32
_PIECE = 1 << 16
_PACKAGE = os.path.dirname(danq.__path__[0])
"""Folder of danq, which is not on the path of Python after ``pip install --editable``."""

_CODE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from danq.vision.own_data.reading_worker import serve; serve(int(sys.argv[2]))"
)


class WorkerCrashed(DanqError):
    """A process that reads files ended without an answer."""


class _Worker:
    """One process, and the requests that it has not answered."""

    def __init__(self, descriptor: int) -> None:
        path = json.dumps([*sys.path, _PACKAGE])
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _CODE, path, str(descriptor)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=[descriptor],
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
        self.waiting: dict[int, tuple[int, str]] = {}
        self.rest = b""

    @property
    def load(self) -> int:
        """Files that it has still to read."""
        return sum(count for count, _ in self.waiting.values())

    def send(self, request: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # its end is noticed when its answers are read
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()


class ReadingWorkers:
    """Processes that decode files.

    Parameters
    ----------
    count
        Number of processes.
    """

    def __init__(self, count: int) -> None:
        self.count, self.usable = count, True
        self.folder = _current_folder()
        self._jobs = 0
        self._answers: dict[int, Any] = {}
        self._selector = selectors.DefaultSelector()
        with new_memory() as descriptor:
            self._descriptor = os.dup(descriptor)
        self._memory: mmap.mmap | None = None
        self._workers = [_Worker(self._descriptor) for _ in range(count)]
        for worker in self._workers:
            assert worker.process.stdout is not None
            self._selector.register(worker.process.stdout, selectors.EVENT_READ, worker)

    def submit(self, do: str, count: int, name: str, **request: Any) -> int:
        """Give a request to the process with the fewest files to read; return its number.

        Parameters
        ----------
        do
            A method of `danq.vision.own_data.reading_worker.Worker`.
        count
            Files that it reads.
        name
            The first of them, for an error.
        request
            Arguments of the method.
        """
        worker = min(self._workers, key=lambda one: one.load)
        return self._send(worker, do, count, name, request)

    def submit_to_all(self, do: str, **request: Any) -> list[int]:
        """Give a request to each process."""
        return [self._send(worker, do, 0, "", request) for worker in self._workers]

    def _send(
        self, worker: _Worker, do: str, count: int, name: str, request: dict[str, Any]
    ) -> int:
        self._jobs += 1
        worker.waiting[self._jobs] = (count, name)
        worker.send({"do": do, "job": self._jobs, **request})
        return self._jobs

    def result(self, job: int) -> Any:
        """Wait for the answer to a request.

        Raises
        ------
        InputError
            When a file cannot be read.
        WorkerCrashed
            When the process ended.
        """
        while job not in self._answers:
            for key, _ in self._selector.select():
                self._receive(key.data)
        answer = self._answers.pop(job)
        if "error" in answer:
            raise InputError(**answer["error"])
        if "bug" in answer:
            raise RuntimeError(f"a process that reads files failed:\n{answer['bug']}")
        return answer["answer"]

    def _receive(self, worker: _Worker) -> None:
        assert worker.process.stdout is not None
        data = os.read(worker.process.stdout.fileno(), _PIECE)
        if not data:
            raise self._crashed(worker)
        *lines, worker.rest = (worker.rest + data).split(b"\n")
        for line in lines:
            answer = json.loads(line)
            worker.waiting.pop(answer["job"])
            self._answers[answer["job"]] = answer

    def _crashed(self, worker: _Worker) -> WorkerCrashed:
        code = worker.process.wait()
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        names = [name for _, name in worker.waiting.values() if name]
        when = f"while it read {names[0]} or one of the files after it" if names else "at its start"
        return WorkerCrashed(f"a process that reads files ended ({how}) {when}")

    def memory(self, size: int) -> mmap.mmap:
        """Memory of a size that the processes share; its content is lost with each call."""
        if self._memory is None or len(self._memory) < size:
            os.ftruncate(self._descriptor, size)
            self._memory = mmap.mmap(self._descriptor, size)
        return self._memory

    def end(self) -> None:
        """End the processes."""
        if self.usable:
            self.usable = False
            for worker in self._workers:
                worker.process.kill()
            for worker in self._workers:
                worker.process.wait()
                assert worker.process.stdin is not None
                assert worker.process.stdout is not None
                with suppress(BrokenPipeError):
                    worker.process.stdin.close()
                worker.process.stdout.close()
            self._selector.close()
            os.close(self._descriptor)

    def forget(self) -> None:
        """Leave the processes to the one that started them, of which this one is a fork."""
        self.usable = False
        for worker in self._workers:
            worker.process.returncode = 0


class _Batch(NamedTuple):
    rows: np.ndarray
    offset: int
    jobs: list[int]


def decoded_batches(
    workers: ReadingWorkers,
    decoder: Description,
    sources: Sequence[Any],
    parts: Sequence[np.ndarray],
    epoch: Sequence[int] | None,
) -> Generator[dict[str, np.ndarray], None, None]:
    """Yield the decoded fields of the examples of each part, in order.

    Parameters
    ----------
    workers
        Decode up to `AHEAD` parts at a time.
    decoder, epoch
        As in `decode_row`.
    sources
        Files of all examples.
    parts
        Indices of examples.

    Raises
    ------
    InputError
        When a file cannot be read.
    """
    fields = make_decoder(decoder).fields
    rows = max(map(len, parts))
    _, size = batch_layout(fields, rows)
    memory = workers.memory(AHEAD * size)
    for job in workers.submit_to_all("start", decoder=decoder, rows=rows, size=len(memory)):
        workers.result(job)
    coming, free = iter(parts), deque(slot * size for slot in range(AHEAD))
    begun: deque[_Batch] = deque()

    def begin() -> None:
        while free and (part := next(coming, None)) is not None:
            offset, jobs = free.popleft(), []
            step = min(_LARGEST_JOB, max(1, -(-len(part) // (2 * workers.count))))
            for first in range(0, len(part), step):
                chosen = part[first : first + step].tolist()
                files = [sources[i] for i in chosen]
                values = {"offset": offset, "first": first, "rows": chosen, "sources": files}
                epochs = None if epoch is None else list(epoch)
                name = name_of(files[0])
                jobs.append(workers.submit("decode", len(chosen), name, epoch=epochs, **values))
            begun.append(_Batch(part, offset, jobs))

    begin()
    while begun:
        batch = begun.popleft()
        for job in batch.jobs:
            workers.result(job)
        arrays = batch_arrays(memory, batch.offset, fields, rows)
        found = {name: array[: len(batch.rows)].copy() for name, array in arrays.items()}
        del arrays
        free.append(batch.offset)
        begin()
        yield found


def name_of(source: Any) -> str:
    """Path of the file of an example."""
    return source if isinstance(source, str) else source["path"]


def worker_count(given: int | None) -> int:
    """Number of processes: as given, or one per core and at most `MOST_WORKERS`."""
    if given is not None:
        return given
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not available on this system
        cores = os.cpu_count() or 1
    return min(MOST_WORKERS, cores)


_kept = KeptProcesses[ReadingWorkers]()


def _current_folder() -> str:
    """The folder that paths of files may be relative to; empty if it was removed."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""


@contextmanager
def borrowed_workers(count: int) -> Iterator[ReadingWorkers]:
    """Processes for one stream of files; they are kept for the next one afterwards.

    After an error, or when the stream is left before its end, they end: some of them may still be
    at work.
    """
    with _kept.guard:
        here, idle = _current_folder(), _kept.idle
        found = next((one for one in idle if (one.count, one.folder) == (count, here)), None)
        while idle:
            other = idle.pop()
            if other is not found:
                _kept.end(other)
        workers = found or _kept.add(ReadingWorkers(count))
    try:
        yield workers
    except BaseException:
        with _kept.guard:
            _kept.end(workers)
        raise
    with _kept.guard:
        if _kept.idle:
            _kept.end(workers)
        else:
            _kept.idle.append(workers)


def end_workers() -> None:
    """End all processes that read files."""
    _kept.end_all()
