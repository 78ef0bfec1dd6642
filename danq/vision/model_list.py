"""The list of all tasks and their models."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from danq.errors import MissingPackage
from danq.notebook_display import Display, display_html
from danq.vision.task_registry import load_tasks

log = logging.getLogger("danq")


@dataclass(frozen=True)
class ModelInfo:
    """A model of a task: its blocks, number of parameters and paper."""

    task: str
    about: str
    model: str
    configuration: str
    parameters: int
    paper: str
    _repr_html_ = display_html

    def _display(self) -> Display:
        facts = {"Blocks": self.configuration, "Parameters": self.parameters, "Paper": self.paper}
        return Display(f"{self.model} for {self.task}: {self.about}", facts=facts)


def list_models(tasks: Iterable[str] = ()) -> list[ModelInfo]:
    """Describe every model of the tasks; of all tasks if none is named.

    Without names, tasks whose packages are not installed are left out, with a warning.

    Raises
    ------
    InputError
        When no task has that name.
    """
    entries = []
    names = tuple(tasks)
    for task in load_tasks(names):
        try:
            metadata = task.metadata()
        except MissingPackage as error:
            if names:
                raise
            log.warning("%s is not listed: %s", task.name, error)
            continue
        for model in task.models:
            with torch.device("meta"):
                module = model.build(metadata, **model.hyperparameters)
            count = sum(p.numel() for p in module.parameters())
            entries.append(
                ModelInfo(
                    task.name, task.about, model.name, model.configuration, count, model.paper
                )
            )
    return entries
