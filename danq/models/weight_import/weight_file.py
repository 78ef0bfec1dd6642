"""A file of weights to import, the checks of its arrays, and the weights that were read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped
from torch import Tensor

from danq.errors import InputError
from danq.models.architecture import Architecture

Array = np.ndarray


class InputLayout(NamedTuple):
    """Input of an imported model, which files of weights do not store.

    Attributes
    ----------
    window
        Input length in bases.
    bin
        Bases in the middle of the window that the labels describe.
    bases
        The four bases in the order of the input channels, such as "ACGT".

    A value of None selects the default of the format.
    """

    window: int | None = None
    bin: int | None = None
    bases: str | None = None


@dataclass(frozen=True)
class ImportedWeights:
    """Weights with the names and the layout of danq's module.

    Attributes
    ----------
    preset
        Name of the published model.
    architecture
        Its hyperparameters.
    tracks
        Number of tracks K.
    weights
        Arrays by their names in the state of `danq.models.build_module`.
    window
        Input length in bases.
    """

    preset: str
    architecture: Architecture
    tracks: int
    weights: dict[str, Float[Array, "..."]]
    window: int


@dataclass(frozen=True)
class WeightFile:
    """A file of weights and the input of its model.

    Attributes
    ----------
    path
        The file.
    window
        Input length in bases.
    bases
        The four bases in the order of the input channels.
    """

    path: Path
    window: int
    bases: str

    def error(self, problem: str, remedy: str | None = None, *, name: str | None = None):
        """An `InputError` that names this file and, if given, the array."""
        return InputError(problem, file=self.path, record=name, remedy=remedy)

    def check(
        self, name: str, value: Shaped[Array, "..."], shape: tuple[int | None, ...]
    ) -> Float[Array, "..."]:
        """Check the type, shape and values of an array; return it as float64.

        None in ``shape`` allows any size.

        Raises
        ------
        InputError
            When the array holds no floating-point numbers, has another shape, or holds NaN or
            infinite values.
        """
        if value.dtype.kind != "f":
            raise self.error(f"holds {value.dtype}, not floating-point numbers", name=name)
        fits = len(shape) == value.ndim and all(
            expected in (None, found) for expected, found in zip(shape, value.shape, strict=True)
        )
        if not fits or 0 in value.shape:
            expected = ", ".join("any" if size is None else str(size) for size in shape)
            raise self.error(
                f"its shape is {value.shape}, not ({expected})",
                "Check that the file holds the model of this format",
                name=name,
            )
        if not np.isfinite(value).all():
            raise self.error("holds NaN or an infinite number", name=name)
        return value.astype(np.float64)

    def check_steps(self, name: str, inputs: int, per_step: int, steps: int) -> None:
        """Check that the first dense layer fits the number of steps of the window.

        Raises
        ------
        InputError
            When it does not.
        """
        if inputs != steps * per_step:
            raise self.error(
                f"reads {inputs:,} values, but a window of {self.window:,} bases leaves {steps:,} "
                f"steps of {per_step:,}",
                "Give the window that the model was trained on, and check the format",
                name=name,
            )

    @property
    def channels(self) -> list[int]:
        """Indices of A, C, G and T among the input channels."""
        return [self.bases.index(base) for base in "ACGT"]


def to_arrays(state: Mapping[str, Tensor]) -> dict[str, Array]:
    """Tensors as numpy arrays; floating-point types become float32."""
    plain = {
        name: value.detach().float() if value.is_floating_point() else value.detach()
        for name, value in state.items()
    }
    return {name: value.cpu().numpy() for name, value in plain.items()}
