"""All tasks by name; a task is imported when it is first used."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from danq.errors import InputError

if TYPE_CHECKING:
    from danq.vision.task import Task

T = TypeVar("T", bound="Task")

TASKS = {
    "adding": "long_sequences:Adding",
    "copy": "long_sequences:CopyMemory",
    "digit-steps": "long_sequences:DigitSteps",
    "direction": "motion_direction:Direction",
    "slots": "slot_filling:Slots",
    "story": "story_questions:StoryQuestions",
    "frame-selection": "frame_selection:FrameSelection",
    "nowcasting": "nowcasting:Nowcasting",
    "rain": "nowcasting:Rain",
    "captions": "image_captions:ImageCaptions",
    "vqa": "visual_questions:VisualQuestions",
    "digits": "digit_classification:Digits",
    "faces": "face_images:Faces",
    "motions": "motion_series:BasicMotions",
    "gunpoint": "motion_series:GunPoint",
    "tracking": "tracking:Tracking",
    "pose": "pose:Pose",
    "gait": "gait:Gait",
    "gait-views": "gait_views:GaitViews",
    "scene-labels": "scene_labels:SceneLabels",
    "scene-clips": "scene_clips:SceneClips",
    "text-lines": "text_lines:TextLines",
    "sounds": "impact_sounds:Sounds",
    "sound-examples": "sound_examples:SoundExamples",
    "audio-visual": "audio_visual:AudioVisual",
    "relations": "relation_questions:Relations",
    "reports": "image_reports:Reports",
    "regions": "region_captions:Regions",
    "dense-captions": "dense_captions:DenseCaptions",
    "group-emotion": "group_emotion:GroupEmotion",
    "clip-captions": "clip_captions:ClipCaptions",
    "clip-questions": "clip_questions:ClipQuestions",
    "line-translation": "line_translation:LineTranslation",
}
"""Name of each task, its module in `danq.vision.tasks` and its class."""

OWN_TASKS = {
    "image-classes": "image_tasks:ImageClasses",
    "image-labels": "image_tasks:ImageLabels",
    "image-values": "image_tasks:ImageValues",
    "image-captions": "caption_tasks:OwnImageCaptions",
    "image-questions": "question_tasks:ImageQuestions",
    "video-classes": "clip_tasks:VideoClasses",
    "video-frames": "clip_tasks:VideoFrames",
    "video-captions": "caption_tasks:VideoCaptions",
    "video-questions": "question_tasks:VideoQuestions",
    "video-sound-classes": "clip_tasks:VideoSoundClasses",
    "text-classes": "text_tasks:TextClasses",
    "text-tags": "text_tasks:TextTags",
    "series-classes": "series_tasks:SeriesClasses",
    "series-values": "series_tasks:SeriesValues",
}
"""Tasks on a user's own data, in `danq.vision.own_tasks`."""

_REGISTERED: dict[str, type[Task]] = {}


def register(task: type[T]) -> type[T]:
    """Class decorator: register a task under its name until the process ends.

    It replaces a task that was registered under that name before.

    Raises
    ------
    InputError
        When a task of danq has that name.
    """
    if task.name in TASKS or task.name in OWN_TASKS:
        raise InputError(
            f"danq has a task named '{task.name}'", remedy="Give your task another name"
        )
    _REGISTERED[task.name] = task
    return task


def load_task(name: str) -> Task:
    """Load a task by its name.

    Raises
    ------
    InputError
        When no task has that name.
    """
    if name in _REGISTERED:
        return _REGISTERED[name]()
    for known, package in ((TASKS, "tasks"), (OWN_TASKS, "own_tasks")):
        if name in known:
            module, _, kind = known[name].partition(":")
            return getattr(importlib.import_module(f"danq.vision.{package}.{module}"), kind)()
    names = ", ".join([*TASKS, *OWN_TASKS, *_REGISTERED])
    raise InputError(f"no task is named '{name}'", remedy=f"Choose one of {names}")


def load_tasks(names: Iterable[str] = ()) -> list[Task]:
    """Load tasks by their names; all tasks of danq if none is named.

    Raises
    ------
    InputError
        As `load_task`.
    """
    return [load_task(name) for name in tuple(names) or TASKS]


def is_registered(task: str | Task) -> bool:
    """Whether a name belongs to a task, or a task is the one that its name belongs to."""
    if isinstance(task, str):
        return task in TASKS or task in OWN_TASKS or task in _REGISTERED
    return is_registered(task.name) and type(load_task(task.name)) is type(task)
