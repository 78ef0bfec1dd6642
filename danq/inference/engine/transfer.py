"""Copies of results from the device of a model, which overlap with its computation."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from danq.gpu.graph import copy_stream

T = TypeVar("T")

Pending = Callable[[], np.ndarray]
"""Waits for a result and returns it."""


class Transfer:
    """Copies for a device without streams, such as the CPU: each batch is done before the next.

    Parameters
    ----------
    device
        Where the model runs.

    Attributes
    ----------
    in_flight
        Batches that the device may hold while the host reads the results of earlier ones.
    large_batches
        Whether the device prefers few large batches of one shape: both strands are then computed
        together, and a smaller batch is filled up.
    """

    in_flight = 0
    large_batches = False

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def to_host(self, result: Tensor) -> Pending:
        """Begin to copy a result to the host; nothing may change it before the copy is done."""
        copied = result.cpu().numpy()
        return lambda: copied

    def run(
        self, batches: Iterable[T], compute: Callable[[T], Tensor]
    ) -> Generator[np.ndarray, None, None]:
        """Compute batch after batch, and copy results back while later batches compute.

        Parameters
        ----------
        batches
            Arguments of ``compute``.
        compute
            Returns a result on the device, in separate memory.

        Yields
        ------
        np.ndarray
            The results, in order.
        """
        begun = (self.to_host(compute(batch)) for batch in batches)
        return overlapped(begun, self.in_flight)


class CudaTransfer(Transfer):
    """Copies to pinned memory on a second stream."""

    in_flight = 2
    large_batches = True

    def __init__(self, device: torch.device) -> None:
        super().__init__(device)
        self._stream = copy_stream(device)

    def to_host(self, result: Tensor) -> Pending:
        pinned = torch.empty(result.shape, dtype=result.dtype, pin_memory=True)
        self._stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self._stream):
            pinned.copy_(result, non_blocking=True)
            done = self._stream.record_event()
        result.record_stream(self._stream)

        def wait() -> np.ndarray:
            done.synchronize()
            return pinned.numpy()

        return wait


def overlapped(begun: Iterable[Callable[[], T]], in_flight: int) -> Generator[T, None, None]:
    """Results, in order, of work that continues after it is begun.

    Parameters
    ----------
    begun
        Begins work when it is asked for an item; the item waits for the result and returns it.
    in_flight
        Items that are begun before the result of an earlier one is waited for.
    """
    waiting: deque[Callable[[], T]] = deque()
    for one in begun:
        waiting.append(one)
        if len(waiting) > in_flight:
            yield waiting.popleft()()
    while waiting:
        yield waiting.popleft()()


def transfer_for(device: torch.device) -> Transfer:
    """The copies of a kind of device."""
    return CudaTransfer(device) if device.type == "cuda" else Transfer(device)
