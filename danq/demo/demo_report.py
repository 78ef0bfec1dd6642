"""Result of the demo, as a table and as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from danq._version import __version__

OUTPUTS = {
    "simulation": "genome, peaks, variants and ground truth",
    "dataset.h5": "labelled windows",
    "run": "run directory of the training",
    "evaluation": "metrics and plots on the test contig",
    "predictions.tsv.gz": "predictions along the test contig",
    "variants.tsv": "predicted and known effects of the variants",
    "summary.json": "the metrics above",
}
"""Files and directories that the demo writes, and their content."""


@dataclass(frozen=True)
class DemoReport:
    """Result of the demo.

    Attributes
    ----------
    directory
        Output directory with the entries of ``OUTPUTS``.
    tracks
        Names of the tracks.
    aupr
        AUPR (average precision) of the trained model on the test windows, by track.
    max_aupr
        AUPR of the true probabilities on the same windows, by track: the maximum achievable one.
    base_rate
        Fraction of positive test windows, by track.
    variants
        Comparison of predicted and known variant effects, see
        `danq.demo.variant_effects.compare_effects`.
    seconds
        Duration of each step in seconds.
    """

    directory: Path
    tracks: tuple[str, ...]
    aupr: Mapping[str, float]
    max_aupr: Mapping[str, float]
    base_rate: Mapping[str, float]
    variants: Mapping[str, float]
    seconds: Mapping[str, float]

    @property
    def mean_aupr(self) -> float:
        """Mean AUPR of the model over tracks."""
        return float(np.mean([self.aupr[track] for track in self.tracks]))

    @property
    def mean_max_aupr(self) -> float:
        """Mean maximum achievable AUPR over tracks."""
        return float(np.mean([self.max_aupr[track] for track in self.tracks]))

    @property
    def fraction_of_max(self) -> float:
        """Mean AUPR divided by the mean maximum achievable AUPR."""
        return self.mean_aupr / self.mean_max_aupr

    def describe(self) -> str:
        """A table of the tracks, the means, the variant effects, and the output files."""
        lines = ["track     base rate    AUPR  max AUPR"]
        lines += [
            f"{track:9} {self.base_rate[track]:9.3f} {self.aupr[track]:7.3f} "
            f"{self.max_aupr[track]:9.3f}"
            for track in self.tracks
        ]
        effects = self.variants
        lines += [
            "",
            f"mean AUPR on the test contig: {self.mean_aupr:.3f}, {self.fraction_of_max:.0%} of "
            f"the maximum achievable ({self.mean_max_aupr:.3f})",
            f"{effects['effective']:.0f} variants with an effect: correlation of predicted and "
            f"known effects {effects['correlation']:.2f}, correct sign "
            f"{effects['sign_agreement']:.0%}, median effect {effects['median_effect']:.2f} bits",
            f"{effects['neutral']:.0f} neutral variants: median effect "
            f"{effects['median_neutral_effect']:.2f} bits",
            "",
        ]
        width = max(len(str(self.directory / name)) for name in OUTPUTS)
        lines += [f"{self.directory / name!s:{width}}  {what}" for name, what in OUTPUTS.items()]
        lines += ["", f"total time {sum(self.seconds.values()):.0f} s"]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """All metrics, ready for JSON. Undefined values are None."""

        def defined(values: Mapping[str, float]) -> dict[str, float | None]:
            return {name: v if math.isfinite(v) else None for name, v in values.items()}

        means = {
            "aupr": self.mean_aupr,
            "max_aupr": self.mean_max_aupr,
            "fraction_of_max": self.fraction_of_max,
        }
        return {
            "created_by": f"danq {__version__}",
            "test_mean": defined(means),
            "aupr": defined(self.aupr),
            "max_aupr": defined(self.max_aupr),
            "base_rate": defined(self.base_rate),
            "variants": defined(self.variants),
            "seconds": {name: round(value, 2) for name, value in self.seconds.items()},
        }
