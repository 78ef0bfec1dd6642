"""Inject faults into commands, and judge what is left: nothing lost, changed or left behind.

``python -m tests.faults.campaign --faults 200`` injects that many faults per kind of output, and
``--write`` puts the counts into docs/reliability.md.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults import processes
from tests.faults.calls import RESUMED, WRITING
from tests.faults.processes import End, Fault
from tests.forked import in_process
from tests.stored_arrays import stored_arrays

Files = Mapping[str, bytes]

STRANGERS = {
    "thesis.tex": b"\\documentclass{thesis}\n",
    "OUTLINE.txt": b"1. Introduction\n",
    ".OUT.tsv.swp": b"b0VIM 9.0",
    "kept/config.toml": b"[tool]\n",
}
"""Files of others, beside the outputs and with similar names."""

MOST_SECONDS = 5.0
"""Time in which SIGTERM and Ctrl-C must end a command."""


@dataclass
class Subject:
    """A command, prepared in a folder: its inputs, and what an undisturbed run writes.

    Attributes
    ----------
    words
        The command line.
    inputs
        Content of every input by name.
    reference
        Content of every output.
    exact
        Outputs that two undisturbed runs write with the same bytes; others are compared by value.
    calls, changes
        Number of calls to the file system, and of those that change something.
    seconds
        Duration of an undisturbed run.
    """

    kind: str
    words: list[str]
    inputs: Files
    reference: Files
    exact: frozenset[str]
    calls: int
    changes: int
    seconds: float

    @property
    def command(self) -> str:
        return self.words[0]


@dataclass
class Verdict:
    """Outcome of one fault: what the command did, and what was wrong with it."""

    outcome: str
    problems: list[str] = field(default_factory=list)


def content(folder: Path) -> dict[str, bytes]:
    """Content of every file of a folder, by relative name; links are not followed."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def is_output(name: str) -> bool:
    return name.split("/")[0] == "OUT" or name.startswith("OUT.")


def is_leftover(name: str) -> bool:
    return name.startswith(".OUT") or "/." in name or ".unfinished/" in name


def same(subject: Subject, name: str, data: bytes) -> bool:
    """Whether an output is that of an undisturbed run."""
    if name not in subject.reference:
        return "tensorboard/" in name  # named after time and process
    if name in subject.exact:
        return data == subject.reference[name]
    return stored_arrays(name, data) == stored_arrays(name, subject.reference[name])


