"""All tasks by name, each imported when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from danq.errors import InputError

if TYPE_CHECKING:
    from danq.vision.task import Task

T = TypeVar("T", bound="Task")

TASKS = {
    "adding": "sequences:Adding",
    "copy": "sequences:CopyMemory",
    "digit-steps": "sequences:DigitSteps",
    "direction": "direction:Direction",
    "slots": "slots:Slots",
    "story": "story:StoryQuestions",
    "frame-selection": "selection:FrameSelection",
    "nowcasting": "nowcasting:Nowcasting",
    "rain": "nowcasting:Rain",
    "captions": "captions:Captions",
    "vqa": "vqa:VisualQuestions",
    "digits": "digits:Digits",
    "motions": "gesture:BasicMotions",
    "gunpoint": "gesture:GunPoint",
    "tracking": "tracking:Tracking",
    "pose": "pose:Pose",
    "gait": "gait:Gait",
    "scene-labels": "labels:SceneLabels",
    "text-lines": "text_lines:TextLines",
    "sounds": "sounds:Sounds",
    "audio-visual": "audio_visual:AudioVisual",
    "relations": "relations:Relations",
    "reports": "reports:Reports",
    "regions": "regions:Regions",
}
"""Name of a task, its module in `danq.vision.tasks` and its class."""


_OWN: dict[str, type[Task]] = {}


def register(task: type[T]) -> type[T]:
    """Make a task of your own known by its name, for as long as the process runs.

    A decorator. What was registered under that name before gives way.

    Raises
    ------
    InputError
        When a task of danq has that name.
    """
    if task.name in TASKS:
        raise InputError(f"a task of danq is named '{task.name}'", remedy="Give yours another name")
    _OWN[task.name] = task
    return task


def load_task(name: str) -> Task:
    """A task by its name.

    Raises
    ------
    InputError
        When there is none of that name.
    """
    if name in _OWN:
        return _OWN[name]()
    if name not in TASKS:
        raise InputError(
            f"no task is named '{name}'", remedy=f"Choose one of {', '.join([*TASKS, *_OWN])}"
        )
    module, _, kind = TASKS[name].partition(":")
    return getattr(importlib.import_module(f"danq.vision.tasks.{module}"), kind)()


def is_registered(task: str | Task) -> bool:
    """Tell whether a name is a task's, or a task is what its name stands for."""
    if isinstance(task, str):
        return task in TASKS or task in _OWN
    return is_registered(task.name) and type(load_task(task.name)) is type(task)


def load_tasks(names: Iterable[str] = ()) -> list[Task]:
    """Tasks by their names, all of them where none is named.

    Raises
    ------
    InputError
        As `load_task`.
    """
    return [load_task(name) for name in tuple(names) or TASKS]
