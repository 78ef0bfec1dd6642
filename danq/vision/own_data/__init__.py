"""Examples from a user's own files: images, videos, captions, questions, sequences, sounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from danq._lazy import lazy_names

if TYPE_CHECKING:
    from danq.vision.own_data.input_settings import InputSettings as InputSettings
    from danq.vision.own_data.source_examples import own_examples as own_examples
    from danq.vision.own_data.source_examples import own_inputs as own_inputs

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "InputSettings": "danq.vision.own_data.input_settings:InputSettings",
        "own_examples": "danq.vision.own_data.source_examples:own_examples",
        "own_inputs": "danq.vision.own_data.source_examples:own_inputs",
    },
)

__all__ = ["InputSettings", "own_examples", "own_inputs"]
