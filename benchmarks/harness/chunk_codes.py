"""Codes of the windows of a chunk."""

from __future__ import annotations

from danq.inference.engine.genome_windows import Positions
from danq.inference.engine.overlapping_windows import OverlappingWindows
from danq.inference.sources.tiling import Chunk
from danq.typing import CodeBatch


def codes_of(chunk: Chunk) -> CodeBatch:
    """``(B, L)`` codes of the windows, which a model on the CPU reads."""
    assert not isinstance(chunk.windows, Positions)
    return chunk.windows.cut() if isinstance(chunk.windows, OverlappingWindows) else chunk.windows
