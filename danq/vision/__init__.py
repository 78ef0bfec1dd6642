"""Image, video and sequence tasks on the CNN-RNN core.

Examples
--------
>>> from danq import vision
>>> result = vision.train("direction", out="runs/direction")  # doctest: +SKIP
>>> vision.predict("runs/direction", "clip.gif")  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from danq.lazy import lazy_names

if TYPE_CHECKING:
    from danq.vision.benchmark import bench as bench
    from danq.vision.clips import read_clip as read_clip
    from danq.vision.folder import make_data as make_data
    from danq.vision.folder import write_data as write_data
    from danq.vision.listing import list_systems as list_systems
    from danq.vision.model import load_vision_model as load_vision_model
    from danq.vision.prediction import predict as predict
    from danq.vision.registry import TASKS as TASKS
    from danq.vision.run import train as train

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "TASKS": "danq.vision.registry:TASKS",
        "bench": "danq.vision.benchmark:bench",
        "list_systems": "danq.vision.listing:list_systems",
        "load_vision_model": "danq.vision.model:load_vision_model",
        "make_data": "danq.vision.folder:make_data",
        "predict": "danq.vision.prediction:predict",
        "read_clip": "danq.vision.clips:read_clip",
        "train": "danq.vision.run:train",
        "write_data": "danq.vision.folder:write_data",
    },
)

__all__ = [
    "TASKS",
    "bench",
    "list_systems",
    "load_vision_model",
    "make_data",
    "predict",
    "read_clip",
    "train",
    "write_data",
]
