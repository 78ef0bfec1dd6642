"""A vision model's word on the user's input."""

from __future__ import annotations

from pathlib import Path

import torch

from danq.device import autocast, resolve_device, resolve_precision
from danq.inference.engine.forward import evaluating
from danq.vision.examples import Examples
from danq.vision.registry import load_task
from danq.vision.vision_model_file import load_vision_model


def predict(
    model: str | Path,
    source: str | Path | Examples,
    *,
    text: str | None = None,
    out: str | Path | None = None,
    device: str = "auto",
    precision: str = "fp32",
) -> list[str]:
    """Predict on one input, or on examples.

    Parameters
    ----------
    model
        A model file or run folder of `danq.vision.train`.
    source
        The input's file or folder, which is read as the task says, or examples.
    text
        What belongs to it in words, such as a question.
    out
        Where files of the prediction go (frames, maps, sound); None writes none.
    device, precision
        As `danq.device` resolves them.

    Returns
    -------
    Lines for a person to read: class names, captions, answers, or the files written.

    Raises
    ------
    InputError
        When the model or the input cannot be used, or the output exists already.
    """
    loaded = load_vision_model(model)
    task, facts = load_task(loaded.spec.task), loaded.spec.facts
    examples = source if isinstance(source, Examples) else task.read(Path(source), facts, text)
    where = resolve_device(device)
    kind = resolve_precision(precision, where)
    place = None if out is None else Path(out)
    with evaluating(loaded.module, where) as ready, torch.inference_mode(), autocast(where, kind):
        return task.tell(ready, examples, facts, where, place)
