"""Metrics of the same windows in bf16 and in fp32."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from danq.evaluation.metrics import Ranking
from danq.typing import PerTrack


@dataclass(frozen=True)
class MetricCost:
    """One metric in both precisions.

    Attributes
    ----------
    fp32, bf16
        Mean over the tracks for which the metric is defined; NaN if there are none.
    track
        Track with the largest difference, or None.
    largest
        Its difference, bf16 minus fp32; NaN if there is none.
    """

    fp32: float
    bf16: float
    track: str | None
    largest: float

    @property
    def difference(self) -> float:
        """Difference of the means, bf16 minus fp32."""
        return self.bf16 - self.fp32

    def row(self) -> dict[str, Any]:
        """As JSON types for ``summary.json``; None where undefined."""
        values = {"fp32": self.fp32, "bf16": self.bf16, "difference": self.difference}
        values["largest_difference_of_a_track"] = self.largest
        known = {name: None if np.isnan(v) else v for name, v in values.items()}
        return {**known, "track": self.track}


@dataclass(frozen=True)
class PrecisionCost:
    """Difference between bf16 and fp32 in AUPR (average precision) and AUROC.

    Attributes
    ----------
    aupr, auroc
        The metric in both precisions.
    """

    aupr: MetricCost
    auroc: MetricCost

    @classmethod
    def between(cls, fp32: Ranking, bf16: Ranking, names: Sequence[str]) -> PrecisionCost:
        """Compare the rankings of the same windows in both precisions."""
        return cls(_compare(fp32.aupr, bf16.aupr, names), _compare(fp32.auroc, bf16.auroc, names))

    def row(self) -> dict[str, Any]:
        """As JSON types for ``summary.json``."""
        return {"aupr": self.aupr.row(), "auroc": self.auroc.row()}

    def describe(self) -> list[str]:
        """Text lines."""
        return [
            f"bf16 against fp32: mean {name} {one.bf16:.5f}, {one.fp32:.5f} ({one.difference:+.5f})"
            + (f"; largest for a track {one.largest:+.5f} ({one.track})" if one.track else "")
            for name, one in (("AUPR", self.aupr), ("AUROC", self.auroc))
        ]


def _compare(fp32: PerTrack, bf16: PerTrack, names: Sequence[str]) -> MetricCost:
    known = np.flatnonzero(~np.isnan(fp32))
    if not known.size:
        return MetricCost(float("nan"), float("nan"), None, float("nan"))
    difference = bf16[known] - fp32[known]
    worst = int(np.abs(difference).argmax())
    return MetricCost(
        float(fp32[known].mean()),
        float(bf16[known].mean()),
        names[int(known[worst])],
        float(difference[worst]),
    )
