"""The kinds of faults, each at many moments."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.faults import processes
from tests.faults.processes import Fault
from tests.faults.subjects import Subject

KINDS = (
    "killed",
    "killed at a random time",
    "terminated",
    "terminated at a random time",
    "interrupted",
    "interrupted at a random time",
    "disk full",
    "disk full, tmpfs",
    "quota exceeded",
    "file size limit",
    "no permission",
    "read error",
    "no permission to read",
    "clock steps",
    "two writers",
    "input cut",
    "input with a flipped bit",
    "input changed",
)
"""Kinds of faults, in the order of `faults`."""


def faults(subject: Subject, rng: random.Random) -> Iterator[Fault]:
    """Endless faults, in the order of `KINDS`; without inputs, there are fewer kinds."""
    largest = max(map(len, subject.reference.values()))
    total = sum(map(len, subject.reference.values()))
    mounts = processes.can_mount()
    while True:
        call = rng.randint(1, max(1, subject.calls))
        change = rng.randint(1, max(1, subject.changes))
        moment = rng.uniform(0, subject.seconds * 1.1)
        lasting = rng.random() < 0.5
        yield processes.signalled("killed", processes.KILL, call)
        yield Fault("killed at a random time", signal=processes.KILL, after=moment)
        yield processes.signalled("terminated", processes.TERMINATE, call)
        yield Fault("terminated at a random time", signal=processes.TERMINATE, after=moment)
        yield processes.signalled("interrupted", processes.INTERRUPT, call)
        yield Fault("interrupted at a random time", signal=processes.INTERRUPT, after=moment)
        yield processes.refused("disk full", processes.NO_SPACE, change, lasting=lasting)
        if mounts:
            yield Fault("disk full, tmpfs", space=rng.randint(0, total))
        yield processes.refused("quota exceeded", processes.QUOTA, change, lasting=lasting)
        yield processes.full(rng.randint(0, largest))
        yield processes.refused("no permission", processes.NO_PERMISSION, change, lasting=lasting)
        yield processes.unreadable("read error", processes.BAD_DISK, call)
        yield processes.unreadable("no permission to read", processes.NO_PERMISSION, call)
        yield processes.stepped(rng.choice((-1, 1)) * 10 ** rng.uniform(0, 6))
        yield Fault("two writers", writers=2)
        if subject.read:
            yield from _damages(subject, rng, call)


def _damages(subject: Subject, rng: random.Random, call: int) -> Iterator[Fault]:
    """Faults of one input."""
    name = rng.choice(subject.read)
    data = subject.inputs[name]
    cut = data[: rng.randrange(len(data))]
    bit = rng.randrange(8 * len(data))
    flipped = bytearray(data)
    flipped[bit // 8] ^= 1 << bit % 8
    yield Fault("input cut", inputs={name: cut})
    yield Fault("input with a flipped bit", inputs={name: bytes(flipped)})
    yield processes.changed(name, call, rng.choice((cut, data + data[-20:], bytes(flipped))))
