"""The list of all tasks and their models."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from danq.errors import MissingPackage
from danq.notebook_display import Display, display_html
from danq.vision.dataset import Metadata
from danq.vision.task import ModelDefinition
from danq.vision.task_registry import OWN_TASKS, TASKS, load_tasks

log = logging.getLogger("danq")


@dataclass(frozen=True)
class ModelInfo:
    """A model of a task: its blocks, number of parameters and paper.

    ``data`` is whether the task's examples are real or made. Without the packages that the examples
    need, and for tasks on own data, the number of parameters is unknown (None).
    """

    task: str
    about: str
    data: str
    model: str
    configuration: str
    parameters: int | None
    paper: str
    _repr_html_ = display_html

    def _display(self) -> Display:
        facts = {"Blocks": self.configuration, "Parameters": self.parameters, "Paper": self.paper}
        return Display(f"{self.model} for {self.task}: {self.about}", facts=facts)


def list_models(tasks: Iterable[str] = ()) -> list[ModelInfo]:
    """Describe every model of the tasks; of all tasks if none is named.

    A warning names the tasks whose packages are not installed. Numbers of parameters of tasks on a
    user's own data follow from the data.

    Raises
    ------
    InputError
        When no task has that name.
    """
    entries = []
    for task in load_tasks(tuple(tasks) or [*TASKS, *OWN_TASKS]):
        try:
            metadata = None if task.is_own else task.metadata()
        except MissingPackage as error:
            log.warning("%s is listed without numbers of parameters: %s", task.name, error)
            metadata = None
        for model in task.models:
            entries.append(
                ModelInfo(
                    task=task.name,
                    about=task.about,
                    data=task.data_source,
                    model=model.name,
                    configuration=model.configuration,
                    parameters=None if metadata is None else _parameters(model, metadata),
                    paper=model.paper,
                )
            )
    return entries


def _parameters(model: ModelDefinition, metadata: Metadata) -> int:
    with torch.device("meta"):
        module = model.build(metadata, **model.hyperparameters)
    return sum(p.numel() for p in module.parameters())
