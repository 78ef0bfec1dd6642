"""Summary of a vision model: task, blocks, classes, shapes, parameters, provenance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from danq.models.model_card import CARD
from danq.models.model_summary import card_facts, fact_lines
from danq.vision.dataset import scaled
from danq.vision.task import Task
from danq.vision.task_registry import load_task
from danq.vision.vision_model_file import VisionModel, VisionSpec, load_vision_model

LISTED, DEPTH = 12, 3


def summary(model: str | Path | VisionModel) -> str:
    """Describe a vision model as text.

    Parameters
    ----------
    model
        A model, a model file or a run directory.

    Returns
    -------
    Task, model and provenance, then one row per layer with its output shape for two examples and
    its number of parameters.

    Raises
    ------
    InputError
        As `load_vision_model`.
    """
    if not isinstance(model, VisionModel):
        model = load_vision_model(model)
    spec = model.spec
    task = load_task(spec.task)
    definition = task.model(spec.model)
    entries = {
        "task": f"{spec.task}: {task.about}",
        "model": f"{spec.model}: {definition.configuration}",
        "paper": definition.paper,
        "hyperparameters": spec.hyperparameters,
        **{name: _short(value) for name, value in spec.metadata.items()},
        **{f"field {name}": f"{kind} {list(shape)}" for name, (kind, shape) in spec.inputs.items()},
        "written by": spec.created_by,
        "trained on": spec.data_sha256,
        **card_facts(spec.training, model.path),
        **{f"training {name}": value for name, value in spec.training.items() if name != CARD},
    }
    return "\n".join([*fact_lines(entries), "", *_layers(model.module, task, spec)])


def _layers(module: nn.Module, task: Task, spec: VisionSpec) -> list[str]:
    """One row per layer, down to depth 3: type, shape of its first output, parameters."""
    shapes: dict[nn.Module, str] = {}

    def record(layer: nn.Module, _: Any, output: Any) -> None:
        first = output[0] if isinstance(output, tuple) else output
        shapes.setdefault(layer, str(list(first.shape)) if isinstance(first, Tensor) else "")

    # Ones are real steps, words other than padding, and lengths above 0.
    batch = scaled(
        {
            name: torch.ones(2, *shape, dtype=getattr(torch, kind))
            for name, (kind, shape) in spec.inputs.items()
        }
    )
    hooks = [layer.register_forward_hook(record) for layer in module.modules()]
    try:
        with torch.inference_mode():
            if batch:
                task.call(module, batch)
    finally:
        for hook in hooks:
            hook.remove()
    rows = [("layer", "output of two examples", "parameters")]
    for name, layer in module.named_modules():
        path = name.split(".") if name else []
        if len(path) <= DEPTH:
            title = f"{'  ' * len(path)}{path[-1]}: " if path else ""
            rows.append((title + type(layer).__name__, shapes.get(layer, ""), _count(layer)))
    rows.append(("total", "", _count(module)))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    return [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}" for a, b, c in rows]


def _count(layer: nn.Module) -> str:
    return f"{sum(p.numel() for p in layer.parameters()):,}"


def _short(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    names = ", ".join(map(str, value[:LISTED])) + (", ..." if len(value) > LISTED else "")
    return f"{len(value)}: {names}" if value and isinstance(value[0], str) else names
