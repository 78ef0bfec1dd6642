"""Image, video and sequence tasks on the CNN-RNN core.

Examples
--------
>>> from danq import vision
>>> result = vision.train("direction", out="runs/direction")  # doctest: +SKIP
>>> vision.predict("runs/direction", "clip.gif")  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from danq._lazy import lazy_names

if TYPE_CHECKING:
    from danq.vision.benchmark import bench as bench
    from danq.vision.clips import read_clip as read_clip
    from danq.vision.examples import Data as Data
    from danq.vision.examples import Examples as Examples
    from danq.vision.folder import make_data as make_data
    from danq.vision.folder import write_data as write_data
    from danq.vision.listing import list_systems as list_systems
    from danq.vision.prediction import predict as predict
    from danq.vision.registry import TASKS as TASKS
    from danq.vision.registry import register as register
    from danq.vision.task import Classification as Classification
    from danq.vision.task import Sizes as Sizes
    from danq.vision.task import System as System
    from danq.vision.task import Target as Target
    from danq.vision.task import Task as Task
    from danq.vision.task import draw_splits as draw_splits
    from danq.vision.task import recipe as recipe
    from danq.vision.training_run import train as train
    from danq.vision.vision_model_file import load_vision_model as load_vision_model
    from danq.vision.vision_summary import summary as summary

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Classification": "danq.vision.task:Classification",
        "Data": "danq.vision.examples:Data",
        "Examples": "danq.vision.examples:Examples",
        "Sizes": "danq.vision.task:Sizes",
        "System": "danq.vision.task:System",
        "TASKS": "danq.vision.registry:TASKS",
        "Target": "danq.vision.task:Target",
        "Task": "danq.vision.task:Task",
        "bench": "danq.vision.benchmark:bench",
        "draw_splits": "danq.vision.task:draw_splits",
        "list_systems": "danq.vision.listing:list_systems",
        "load_vision_model": "danq.vision.vision_model_file:load_vision_model",
        "make_data": "danq.vision.folder:make_data",
        "predict": "danq.vision.prediction:predict",
        "read_clip": "danq.vision.clips:read_clip",
        "recipe": "danq.vision.task:recipe",
        "register": "danq.vision.registry:register",
        "summary": "danq.vision.vision_summary:summary",
        "train": "danq.vision.training_run:train",
        "write_data": "danq.vision.folder:write_data",
    },
)

__all__ = [
    "TASKS",
    "Classification",
    "Data",
    "Examples",
    "Sizes",
    "System",
    "Target",
    "Task",
    "bench",
    "draw_splits",
    "list_systems",
    "load_vision_model",
    "make_data",
    "predict",
    "read_clip",
    "recipe",
    "register",
    "summary",
    "train",
    "write_data",
]
