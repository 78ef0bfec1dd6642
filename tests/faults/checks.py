"""Check what a command leaves after a fault: nothing lost, changed or left behind."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tests.faults import processes
from tests.faults.calls import NEVER_OVERWRITING, RESUMED, STEPWISE
from tests.faults.processes import End, Fault
from tests.faults.subjects import (
    STRANGERS,
    Files,
    Subject,
    content,
    fresh,
    is_leftover,
    is_of_shard,
    is_output,
    outputs_among,
    same,
)

MOST_SECONDS = 5.0
"""Time in which SIGTERM and Ctrl-C must end a command."""


@dataclass
class Verdict:
    """Outcome of one fault: what the command did, and what was wrong with it."""

    outcome: str
    problems: list[str] = field(default_factory=list)


SEALED = (".safetensors", ".h5")
"""Inputs in which danq finds every flipped bit."""

IMPORTED = "weights.safetensors"
"""An input of another program, which has no checksum."""


def check(subject: Subject, fault: Fault, end: End, folder: Path, old: Files) -> Verdict:
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
    outputs = outputs_among({name: now[name] for name in left})
    leftovers = [name for name in left if is_leftover(name)]
    strange = [name for name in left if not is_output(name) and not is_leftover(name)]
    if strange:
        problems.append(f"unexpected files: {strange}")
    if code == 0:
        sealed = [n for n in fault.inputs if n.endswith(SEALED) or is_of_shard(n)]
        if any(name != IMPORTED for name in sealed):
            problems.append(f"{list(fault.inputs)} was believed")
        if not fault.inputs and not fault.changing:
            problems += differences(subject, outputs)
        if leftovers and not (fault.lasting or fault.unreadable):
            problems.append(f"left behind after success: {leftovers}")
        return Verdict("completed", problems)
    # The completed blocks of a shard are kept.
    if subject.command not in STEPWISE and "--shard" not in subject.words:
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
    if subject.command in RESUMED or "--shard" in words:
        words.append("--resume")
    end = processes.run(words, folder, Fault("none"))
    if subject.command in NEVER_OVERWRITING and "exists already" in end.text:
        end = End(0, "", 0.0)
    elif end.code == 2 and "exists already" in end.text:
        end = processes.run([*subject.words, "--overwrite"], folder, Fault("none"))
    if end.code != 0:
        return [f"the next run: exit code {end.code}: {end.text[-300:]}"]
    now = {name: data for name, data in content(folder).items() if name not in subject.inputs}
    outputs = outputs_among(now)
    leftovers = [name for name in now if is_leftover(name) and name not in STRANGERS]
    problems = differences(subject, outputs)
    if leftovers:
        problems.append(f"left behind by the next run: {leftovers}")
    return [f"after the next run: {problem}" for problem in problems]


def changed_while_read(subject: Subject, fault: Fault, work: Path) -> list[str]:
    """Whether outputs belong to the inputs before or after a change, and to no mixture."""
    folder = work / "case"
    made = _made(subject, folder)
    if not differences(subject, made):
        return []
    fresh(subject, folder, fault.changing)
    end = processes.run(list(subject.words), folder, Fault("none"))
    other = _made(subject, folder)
    compared = {n: d for n, d in made.items() if n in subject.exact}
    if end.code == 0 and all(other.get(name) == data for name, data in compared.items()):
        return []
    return ["the output is neither that of the old nor that of the new input"]


def _made(subject: Subject, folder: Path) -> Files:
    """Outputs in a folder, without inputs with such names."""
    now = content(folder)
    return outputs_among({name: data for name, data in now.items() if name not in subject.inputs})


def inject(subject: Subject, fault: Fault, work: Path, *, old: bool) -> Verdict:
    """Run a command with a fault, check what is left, and run it once more.

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
    words, before = list(subject.words), {}
    replacing = old and not (fault.inputs or fault.changing)
    if replacing and subject.command not in NEVER_OVERWRITING:
        before = dict(subject.reference)
        words.append("--overwrite")
    fresh(subject, folder, {**before, **fault.inputs}, fault.space)
    started = [processes.start(words, folder, fault) for _ in range(fault.writers)]
    ends = [processes.wait(one, fault) for one in started]
    # Of two writers, the one that succeeded says what must be there.
    end = min(ends, key=lambda one: (one.code != 0, one.code is not None))
    verdict = check(subject, fault, end, folder, before)
    for other in ends:
        if other.code not in (0, 2) and fault.writers > 1:
            verdict.problems.append(f"a second writer: exit code {other.code}: {other.text[-300:]}")
    if verdict.problems or fault.inputs:
        return verdict
    if fault.changing:
        if end.code == 0:
            verdict.problems += changed_while_read(subject, fault, work)
    elif end.code != 0 or fault.unreadable:
        if fault.space is not None:
            processes.enlarge(folder)
        verdict.problems += again(subject, folder)
    return verdict
