"""What every reader of foreign weights gives, and the checks that they share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped
from torch import Tensor

from danq.errors import InputError
from danq.models.architecture import Architecture

Array = np.ndarray


@dataclass(frozen=True)
class Foreign:
    """Weights as danq's module names and orders them.

    Attributes
    ----------
    preset
        Name of the published model.
    architecture
        Its numbers.
    tracks
        Number of tracks K.
    weights
        Arrays by the names of `danq.models.build_module`'s state.
    window
        Input length in bases.
    """

    preset: str
    architecture: Architecture
    tracks: int
    weights: dict[str, Float[Array, "..."]]
    window: int


@dataclass(frozen=True)
class Source:
    """A file of weights, and what to take for granted where it is silent.

    Attributes
    ----------
    path
        The file.
    window
        Input length in bases.
    bases
        The four bases in the order of its input channels.
    """

    path: Path
    window: int
    bases: str

    def wrong(self, problem: str, remedy: str | None = None, *, name: str | None = None):
        """An error that names this file and, if wanted, the array."""
        return InputError(problem, file=self.path, record=name, remedy=remedy)

    def check(
        self, name: str, value: Shaped[Array, "..."], shape: tuple[int | None, ...]
    ) -> Float[Array, "..."]:
        """An array as float64, which must hold finite floats in a shape; None is any size.

        Raises
        ------
        InputError
            When the type, the shape or a value is not as it must be.
        """
        if value.dtype.kind != "f":
            raise self.wrong(f"holds {value.dtype}, not floating-point numbers", name=name)
        fits = len(shape) == value.ndim and all(
            wanted in (None, found) for wanted, found in zip(shape, value.shape, strict=True)
        )
        if not fits or 0 in value.shape:
            words = ", ".join("any" if size is None else str(size) for size in shape)
            raise self.wrong(
                f"its shape is {value.shape}, not ({words})",
                "Check that the file holds the model that the format names",
                name=name,
            )
        if not np.isfinite(value).all():
            raise self.wrong("holds NaN or an infinite number", name=name)
        return value.astype(np.float64)

    def steps(self, name: str, inputs: int, per_step: int, steps: int) -> None:
        """Hold the width of the first dense layer against the steps that a window leaves.

        Raises
        ------
        InputError
            When they disagree.
        """
        if inputs != steps * per_step:
            raise self.wrong(
                f"reads {inputs:,} values, but a window of {self.window:,} bases leaves {steps:,} "
                f"steps of {per_step:,}",
                "Give the window that the model was trained on, or its right format",
                name=name,
            )

    @property
    def channels(self) -> list[int]:
        """Where A, C, G and T stand among the input channels."""
        return [self.bases.index(base) for base in "ACGT"]


def arrays(state: Mapping[str, Tensor]) -> dict[str, Array]:
    """Tensors as arrays; those in a type that numpy lacks become float32."""
    plain = {
        name: value.detach().float() if value.is_floating_point() else value.detach()
        for name, value in state.items()
    }
    return {name: value.cpu().numpy() for name, value in plain.items()}
