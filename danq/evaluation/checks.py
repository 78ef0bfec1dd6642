"""What every figure asks of scores and labels before it looks at them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from danq.errors import InputError
from danq.typing import LabelBatch, Scores


def check_pair(scores: np.ndarray, labels: np.ndarray) -> tuple[Scores, LabelBatch]:
    """Return scores and labels as C-ordered float32 and uint8 of one shape.

    Values are not looked at: the kernels do that on their way, see `refuse`.

    Parameters
    ----------
    scores
        Shape ``(N, K)``, float32 or float16.
    labels
        Shape ``(N, K)``, uint8 or bool.

    Raises
    ------
    InputError
        When the shapes are not two-dimensional or differ, the scores are of a dtype that
        float32 cannot hold (rounding would make ties), or the labels are no uint8 or bool.
    """
    scores, labels = np.asarray(scores), np.asarray(labels)
    if scores.ndim != 2 or labels.ndim != 2:
        raise InputError(
            f"scores of shape {scores.shape} and labels of shape {labels.shape} are not both "
            "tables of windows by tracks",
            remedy="Give one column to a single track: scores[:, None]",
        )
    if scores.shape != labels.shape:
        raise InputError(
            f"scores have shape {scores.shape}, labels {labels.shape}",
            remedy="Give both a row a window and a column a track",
        )
    if scores.dtype.kind != "f" or not np.can_cast(scores.dtype, np.float32, "safe"):
        raise InputError(
            f"scores are {scores.dtype}, not float32",
            remedy="Convert them with scores.astype(np.float32); rounding can make ties",
        )
    if labels.dtype != np.uint8 and labels.dtype != np.bool_:
        raise InputError(
            f"labels are {labels.dtype}, not uint8", remedy="Convert them with .astype(np.uint8)"
        )
    return np.ascontiguousarray(scores, np.float32), np.ascontiguousarray(labels).view(np.uint8)


def refuse(
    bad: np.ndarray, scores: Scores, labels: LabelBatch, names: Sequence[str] | None = None
) -> None:
    """Raise for the first track that a kernel found unfit.

    Parameters
    ----------
    bad
        ``(K,)``: 0 fit, anything else unfit.
    scores, labels
        What the kernel was given.
    names
        Track names for the message; their numbers (from 0) where None.

    Raises
    ------
    InputError
        When a track is unfit: a score is NaN, or a label neither 0 nor 1.
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
