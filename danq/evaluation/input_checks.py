"""Checks of the scores and labels that every metric takes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from danq.errors import InputError
from danq.typing import LabelBatch, Scores


def check_arrays(scores: np.ndarray, labels: np.ndarray) -> tuple[Scores, LabelBatch]:
    """Check shapes and types; return C-ordered arrays of float32 and uint8.

    The kernels check the values, see `check_values`.

    Parameters
    ----------
    scores
        Shape ``(N, K)``, float32 or float16.
    labels
        Shape ``(N, K)``, uint8 or bool.

    Raises
    ------
    InputError
        When an array is not two-dimensional, the shapes differ, the scores have a dtype that
        float32 cannot represent exactly (rounding could create ties), or the labels are not uint8
        or bool.
    """
    scores, labels = np.asarray(scores), np.asarray(labels)
    if scores.ndim != 2 or labels.ndim != 2:
        raise InputError(
            f"scores of shape {scores.shape} and labels of shape {labels.shape} are not both "
            "tables of windows by tracks",
            remedy="Add a dimension for a single track: scores[:, None]",
        )
    if scores.shape != labels.shape:
        raise InputError(
            f"scores have shape {scores.shape}, labels {labels.shape}",
            remedy="Use one row per window and one column per track in both",
        )
    if scores.dtype.kind != "f" or not np.can_cast(scores.dtype, np.float32, "safe"):
        raise InputError(
            f"scores are {scores.dtype}, not float32",
            remedy="Convert them with scores.astype(np.float32); rounding can create ties",
        )
    if labels.dtype != np.uint8 and labels.dtype != np.bool_:
        raise InputError(
            f"labels are {labels.dtype}, not uint8", remedy="Convert them with .astype(np.uint8)"
        )
    return np.ascontiguousarray(scores, np.float32), np.ascontiguousarray(labels).view(np.uint8)


def check_values(
    bad: np.ndarray, scores: Scores, labels: LabelBatch, names: Sequence[str] | None = None
) -> None:
    """Raise an error about the first track that a kernel marked as invalid.

    Parameters
    ----------
    bad
        ``(K,)``: 0 for a valid track, another value for an invalid one.
    scores, labels
        The input of the kernel.
    names
        Track names for the message; None for their indices.

    Raises
    ------
    InputError
        When a score is NaN, or a label is neither 0 nor 1.
    """
    found = np.flatnonzero(bad)
    if not found.size:
        return
    k = int(found[0])
    track = f"track {k}" if names is None else names[k]
    rows = np.flatnonzero(np.isnan(scores[:, k]))
    if rows.size:
        raise InputError(
            f"the score of window {rows[0]} is NaN ({rows.size} of {len(scores)} are)",
            record=track,
            remedy="A model that diverged in training gives NaN; train it again",
        )
    row = int(np.flatnonzero(labels[:, k] > 1)[0])
    raise InputError(
        f"the label of window {row} is {labels[row, k]}, neither 0 nor 1", record=track
    )
