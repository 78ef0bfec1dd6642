"""Processes that decode files for this one."""

from __future__ import annotations

import json
import logging
import mmap
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import danq
from danq.errors import DanqError, InputError
from danq.files.kept_processes import KeptProcesses
from danq.files.separate_reader import new_memory
from danq.vision.own_data.reading_requests import (
    Request,
    file_count,
    joined_answers,
    name_of_request,
    single_requests,
)
from danq.vision.own_data.reading_worker import error_values

MOST_WORKERS = 8
"""Largest number of processes, unless a number is given."""

_PIECE = 1 << 16
_PACKAGE = os.path.dirname(danq.__path__[0])
"""Folder of danq, which is not on the path of Python after ``pip install --editable``."""

_CODE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from danq.vision.own_data.reading_worker import serve; serve(int(sys.argv[2]))"
)


log = logging.getLogger("danq")


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
        self.waiting: dict[int, Request] = {}
        self.rest = b""

    @property
    def load(self) -> int:
        """Files that it has still to read."""
        return sum(map(file_count, self.waiting.values()))

    def answers(self) -> list[dict[str, Any]] | None:
        """Wait for answers; None when the process has ended."""
        assert self.process.stdout is not None
        data = os.read(self.process.stdout.fileno(), _PIECE)
        *lines, self.rest = (self.rest + data).split(b"\n")
        return [json.loads(line) for line in lines] if data else None

    def close(self) -> str:
        """End the process; return how it ended."""
        self.process.kill()
        code = self.process.wait()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    def send(self, job: int, request: Request) -> None:
        """Give it a request; ``do`` is a method of the `Worker` in the process."""
        self.waiting[job] = request
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # its end is noticed when its answers are read
            self.process.stdin.write(json.dumps({**request, "job": job}).encode() + b"\n")
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
        self._start: Request | None = None
        self._workers = [self._new_worker() for _ in range(count)]

    def _new_worker(self) -> _Worker:
        worker = _Worker(self._descriptor)
        assert worker.process.stdout is not None
        self._selector.register(worker.process.stdout, selectors.EVENT_READ, worker)
        return worker

    def submit(self, do: str, **arguments: Any) -> int:
        """Give a request to the process with the fewest files to read; return its number.

        Parameters
        ----------
        do
            A method of `danq.vision.own_data.reading_worker.Worker`.
        arguments
            Those of the method.
        """
        worker = min(self._workers, key=lambda one: one.load)
        return self._send(worker, {"do": do, **arguments})

    def start(self, **arguments: Any) -> None:
        """Prepare all processes to decode files, as the `Worker` in them describes it."""
        self._start = {"do": "start", **arguments}
        for job in [self._send(worker, self._start) for worker in self._workers]:
            self.result(job)

    def _send(self, worker: _Worker, request: Request) -> int:
        self._jobs += 1
        worker.send(self._jobs, request)
        return self._jobs

    def result(self, job: int) -> Any:
        """Wait for the answer to a request.

        Raises
        ------
        InputError
            When a file cannot be read.
        WorkerCrashed
            When a process ends at its start.
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
        answers = worker.answers()
        if answers is None:
            self._replace(worker)
            return
        for answer in answers:
            worker.waiting.pop(answer["job"])
            self._answers[answer["job"]] = answer

    def _replace(self, ended: _Worker) -> None:
        """Start a process in place of one that ended, and find the file that ended it."""
        worker, how = self._restarted(ended)
        waiting = list(ended.waiting.items())
        if waiting:
            (job, request), *rest = waiting
            log.warning(
                "a process that reads files ended (%s) while it read %s or one of the files after "
                "it; they are read again",
                how,
                name_of_request(request),
            )
            # It answers in order: it ended with one of the files of the first request.
            answers = []
            for single in single_requests(request):
                worker, answer = self._alone(worker, single)
                answers.append(answer)
            self._answers[job] = joined_answers(request, answers)
            for job, request in rest:
                worker.send(job, request)

    def _restarted(self, ended: _Worker) -> tuple[_Worker, str]:
        """A process in place of one that ended, and how that one ended.

        Raises
        ------
        WorkerCrashed
            When it ended at its start.
        """
        self._selector.unregister(ended.process.stdout)  # type: ignore[arg-type]
        how = ended.close()
        if any(request["do"] == "start" for request in ended.waiting.values()):
            raise WorkerCrashed(f"a process that reads files ended ({how}) at its start")
        worker = self._new_worker()
        self._workers[self._workers.index(ended)] = worker
        if self._start is not None:
            self._wait(worker, self._start)
        return worker, how

    def _alone(self, worker: _Worker, request: Request) -> tuple[_Worker, dict[str, Any]]:
        """Answer to a request for one file; and the process, or another one if it ended."""
        answer = self._wait(worker, request)
        if answer is not None:
            return worker, answer
        worker.waiting.clear()
        worker, how = self._restarted(worker)
        error = InputError(
            f"ends the process that reads it ({how})",
            file=name_of_request(request),
            remedy="Convert or remove it; SIGKILL can also mean that memory is exhausted",
        )
        return worker, {"error": error_values(error)}

    def _wait(self, worker: _Worker, request: Request) -> dict[str, Any] | None:
        """Answer of a process without other requests; None when it ends."""
        job = self._send(worker, request)
        while (answers := worker.answers()) == []:
            pass
        if answers is None:
            return None
        del worker.waiting[job]
        return answers[0]

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
                worker.close()
            self._selector.close()
            os.close(self._descriptor)

    def forget(self) -> None:
        """Leave the processes to the one that started them, of which this one is a fork."""
        self.usable = False
        for worker in self._workers:
            worker.process.returncode = 0


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
