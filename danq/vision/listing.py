"""Every task and system in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from danq.vision.registry import load_tasks
from danq.vision.task import Sizes


@dataclass(frozen=True)
class Entry:
    """A system of a task: its blocks, its size, its paper."""

    task: str
    about: str
    system: str
    configuration: str
    parameters: int
    paper: str


def list_systems(tasks: Iterable[str] = ()) -> list[Entry]:
    """Describe every system of the tasks, all of them where none is named.

    Raises
    ------
    InputError
        When no task has that name.
    """
    entries = []
    for task in load_tasks(tasks):
        facts = task.make(0, Sizes(8, 8, 8)).facts
        for system in task.systems:
            with torch.device("meta"):
                module = system.build(facts, **system.numbers)
            count = sum(p.numel() for p in module.parameters())
            entries.append(
                Entry(task.name, task.about, system.name, system.configuration, count, system.paper)
            )
    return entries
