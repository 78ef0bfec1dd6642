"""Checks of the content of a dataset file: a file with a right seal may still be wrong."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from danq.names import check_names

if TYPE_CHECKING:
    from danq.datasets.dataset import Dataset

MOST_BASES = 1 << 31
"""Largest window, bin and stride."""


def whole_number(
    attributes: Mapping[str, Any], name: str, least: int = 1, most: int = MOST_BASES
) -> int:
    """An attribute that is a whole number from ``least`` to ``most``.

    Raises
    ------
    ValueError
        When it is something else.
    """
    value = attributes[name]
    if not isinstance(value, Integral) or not least <= int(value) <= most:
        raise ValueError(f"{name} is {_shown(value)}, not a whole number from {least} to {most:,}")
    return int(value)


def fraction(attributes: Mapping[str, Any], name: str) -> float:
    """An attribute that is a number above 0 and up to 1.

    Raises
    ------
    ValueError
        When it is something else.
    """
    value = attributes[name]
    if not isinstance(value, float | np.floating) or not 0 < float(value) <= 1:
        raise ValueError(f"{name} is {_shown(value)}, not a number above 0 and up to 1")
    return float(value)


def build_options(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The attribute ``build``, a JSON object of finite numbers.

    Raises
    ------
    ValueError
        When it is something else.
    """
    text = attributes["build"]
    if not isinstance(text, str):
        raise ValueError(f"build is {type(text).__name__}, not text")
    try:
        found = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("build is nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError("build is not a JSON object")
    if not isinstance(found.get("standalone", False), bool):
        raise ValueError("'standalone' of build is neither true nor false")
    return found


def check_content(dataset: Dataset) -> None:
    """Check what readers of a dataset file rely on, and its arrays do not show by their shapes.

    Raises
    ------
    ValueError
        When a bin is not inside its contig, a label beyond the last track is set, a number of
        peaks is below 0, the bin is larger than the window, or a name repeats.
    InputError
        When the name of a track or contig is unusable (`danq.names`).
    """
    for kind, names in (("track", dataset.tracks), ("contig", dataset.genome.names)):
        check_names(names, kind, file=dataset.path)
        if len(set(names)) < len(names):
            raise ValueError(f"two {kind}s have the same name")
    if dataset.bin > dataset.window:
        raise ValueError(f"the bin of {dataset.bin:,} bases is larger than the window")
    if dataset.peaks.size and int(dataset.peaks.min()) < 0:
        raise ValueError(f"the number of peaks of a track is {dataset.peaks.min()}")
    ends = dataset.genome.lengths[dataset.contig] - dataset.bin
    outside = np.flatnonzero((dataset.start < 0) | (dataset.start > ends))
    if outside.size:
        raise ValueError(
            f"the bin of window {outside[0]:,} starts at {dataset.start[outside[0]]:,}, which is "
            "outside its contig"
        )
    spare = -dataset.peaks.size % 8
    if spare and dataset.packed.size and int(dataset.packed[:, -1].max()) >> (8 - spare):
        raise ValueError("labels are set beyond the last track")
    if dataset.measured is not None:
        dataset.measured.check()
        group = dataset.measured.group
        if group.step and group.steps * group.step != dataset.bin:
            raise ValueError(
                f"profiles have {group.steps:,} steps of {group.step:,} bases, but a bin has "
                f"{dataset.bin:,}"
            )
    dataset.values.check(len(dataset), dataset.window)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"build contains {name}")


def _shown(value: object) -> str:
    if isinstance(value, float | np.floating) and not math.isfinite(value):
        return str(value)
    return repr(value)[:40]
