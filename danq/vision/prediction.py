"""Prediction with the model of a vision task."""

from __future__ import annotations

from pathlib import Path

from danq.device import resolve_device, resolve_precision
from danq.vision.dataset import Examples
from danq.vision.problem import inference
from danq.vision.task_registry import load_task
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
    """Predict for one input file, or for examples.

    Parameters
    ----------
    model
        A model file or run directory of `danq.vision.train`.
    source
        A clip, an image, a text file or an array, as the task requires; or examples.
    text
        Text that accompanies the input, such as a question.
    out
        File for the frames, map or sound of a prediction; None writes none.
    device, precision
        As `danq.device` resolves them.

    Returns
    -------
    Lines for a person to read: class names, captions, answers, or the files written.

    Raises
    ------
    InputError
        When the model or the input cannot be used, or the output exists.
    """
    loaded = load_vision_model(model)
    task, metadata = load_task(loaded.spec.task), loaded.spec.metadata
    if isinstance(source, Examples):
        examples = source
    else:
        examples = task.read_input(Path(source), metadata, text)
    target = resolve_device(device)
    kind = resolve_precision(precision, target)
    path = None if out is None else Path(out)
    with inference(loaded.module, target, kind) as ready:
        return task.predict(ready, examples, metadata, path)
