"""CUDA graphs and streams, and what takes their place on a CPU."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache

import torch

log = logging.getLogger("danq")

_recorder = threading.RLock()
"""Held while a function is recorded or runs on streams that all threads share. What another thread
launched on such a stream would become part of the recording."""


class Graph:
    """A function without arguments and results that is called again and again.

    On a CUDA device, the first call runs it, which compiles and loads all that it needs; the second
    call records its launches as one CUDA graph, and this and later calls replay the graph. On other
    devices, and while another graph is recorded, each call runs the function.

    Parameters
    ----------
    function
        Works on the same tensors in each call, and neither waits for the device nor draws random
        numbers.
    device
        Device of the tensors.
    """

    def __init__(self, function: Callable[[], None], device: torch.device) -> None:
        self.function, self.device = function, device
        self._calls = 0
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self) -> None:
        """Run the function, or replay it."""
        if self._graph is not None:
            self._graph.replay()
        elif self.device.type != "cuda" or torch.cuda.is_current_stream_capturing():
            self.function()
        elif self._calls == 1 and self._record():
            self._graph.replay()  # type: ignore[union-attr]
        else:
            self._run()
        self._calls += 1

    def _run(self) -> None:
        """Run the function on the stream of the recording, for which libraries keep memory."""
        with _recorder:
            stream, current = _streams(self.device)[0], torch.cuda.current_stream(self.device)
            stream.wait_stream(current)
            with torch.cuda.stream(stream):
                self.function()
            current.wait_stream(stream)

    def _record(self) -> bool:
        graph, current = torch.cuda.CUDAGraph(), torch.cuda.current_stream(self.device)
        raised: BaseException | None = None
        try:
            # Other threads may allocate and copy meanwhile.
            with (
                _recorder,
                torch.cuda.graph(
                    graph, stream=_streams(self.device)[0], capture_error_mode="thread_local"
                ),
            ):
                try:
                    self.function()
                except BaseException as error:
                    raised = error
                    raise
        except RuntimeError as error:
            # torch leaves the stream of a failed recording in place.
            torch.cuda.set_stream(current)
            # The end of a failed recording raises another error, also after an interrupt.
            cause = error if raised is None else raised
            if not isinstance(cause, RuntimeError) or isinstance(cause, torch.OutOfMemoryError):
                raise cause from None
            log.warning("no CUDA graph could be recorded, so launches take longer: %s", cause)
            return False
        self._graph = graph
        return True


def side_by_side(device: torch.device, functions: Sequence[Callable[[], None]]) -> None:
    """Run functions at the same time on a CUDA device, one after another on others.

    They must not depend on each other, and must not allocate what is used later.
    """
    if device.type != "cuda" or len(functions) == 1:
        for function in functions:
            function()
        return
    with _recorder:
        current = torch.cuda.current_stream(device)
        streams = _streams(device)[1 : 1 + len(functions)]
        for stream, function in zip(streams, functions, strict=True):
            stream.wait_stream(current)
            with torch.cuda.stream(stream):
                function()
        for stream in streams:
            current.wait_stream(stream)


def current_device(device: torch.device) -> AbstractContextManager[object]:
    """Context in which a CUDA device is the current one, on which Triton starts kernels."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def copy_stream(device: torch.device) -> torch.cuda.Stream:
    """The stream of a CUDA device for copies to the host."""
    return _streams(device)[3]


@lru_cache
def _streams(device: torch.device) -> tuple[torch.cuda.Stream, ...]:
    """A stream to record on, two to run side by side, and one for copies.

    Each is made once, because torch hands out the same 32 streams again and again.
    """
    return tuple(torch.cuda.Stream(device) for _ in range(4))
