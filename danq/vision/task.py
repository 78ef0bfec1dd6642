"""What a task of vision is, and what a system that solves it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from danq.training.problem import Metrics
from danq.training.recipe import BaseRecipe
from danq.vision.clips import fitted, read_clip
from danq.vision.examples import SPLITS, Data, Examples

ROUND = 256
"""Examples that are evaluated at once."""

Means = Mapping[str, Mapping[str, float]]
"""Row of a benchmark, name of a figure, its mean over the seeds."""


@dataclass(frozen=True)
class Sizes:
    """Numbers of examples of the three splits."""

    train: int
    valid: int
    test: int


@dataclass(frozen=True)
class System:
    """One way to solve a task.

    Attributes
    ----------
    name
        Short name, unique within its task.
    configuration
        The blocks, from input to output.
    paper
        Where it was published.
    build
        ``build(facts, **numbers)`` gives the untrained module; ``facts`` are those of the data.
    numbers
        Every number that decides its shape.
    recipe
        Choices of the training that differ from the task's.
    control
        Whether it lacks what the task asks for, so that it need not learn.
    """

    name: str
    configuration: str
    paper: str
    build: Callable[..., nn.Module]
    numbers: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    control: bool = False


@dataclass(frozen=True)
class Target:
    """What good looks like: ``met`` judges the means of a benchmark's rows."""

    text: str
    met: Callable[[Means], bool]


def draw_splits(
    draw: Callable[[str, int, np.random.Generator], Mapping[str, np.ndarray]],
    seed: int,
    sizes: Sizes,
    facts: Mapping[str, Any],
) -> Data:
    """Examples whose splits are drawn apart from one another.

    Parameters
    ----------
    draw
        ``draw(split, count, rng)`` gives the fields of ``count`` examples of "train", "valid" or
        "test", drawn from ``rng`` alone.
    seed
        Decides what is drawn.
    sizes
        Numbers of examples.
    facts
        As in `Data`.
    """
    splits = {
        split: Examples(draw(split, getattr(sizes, split), np.random.default_rng([seed, number])))
        for number, split in enumerate(SPLITS)
    }
    return Data(facts=dict(facts), **splits)


def recipe(**choices: Any) -> BaseRecipe:
    """A recipe for small models: AdamW, one cycle, no weight decay, no averaging."""
    usual = {"lr": 2e-3, "weight_decay": 0.0, "batch_size": 64, "averaging": 0.0}
    return BaseRecipe.model_validate(usual | choices)


class Task(ABC):
    """A task: its data, its loss, its figures, and the systems that solve it.

    Attributes
    ----------
    name, about
        Name on the command line, and one line that says what is asked.
    inputs
        Fields of the examples that a module takes, in order.
    systems
        The first is the one that is trained unless another is asked for.
    recipe, quick_recipe
        How systems are trained, and what differs in the quick form.
    sizes, quick_sizes
        Numbers of examples, and those of the quick form.
    shown
        Figures that a benchmark's table shows, the main one first.
    targets
        What a benchmark in full form is held against.
    """

    name: ClassVar[str]
    about: ClassVar[str]
    inputs: ClassVar[tuple[str, ...]]
    systems: ClassVar[tuple[System, ...]]
    recipe: ClassVar[BaseRecipe]
    quick_recipe: ClassVar[Mapping[str, Any]] = {"epochs": 2}
    sizes: ClassVar[Sizes]
    quick_sizes: ClassVar[Sizes]
    shown: ClassVar[tuple[str, ...]]
    targets: ClassVar[tuple[Target, ...]] = ()

    @abstractmethod
    def make(self, seed: int, sizes: Sizes) -> Data:
        """Make examples; the same seed and sizes give the same ones, byte for byte.

        `draw_splits` keeps the splits' draws apart.
        """

    @abstractmethod
    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """Mean loss of a batch; one call of ``module``."""

    @abstractmethod
    def figures(self, module: nn.Module, examples: Examples, device: torch.device) -> Metrics:
        """Figures of a module in evaluation mode; the greater the better, but for "loss"."""

    def baselines(self, data: Data, quick: bool) -> Mapping[str, Callable[[], Metrics]]:
        """Rows that need no training of ours: name, and what measures it on the test split."""
        return {}

    def validation(self, module: nn.Module, examples: Examples, device: torch.device) -> Metrics:
        """Figures at each epoch's end; a task whose figures are costly gives the loss alone."""
        return {"loss": self.mean_loss(module, examples, device)} | self.figures(
            module, examples, device
        )

    def call(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Any:
        """Output of a module for a batch."""
        return module(*(batch[name] for name in self.inputs))

    def outputs(self, module: nn.Module, examples: Examples, device: torch.device) -> np.ndarray:
        """Outputs for all examples, one after the other."""
        rounds = examples.rounds(ROUND, device)
        return np.concatenate([self.call(module, part).float().cpu().numpy() for part in rounds])

    def mean_loss(self, module: nn.Module, examples: Examples, device: torch.device) -> float:
        """Mean loss over all examples."""
        total = 0.0
        for start, part in enumerate(examples.rounds(ROUND, device)):
            count = min(ROUND, len(examples) - start * ROUND)
            total += float(self.loss(module, part)) * count
        return total / len(examples)

    def read(self, source: Path, facts: Mapping[str, Any], text: str | None) -> Examples:
        """The user's input as examples.

        Parameters
        ----------
        source
            A file or folder.
        facts
            Those of the data that the model was trained on.
        text
            What was said beside it, such as a question.

        Raises
        ------
        InputError
            When it cannot be read.
        """
        shape = facts["shape"]
        return Examples({self.inputs[0]: fitted(read_clip(source), shape)[None]})

    @abstractmethod
    def tell(
        self,
        module: nn.Module,
        examples: Examples,
        facts: Mapping[str, Any],
        device: torch.device,
        out: Path | None,
    ) -> list[str]:
        """Predict: lines for a person to read, and files under ``out`` where there is need."""

    def system(self, name: str | None) -> System:
        """A system by its name; None for the first.

        Raises
        ------
        InputError
            When there is none of that name.
        """
        from danq.errors import InputError

        known = {system.name: system for system in self.systems}
        if name is None:
            return self.systems[0]
        if name not in known:
            raise InputError(
                f"task '{self.name}' has no system '{name}'",
                remedy=f"Choose one of {', '.join(known)}",
            )
        return known[name]


class Classification(Task):
    """A task whose answer is one of ``facts["classes"]``, kept in the field ``label``."""

    shown: ClassVar[tuple[str, ...]] = ("accuracy",)

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """Cross-entropy."""
        return F.cross_entropy(self.call(module, batch).float(), batch["label"])

    def figures(self, module: nn.Module, examples: Examples, device: torch.device) -> Metrics:
        """Share of examples that are classified rightly."""
        chosen = self.outputs(module, examples, device).argmax(axis=1)
        return {"accuracy": float((chosen == examples["label"]).mean())}

    def tell(
        self,
        module: nn.Module,
        examples: Examples,
        facts: Mapping[str, Any],
        device: torch.device,
        out: Path | None,
    ) -> list[str]:
        """The three likeliest classes and their probabilities."""
        logits = torch.from_numpy(self.outputs(module, examples, device))
        lines = []
        for row in logits.softmax(dim=1):
            best = row.argsort(descending=True)[:3].tolist()
            lines.append("  ".join(f"{facts['classes'][k]} {row[k]:.3f}" for k in best))
        return lines
