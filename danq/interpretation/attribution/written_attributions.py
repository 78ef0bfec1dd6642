"""What `danq.write_attributions` wrote."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from danq.inference.writers.attribution_layout import Completeness
from danq.notebook_display import Display, display_html, display_text
from danq.output import name_of_output


class CompletenessErrors(NamedTuple):
    """Errors of completeness of all windows and tracks.

    The error is the sum of the contributions of a window, minus the difference between the outputs
    for the window and for its baselines.

    Attributes
    ----------
    share
        Sum of the errors, without their signs, divided by the sum of the differences.
    largest
        Largest error, in the unit of the output.
    """

    share: float
    largest: float

    def describe(self) -> str:
        """Both, as text."""
        return (
            f"completeness error: {100 * self.share:.2g} % of the difference between outputs for "
            f"the windows and for their baselines; the largest is {self.largest:.2g}"
        )


@dataclass
class CompletenessTally:
    """Errors of completeness, added up window by window."""

    errors: float = 0.0
    differences: float = 0.0
    largest: float = 0.0
    _any: bool = field(default=False)

    def count(self, one: Completeness | None) -> None:
        """Add a window."""
        if one is not None:
            self._any = True
            self.errors += float(np.abs(one.error).sum())
            self.differences += float(np.abs(one.difference).sum())
            self.largest = max(self.largest, float(np.abs(one.error).max()))

    def result(self) -> CompletenessErrors | None:
        """The errors; None for methods without completeness."""
        if not self._any:
            return None
        return CompletenessErrors(self.errors / max(self.differences, 1e-300), self.largest)


class WrittenAttributions(NamedTuple):
    """Attributions in a file.

    Attributes
    ----------
    path
        The file, or the directory of bigWig files.
    method
        Method of attribution.
    sequences
        Sequences that were explained.
    bases
        Number of their known bases.
    tracks
        Names of the tracks.
    completeness
        Errors of integrated gradients; None for other methods.
    """

    path: Path
    method: str
    sequences: int
    bases: int
    tracks: tuple[str, ...]
    completeness: CompletenessErrors | None = None

    __repr__ = display_text
    _repr_html_ = display_html

    def _display(self) -> Display:
        return Display.of_text(self.describe())

    def describe(self) -> str:
        """Path, bases and sequences on one line, and the errors of completeness."""
        count, tracks = self.sequences, len(self.tracks)
        text = (
            f"{name_of_output(self.path)}: {self.method}, {self.bases:,} bases in {count:,} "
            f"sequence{'s' * (count != 1)}, {tracks:,} track{'s' * (tracks != 1)}"
        )
        return text if self.completeness is None else f"{text}\n{self.completeness.describe()}"
