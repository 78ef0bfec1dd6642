"""A vision model in words: task, blocks, classes, shapes, parameters, provenance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from danq.models.model_summary import fact_lines
from danq.vision.examples import scaled
from danq.vision.registry import load_task
from danq.vision.task import Task
from danq.vision.vision_model_file import VisionModel, VisionSpec, load_vision_model

SHOWN, DEPTH = 12, 3


def summary(model: str | Path | VisionModel) -> str:
    """Describe a model as text.

    Parameters
    ----------
    model
        A model, a model file or a run folder.

    Returns
    -------
    What it is for and where it comes from, then one row per layer with its output shape for two
    examples and its parameters.

    Raises
    ------
    InputError
        As `load_vision_model`.
    """
    if not isinstance(model, VisionModel):
        model = load_vision_model(model)
    spec = model.spec
    task = load_task(spec.task)
    system = task.system(spec.system)
    facts = {
        "task": f"{spec.task}: {task.about}",
        "system": f"{spec.system}: {system.configuration}",
        "paper": system.paper,
        "hyperparameters": spec.hyperparameters,
        **{name: _short(value) for name, value in spec.facts.items()},
        **{f"field {name}": f"{kind} {list(shape)}" for name, (kind, shape) in spec.inputs.items()},
        "written by": spec.created_by,
        "trained on": spec.data_sha256,
        **{f"training {name}": value for name, value in spec.training.items()},
    }
    return "\n".join([*fact_lines(facts), "", *_layers(model.module, task, spec)])


def _layers(module: nn.Module, task: Task, spec: VisionSpec) -> list[str]:
    """A row per layer, three deep: its kind, the shape of its first output, its parameters."""
    shapes: dict[nn.Module, str] = {}

    def keep(layer: nn.Module, _: Any, output: Any) -> None:
        first = output[0] if isinstance(output, tuple) else output
        shapes.setdefault(layer, str(list(first.shape)) if isinstance(first, Tensor) else "")

    # Ones: a real step, a word and not padding, a length that is none of 0.
    batch = scaled(
        {
            name: torch.ones(2, *shape, dtype=getattr(torch, kind))
            for name, (kind, shape) in spec.inputs.items()
        }
    )
    hooks = [layer.register_forward_hook(keep) for layer in module.modules()]
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
    wide = [max(len(row[i]) for row in rows) for i in range(3)]
    return [f"{a:<{wide[0]}}  {b:<{wide[1]}}  {c:>{wide[2]}}" for a, b, c in rows]


def _count(layer: nn.Module) -> str:
    return f"{sum(p.numel() for p in layer.parameters()):,}"


def _short(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    names = ", ".join(str(one) for one in value[:SHOWN]) + (", ..." if len(value) > SHOWN else "")
    return f"{len(value)}: {names}" if value and isinstance(value[0], str) else names