def fresh(subject: Subject, folder: Path) -> None:
    """Put the inputs, and files of others, into a new folder."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, data in {**subject.inputs, **STRANGERS}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def prepare(kind: str, inputs: Files, work: Path) -> Subject:
    """Run a command twice without faults."""
    command, arguments = WRITING[kind]
    words = [*command.split(), *arguments.split()]
    subject = Subject(kind, words, inputs, {}, frozenset(), 0, 0, 0.0)
    results, counts, seconds = [], [], 0.0
    for reading in (True, True, False):
        folder, count = work / "case", work / "count"
        fresh(subject, folder)
        end = processes.run(words, folder, processes.counted(count, reading=reading))
        if end.code != 0:
            raise RuntimeError(f"{' '.join(words)}: exit code {end.code}\n{end.text}")
        results.append({name: data for name, data in content(folder).items() if is_output(name)})
        counts.append(int(count.read_text()))
        seconds = end.seconds
    first, second, _ = results
    exact = frozenset(name for name in first if first[name] == second.get(name))
    return Subject(kind, words, inputs, first, exact, counts[1], counts[2], seconds)


def faults(subject: Subject, rng: random.Random) -> Iterator[Fault]:
    """Faults without end, of each kind in turn."""
    largest = max(map(len, subject.reference.values()))
    read = [name for name in subject.inputs if name in subject.words or name.startswith("tracks/")]
    while True:
        call = rng.randint(1, max(1, subject.calls))
        change = rng.randint(1, max(1, subject.changes))
        moment = rng.uniform(0, subject.seconds * 1.1)
        yield processes.signalled("killed", processes.KILL, call)
        yield Fault("killed at a random time", signal=processes.KILL, after=moment)
        yield processes.signalled("terminated", processes.TERMINATE, call)
        yield Fault("terminated at a random time", signal=processes.TERMINATE, after=moment)
        yield processes.signalled("interrupted", processes.INTERRUPT, call)
        yield processes.refused("disk full", processes.NO_SPACE, change, lasting=rng.random() < 0.5)
        yield processes.full(rng.randint(0, largest))
        yield processes.refused(
            "no permission", processes.NO_PERMISSION, change, lasting=rng.random() < 0.5
        )
        yield processes.unreadable(call)
        yield processes.stepped(rng.choice((-1, 1)) * 10 ** rng.uniform(0, 6))
        yield Fault("two writers", writers=2)
        name = rng.choice(read)
        data = subject.inputs[name]
        yield Fault("input cut", inputs={name: data[: rng.randrange(len(data))]})
        bit = rng.randrange(8 * len(data))
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        yield Fault("input with a flipped bit", inputs={name: bytes(flipped)})
        cut = data[: rng.randrange(len(data))]
        yield processes.changed(name, call, rng.choice((cut, data + data[-20:], bytes(flipped))))


SEALED = (".safetensors", ".h5")
"""Inputs in which danq finds every flipped bit."""


def judge(subject: Subject, fault: Fault, end: End, folder: Path, old: Files) -> Verdict:
    """What is wrong after a fault."""
    problems = []
    now = content(folder)
    untouched = {**subject.inputs, **STRANGERS, **fault.inputs}
    for name, data in untouched.items():
        if now.get(name) != data and now.get(name) != fault.changing.get(name):
            problems.append(f"{name}, which is not an output, was changed or deleted")
    if "Traceback" in end.text or "panicked" in end.text:
        problems.append(f"traceback: {end.text[-400:]}")
    code = end.code
    if code is None:
        problems.append("hangs")
    elif code not in {0, 2, -processes.KILL, 130, 143}:
        problems.append(f"exit code {code}: {end.text[-400:]}")
    if fault.signal != processes.KILL and end.stopping > MOST_SECONDS:
        problems.append(f"ended {end.stopping:.1f} s after the signal")
    left = [name for name in now if name not in untouched]
    outputs = {name: now[name] for name in left if is_output(name) and not is_leftover(name)}
    leftovers = [name for name in left if is_leftover(name)]
    strange = [name for name in left if not is_output(name) and not is_leftover(name)]
    if strange:
        problems.append(f"unexpected files: {strange}")
    if code == 0:
        if fault.inputs and any(name.endswith(SEALED) for name in fault.inputs):
            problems.append(f"{list(fault.inputs)} was believed")
        if not fault.inputs and not fault.changing:
            problems += differences(subject, outputs)
        if leftovers and not fault.lasting:
            problems.append(f"left behind after success: {leftovers}")
        return Verdict("completed", problems)
    if subject.command != "train":
        for name, data in outputs.items():
            if not same(subject, name, data) and old.get(name) != data:
                problems.append(f"{name} is neither the old nor the new output")
        if code == 2:
            kept = [name for name in leftovers if ".unfinished/" not in name]
            if kept and not fault.lasting:
                problems.append(f"left behind: {kept}")
            if outputs != old and not leftovers:
                problems.append("some outputs are new and others are not")
    return Verdict("refused" if code == 2 else "ended", problems)


def differences(subject: Subject, outputs: Files) -> list[str]:
    """How outputs differ from those of an undisturbed run."""
    expected = {name for name in subject.reference if "tensorboard/" not in name}
    missing = expected - set(outputs)
    return [
        *(f"{name} is missing" for name in sorted(missing)),
        *(f"{name} differs" for name, data in outputs.items() if not same(subject, name, data)),
    ]


def again(subject: Subject, folder: Path) -> list[str]:
    """Run the command once more: it must complete, and leave nothing behind."""
    words = list(subject.words)
    if subject.command in RESUMED:
        words.append("--resume")
    end = processes.run(words, folder, Fault("none"))
    if end.code == 2 and "exists already" in end.text:
        end = processes.run([*subject.words, "--overwrite"], folder, Fault("none"))
    if end.code != 0:
        return [f"the next run: exit code {end.code}: {end.text[-300:]}"]
    now = content(folder)
    outputs = {n: d for n, d in now.items() if is_output(n) and not is_leftover(n)}
    leftovers = [name for name in now if is_leftover(name) and name not in STRANGERS]
    problems = differences(subject, outputs)
    if leftovers:
        problems.append(f"left behind by the next run: {leftovers}")
    return [f"after the next run: {problem}" for problem in problems]


def changed_while_read(subject: Subject, fault: Fault, work: Path) -> list[str]:
    """Whether outputs belong to the inputs before or after a change, and to no mixture."""
    folder = work / "case"
    made = {n: d for n, d in content(folder).items() if is_output(n) and not is_leftover(n)}
    if not differences(subject, made):
        return []
    fresh(subject, folder)
    for name, data in fault.changing.items():
        (folder / name).write_bytes(data)
    end = processes.run(list(subject.words), folder, Fault("none"))
    other = {n: d for n, d in content(folder).items() if is_output(n) and not is_leftover(n)}
    compared = {n: d for n, d in made.items() if n in subject.exact}
    if end.code == 0 and all(other.get(name) == data for name, data in compared.items()):
        return []
    return ["the output is neither that of the old nor that of the new input"]


def inject(subject: Subject, fault: Fault, work: Path, *, old: bool) -> Verdict:
    """Run a command with a fault, judge what is left, and run it once more.

    Parameters
    ----------
    subject
        The command.
    fault
        What happens to it.
    work
        Folder for the files.
    old
        Whether there are outputs of an earlier run, which the command may overwrite.
    """
    folder = work / "case"
    fresh(subject, folder)
    words, before = list(subject.words), {}
    for name, data in fault.inputs.items():
        (folder / name).write_bytes(data)
    if old and not fault.inputs and not fault.changing:
        before = dict(subject.reference)
        for name, data in before.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        words.append("--overwrite")
    started = [processes.start(words, folder, fault) for _ in range(fault.writers)]
    ends = [processes.wait(one, fault) for one in started]
    # Of two writers, the one that succeeded says what must be there.
    end = min(ends, key=lambda one: (one.code != 0, one.code is not None))
    verdict = judge(subject, fault, end, folder, before)
    for other in ends:
        if other.code not in (0, 2) and fault.writers > 1:
            verdict.problems.append(f"a second writer: exit code {other.code}: {other.text[-300:]}")
    if verdict.problems or fault.inputs:
        return verdict
    if fault.changing:
        if end.code == 0:
            verdict.problems += changed_while_read(subject, fault, work)
    elif end.code != 0:
        verdict.problems += again(subject, folder)
    return verdict


KINDS = (
    "killed",
    "killed at a random time",
    "terminated",
    "terminated at a random time",
    "interrupted",
    "disk full",
    "file size limit",
    "no permission",
    "read error",
    "clock steps",
    "two writers",
    "input cut",
    "input with a flipped bit",
    "input changed",
)
"""Kinds of faults, in the order of `faults`."""


def make_inputs(folder: Path) -> Files:
    """Inputs of the commands, made in a process of its own, which may start threads."""

    def make() -> None:
        from tests.small_commands import write_inputs

        folder.mkdir()
        write_inputs(folder)

    in_process(make)
    made = content(folder)
    # Names in the sheet are relative, so that the folder can be copied.
    made["tracks.tsv"] = b"Reb1\ttracks/Reb1.bed\nAbf1\ttracks/Abf1.bed\n"
    return made


def run_campaign(kind: str, inputs: Files, work: Path, count: int, seed: int) -> dict[str, Any]:
    """Inject a number of faults into one kind of output; the counts and the problems."""
    subject = prepare(kind, inputs, work)
    found = faults(subject, random.Random(f"{seed} {kind}"))
    struck: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    problems = []
    for number, fault in zip(range(count), found, strict=False):
        verdict = inject(subject, fault, work, old=number // len(KINDS) % 2 == 1)
        struck[fault.kind] += 1
        outcomes[verdict.outcome] += 1
        problems += [f"{fault.kind}: {problem}" for problem in verdict.problems]
    return {
        "command": subject.command,
        "faults": dict(struck),
        "outcomes": dict(outcomes),
        "problems": problems,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a campaign and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=200, help="faults per kind of output")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", help="kinds of output")
    parser.add_argument("--json", type=Path, help="file for the counts")
    options = parser.parse_args(arguments)
    results: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        os.environ["DANQ_CACHE"] = str(work / "cache")
        inputs = make_inputs(work / "inputs")
        processes.import_everything()
        for kind in options.only or WRITING:
            result = run_campaign(kind, inputs, work, options.faults, options.seed)
            results[kind] = result
            print(f"{kind}: {result['outcomes']}, {len(result['problems'])} problems", flush=True)
            for problem in result["problems"][:20]:
                print(f"    {problem}", flush=True)
            if options.json:
                options.json.write_text(json.dumps(results, indent=1))
    return 1 if any(result["problems"] for result in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
