"""Predictions for the validation split, of which every process computes some batches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from danq.training.processes import Processes, as_rows
from danq.training.stop_signal import StopRequested


def computed_together(
    compute: Callable[[np.ndarray], np.ndarray],
    windows: np.ndarray,
    batch_size: int,
    processes: Processes,
    module: nn.Module,
    device: torch.device,
    *,
    axis: int = 0,
) -> np.ndarray | None:
    """Predictions for all windows in the first process; None in the others.

    Each process computes whole batches, so that predictions do not depend on the number of
    processes.

    Parameters
    ----------
    compute
        Returns the predictions for some windows.
    windows
        Indices of the windows.
    batch_size
        Windows that ``compute`` predicts at once.
    processes
        The processes.
    module, device
        The model that ``compute`` calls, and its device.
    axis
        Axis of the windows in the predictions.

    Raises
    ------
    StopRequested
        In all processes, when one of them received a signal to stop.
    """
    batches = np.arange(len(windows)) // batch_size
    rows = [np.flatnonzero(batches % processes.world == rank) for rank in range(processes.world)]
    own, found, stopped = rows[processes.rank], None, False
    try:
        with processes.stop.checked_in(module, device):
            found = compute(windows[own]) if own.size else None
    except StopRequested:
        stopped = True
    if any(processes.gather(stopped or processes.stop.requested)):
        raise StopRequested("the training is to stop")
    if processes.world == 1:
        return found
    parts = processes.collect(found)
    return as_rows(parts, rows, axis) if processes.is_first else None
