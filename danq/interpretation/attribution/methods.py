"""Methods of attribution, and the baseline of integrated gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float64

from danq.errors import InputError

Method = Literal["ism", "gradient", "input-x-gradient", "integrated-gradients"]
METHODS: tuple[Method, ...] = get_args(Method)

Baseline = Literal["shuffle", "uniform", "composition"]
BASELINES: tuple[Baseline, ...] = get_args(Baseline)

STEPS, SHUFFLES = 1000, 4
MOST_STEPS, MOST_SHUFFLES = 10_000, 1_000

CONTRIBUTIONS = {
    "ism": "effects of the four bases minus their mean, so that the contribution of a base is "
    "minus the mean effect of all four",
    "gradient": "gradients with respect to the one-hot sequence, minus the mean of the four at "
    "each position",
    "input-x-gradient": "gradients with respect to the one-hot sequence",
    "integrated-gradients": "mean gradients on the path from the baseline, minus their sum "
    "weighted by the baseline",
}
"""What a contribution is, by method."""


@dataclass(frozen=True)
class Integration:
    """Baseline and steps of integrated gradients.

    Attributes
    ----------
    baseline
        Sequence that the path starts at. ``"shuffle"``: several sequences with the dinucleotide
        counts of the window, over which contributions are averaged; ``"uniform"``: 0.25 of each
        base; ``"composition"``: the fractions of the bases in the genome, in the dataset, or in all
        standalone sequences together.
    shuffles
        Number of shuffled sequences.
    steps
        Number of points on a path at which gradients are computed: the midpoints of equal
        intervals. The error of completeness is proportional to their distance, because gradients
        jump wherever a rectified unit or a maximum changes.
    seed
        Random seed of the shuffled sequences.

    Raises
    ------
    InputError
        When a value is not allowed.
    """

    baseline: Baseline = "shuffle"
    shuffles: int = SHUFFLES
    steps: int = STEPS
    seed: int = 0

    def __post_init__(self) -> None:
        if self.baseline not in BASELINES:
            raise InputError(
                f"there is no baseline '{self.baseline}'", remedy=f"Choose {', '.join(BASELINES)}"
            )
        for name, most in (("shuffles", MOST_SHUFFLES), ("steps", MOST_STEPS), ("seed", None)):
            value = getattr(self, name)
            least = 0 if name == "seed" else 1
            whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
            if not whole or value < least or (most is not None and value > most):
                upper = "" if most is None else f" to {most:,}"
                raise InputError(
                    f"{name} is {value!r}", remedy=f"Use a whole number from {least}{upper}"
                )

    def points(self) -> Float64[np.ndarray, "S"]:
        """Positions on a path, from 0 to 1."""
        return (np.arange(self.steps) + 0.5) / self.steps

    def describe(self) -> str:
        """The baseline, as text."""
        if self.baseline == "shuffle":
            return f"{self.shuffles} dinucleotide shuffles of the window, seed {self.seed}"
        return {"uniform": "0.25 of each base", "composition": "base composition"}[self.baseline]


def check_method(method: str) -> Method:
    """Check the name of a method.

    Raises
    ------
    InputError
        When there is no such method.
    """
    for known in METHODS:
        if method == known:
            return known
    raise InputError(f"there is no method '{method}'", remedy=f"Choose {', '.join(METHODS)}")
