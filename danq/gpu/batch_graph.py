"""A model for inference whose batches are replayed as one CUDA graph."""

from __future__ import annotations

import threading

import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor, nn

from danq.device import Precision
from danq.gpu.graph import Graph, current_device


class BatchGraph(nn.Module):
    """Logits ``(B, K)`` of codes ``(B, L)`` in batches of any size, without gradients.

    There is one graph, for the size of the last batch, so that results of a batch do not depend on
    earlier ones. Callers fill up batches to few sizes. Threads take turns.

    Parameters
    ----------
    model
        Maps codes to logits.
    device, precision
        Where and how it runs.
    static
        Whether all batches of one size take the same launches and no wait for the device; without
        it, there is no graph.
    """

    def __init__(
        self, model: nn.Module, device: torch.device, precision: Precision, *, static: bool
    ) -> None:
        super().__init__()
        self.model, self.device, self.precision, self.static = model, device, precision, static
        self._codes = torch.empty(0, 0, dtype=torch.uint8)
        self._logits: Tensor | None = None
        self._graph: Graph | None = None
        self._turn = threading.Lock()

    def forward(self, x: UInt8[Tensor, "B L"] | Float[Tensor, "B 4 L"]) -> Float32[Tensor, "B K"]:
        """Logits of codes, or of soft one-hot channels, for which there is no graph."""
        with torch.inference_mode(), current_device(self.device):
            if not self.static or x.dim() == 3:
                return self._compute(x)
            with self._turn:
                return self._replay(x)

    def _replay(self, x: Tensor) -> Tensor:
        if x.shape != self._codes.shape:
            self._graph = self._logits = None  # their memory is used again
            self._codes = torch.empty_like(x, memory_format=torch.contiguous_format)
            self._graph = Graph(self._run, self.device)
        assert self._graph is not None
        self._codes.copy_(x)
        self._graph()
        assert self._logits is not None
        return self._logits.clone()

    def _run(self) -> None:
        with torch.inference_mode():
            self._logits = self._compute(self._codes)

    def _compute(self, x: Tensor) -> Tensor:
        # A cached cast of an outer context could be freed while a graph still reads it.
        with torch.autocast(
            self.device.type, torch.bfloat16, self.precision == "bf16", cache_enabled=False
        ):
            return self.model(x).float()
