"""What the demo came to, as figures and as text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from danq._version import __version__

PARTS = {
    "simulation": "genome, peaks, variants and their truth",
    "dataset.h5": "labelled windows",
    "run": "model, checkpoint, metrics and seeds of the training",
    "evaluation": "figures and plots on held-out windows",
    "predictions.tsv.gz": "probabilities along the held-out contig",
    "variants.tsv": "effects of the variants, as predicted and as known",
    "summary.json": "the figures above",
}
"""What the demo writes, and what is in it."""


@dataclass(frozen=True)
class DemoReport:
    """What the demo came to.

    Attributes
    ----------
    folder
        Where everything lies; ``PARTS`` names what is in it.
    tracks
        Names of the tracks.
    aupr
        Track to average precision of the trained model on held-out windows.
    ceiling
        Track to average precision of the true probabilities on the same windows.
    base_rate
        Track to share of positive windows.
    variants
        Kind of variants to their number, the correlation of predicted with known effects, and
        the share of signs that agree; see
        `danq.demo.variant_effects.compare_effects`.
    seconds
        Step to seconds that it took.
    """

    folder: Path
    tracks: tuple[str, ...]
    aupr: Mapping[str, float]
    ceiling: Mapping[str, float]
    base_rate: Mapping[str, float]
    variants: Mapping[str, float]
    seconds: Mapping[str, float]

    @property
    def mean_aupr(self) -> float:
        """Mean over tracks of the model's average precision."""
        return float(np.mean([self.aupr[track] for track in self.tracks]))

    @property
    def mean_ceiling(self) -> float:
        """Mean over tracks of the truth's average precision."""
        return float(np.mean([self.ceiling[track] for track in self.tracks]))

    @property
    def share(self) -> float:
        """Part of the ceiling that the model reaches."""
        return self.mean_aupr / self.mean_ceiling

    def describe(self) -> str:
        """A table of the tracks, the means, and where each file lies."""
        lines = ["track     base rate    AUPR  ceiling"]
        lines += [
            f"{track:9} {self.base_rate[track]:9.3f} {self.aupr[track]:7.3f} "
            f"{self.ceiling[track]:8.3f}"
            for track in self.tracks
        ]
        about = self.variants
        lines += [
            "",
            f"held-out mean AUPR {self.mean_aupr:.3f}, the simulator's own ceiling "
            f"{self.mean_ceiling:.3f}: {self.share:.0%} of it",
            f"effects of {about['changing']:.0f} variants that change a track: correlation "
            f"{about['correlation']:.2f} with the known ones, {about['signs']:.0%} of the right "
            f"sign; median size {about['changing_size']:.2f}, and {about['neutral_size']:.2f} of "
            f"{about['neutral']:.0f} neutral ones",
            "",
        ]
        width = max(len(str(self.folder / name)) for name in PARTS)
        lines += [f"{self.folder / name!s:{width}}  {what}" for name, what in PARTS.items()]
        lines += ["", f"{sum(self.seconds.values()):.0f} s in all"]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Every figure, ready for JSON; one that is not defined is None."""

        def plain(figures: Mapping[str, float]) -> dict[str, float | None]:
            return {name: v if math.isfinite(v) else None for name, v in figures.items()}

        means = {"aupr": self.mean_aupr, "ceiling": self.mean_ceiling, "share": self.share}
        return {
            "created_by": f"danq {__version__}",
            "held_out_mean": plain(means),
            "aupr": plain(self.aupr),
            "ceiling": plain(self.ceiling),
            "base_rate": plain(self.base_rate),
            "variants": plain(self.variants),
            "seconds": {name: round(value, 2) for name, value in self.seconds.items()},
        }
