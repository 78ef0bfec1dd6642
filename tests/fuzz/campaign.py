"""Give damaged files to every reader: no crash, no traceback, no hang, no waste of memory.

``python -m tests.fuzz.campaign --cases 100000`` gives that many files to each reader.
``python -m tests.reliability`` writes the counts into docs/reliability.md.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from danq.errors import InputError
from tests.forked import in_process
from tests.fuzz.mutations import mutate
from tests.fuzz.targets import TARGETS, Target, make_seeds

LIMIT = 10.0
"""Seconds of computing that one file may take."""

LONGEST_WAIT = 60.0
"""Seconds that one file may take, also if other programs leave no time to compute."""

MOST_MEMORY = 1 << 30
"""Bytes by which the process may grow."""

BATCH = 500
"""Files per process."""

READ, REFUSED = "read", "refused"


@dataclass
class Counts:
    """Outcomes of a reader, and each kind of failure with the file that caused it."""

    outcomes: Counter[str] = field(default_factory=Counter)
    failures: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Stream:
    """Damaged files for a reader, numbered; the same for the same seed."""

    target: Target
    seeds: Sequence[bytes]
    seed: int = 0

    def file(self, case: int) -> bytes:
        """The damaged file with a number."""
        rng = random.Random(f"{self.seed} {case}")
        return damaged(self.target, rng.choice(self.seeds), rng)


def damaged(target: Target, data: bytes, rng: random.Random) -> bytes:
    """A damaged copy of a valid file."""
    if target.reseal is not None and rng.random() < 0.7:
        return target.reseal(data, lambda part: mutate(part, rng))
    return mutate(data, rng)


def attempt(target: Target, path: Path) -> str:
    """Read a file once; the outcome."""
    try:
        target.read(path)
    except InputError as error:
        text = str(error)
        if not text.isprintable() and "\n" in text.strip():
            return "message of several lines"
        return REFUSED if path.name in text else f"unnamed: {text[:120]}"
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        where = error.__traceback__
        while where is not None and where.tb_next is not None:
            where = where.tb_next
        line = f"{where.tb_frame.f_code.co_filename}:{where.tb_lineno}" if where else ""
        return f"traceback: {type(error).__name__}: {str(error)[:100]} ({line})"
    return READ


def _work(stream: Stream, cases: range, folder: Path, pipe: int) -> None:
    """Read files one after the other, and report each outcome, in a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    quiet = os.open(os.devnull, os.O_RDWR)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    os.environ["DANQ_CACHE"] = str(folder / "cache")
    start = _peak()
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, 1 << 30))
    path = folder / f"damaged{stream.target.suffix}"
    for case in cases:
        path.write_bytes(stream.file(case))
        os.write(pipe, json.dumps([case, None]).encode() + b"\n")
        outcome = attempt(stream.target, path)
        grown = _peak() - start
        if grown > MOST_MEMORY:
            outcome = f"memory: {outcome}"
        os.write(pipe, json.dumps([case, outcome]).encode() + b"\n")
        if grown > MOST_MEMORY:
            break
    gc.collect()
    os._exit(0)


def _peak() -> int:
    """Largest number of bytes of memory of this process and of the processes that it started."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    for number in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        with suppress(OSError):
            lines = Path(f"/proc/{number}/status").read_text().splitlines()
            peak += sum(int(one.split()[1]) * 1024 for one in lines if one.startswith("VmHWM"))
    return peak


def _computed(number: int) -> float:
    """Seconds that a process and the processes that it started have computed."""
    ticks = 0
    with suppress(OSError):
        children = Path(f"/proc/{number}/task/{number}/children").read_text().split()
        for one in (number, *children):
            # After the name, which may contain spaces: fields 14 to 17 of the line.
            parts = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, parts[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def fuzz(stream: Stream, cases: int, note: Callable[[Counts], None] = lambda _: None) -> Counts:
    """Give a number of damaged files to a reader; ``note`` gets the counts of each batch."""
    counts = Counts()
    first = 0
    with tempfile.TemporaryDirectory() as name:
        while first < cases:
            batch = range(first, min(first + BATCH, cases))
            first = _batch(stream, batch, Path(name), counts)
            shutil.rmtree(Path(name) / "cache", ignore_errors=True)
            note(counts)
    return counts


def _batch(stream: Stream, cases: range, folder: Path, counts: Counts) -> int:
    """Run some cases in a process; the number of the next case."""
    reader, writer = os.pipe()
    number = os.fork()
    if not number:
        try:
            os.close(reader)
            _work(stream, cases, folder, writer)
        finally:
            os._exit(70)
    os.close(writer)
    buffer, current, done = b"", cases.start, cases.start
    failure, since, computed = None, time.monotonic(), 0.0
    while True:
        if not select.select([reader], [], [], 1.0)[0]:
            waited = time.monotonic() - since
            if waited > LONGEST_WAIT or (waited > LIMIT and _computed(number) - computed > LIMIT):
                failure = "hang"
                break
            continue
        since, computed = time.monotonic(), _computed(number)
        part = os.read(reader, 1 << 16)
        if not part:
            break
        buffer += part
        *lines, buffer = buffer.split(b"\n")
        for line in lines:
            current, outcome = json.loads(line)
            if outcome is not None:
                done = current + 1
                _note(counts, stream, current, outcome)
    os.close(reader)
    if failure:
        os.kill(number, signal.SIGKILL)
    _, status = os.waitpid(number, 0)
    code = os.waitstatus_to_exitcode(status)
    if failure is None and code != 0:
        failure = f"crash: exit code {code}"
    if failure is not None:
        _note(counts, stream, current, failure)
        done = current + 1
    return done


def _note(counts: Counts, stream: Stream, case: int, outcome: str) -> None:
    counts.outcomes[outcome.partition(":")[0]] += 1
    if outcome not in (READ, REFUSED) and len(counts.failures) < 50:
        counts.failures.setdefault(outcome, stream.file(case))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a campaign and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000, help="files per reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", help="names of readers")
    parser.add_argument("--keep", type=Path, help="folder for the files that failed")
    parser.add_argument("--json", type=Path, help="file for the counts")
    options = parser.parse_args(arguments)
    results, failed = {}, 0
    seeds = in_process(make_seeds)
    for name, target in TARGETS.items():
        if options.only and name not in options.only:
            continue
        begun = time.monotonic()

        def note(counts: Counts, name: str = name) -> None:
            results[name] = dict(counts.outcomes)
            if options.json:
                options.json.write_text(json.dumps(results, indent=1))

        counts = fuzz(Stream(target, seeds[name], options.seed), options.cases, note)
        seconds = time.monotonic() - begun
        print(f"{name}: {dict(counts.outcomes)}, {seconds:.0f} s", flush=True)
        for number, (failure, data) in enumerate(counts.failures.items()):
            failed += 1
            print(f"    {failure}", flush=True)
            if options.keep:
                options.keep.mkdir(parents=True, exist_ok=True)
                file = options.keep / f"{name.replace(' ', '-')}.{number}{target.suffix}"
                file.write_bytes(data)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
