"""Score variants on a GPU: windows are composed there, and evaluated in large batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from jaxtyping import Int64
from torch import Tensor

from danq.device import memory_errors
from danq.genome.variants.window_pieces import WindowPieces
from danq.inference.engine.device_genome import DeviceGenome, reverse_complement
from danq.inference.engine.transfer import Pending, Transfer
from danq.inference.engine.whole_windows import WholeWindows
from danq.inference.track_levels import TrackLevels
from danq.inference.variants.background import Background
from danq.inference.variants.score_columns import Logits, ScoreColumns
from danq.inference.variants.scorer import group_pairs
from danq.inference.variants.variant_input import AlleleWindows
from danq.inference.writers.layout import Values
from danq.inference.writers.variant_layout import VariantLayout


@dataclass(frozen=True)
class DeviceScorer:
    """As `danq.inference.variants.scorer.Scorer`, for windows that are composed on a device.

    Attributes
    ----------
    engines
        One per model.
    genome
        The genome on the device.
    transfer
        Copies results to the host.
    track_indices
        Indices of the selected tracks.
    both_strands
        Whether the reverse complement is also scored.
    layout
        Columns of the output.
    background
        Background distribution for E-values, quantiles and p.
    levels
        Computes levels of all tracks of the model; None if they are all of peaks.
    reverse_tracks
        As `danq.models.targets.reverse_tracks`.
    """

    engines: Sequence[WholeWindows]
    genome: DeviceGenome
    transfer: Transfer
    track_indices: tuple[int, ...]
    both_strands: bool
    layout: VariantLayout
    background: Background | None = None
    levels: TrackLevels | None = None
    reverse_tracks: tuple[int, ...] = ()
    in_flight: ClassVar[int] = 1

    @cached_property
    def _selected(self) -> Int64[Tensor, "K"]:
        # Made once, because the host waits for the device when it copies from unpinned memory.
        return torch.tensor(self.track_indices, device=self.genome.device)

    @cached_property
    def _exchanged(self) -> Int64[Tensor, "K"]:
        return torch.tensor(self.reverse_tracks, device=self.genome.device)

    def start(self, windows: AlleleWindows) -> Callable[[], Values]:
        """Begin to score a block; the result waits for its values."""
        columns = ScoreColumns(self.track_indices, self.layout, self.background, self.levels)
        anchors = len(windows.alternate_pieces)
        reference = WindowPieces.concatenated([windows.reference_pieces] * anchors)
        alternate = WindowPieces.concatenated(list(windows.alternate_pieces))
        if not len(reference):
            return lambda: columns.empty(0)
        first, pairs, owner, rows_of = group_pairs(reference.keys, alternate.keys)
        distinct = WindowPieces.concatenated([reference[first], alternate[pairs]])
        with memory_errors(self.engines[0].batch), torch.inference_mode():
            forward = self.genome.written(distinct)
            strands = [forward, *([reverse_complement(forward)] if self.both_strands else [])]

            def host(logits: Tensor, strand: int) -> Pending:
                if strand and self.reverse_tracks:
                    logits = logits.index_select(1, self._exchanged)
                kept = logits if columns.compares_tracks else logits.index_select(1, self._selected)
                return self.transfer.to_host(kept)

            waiting = [
                [host(engine.logits(codes), strand) for strand, codes in enumerate(strands)]
                for engine in self.engines
            ]

        def values() -> Values:
            models = []
            for each in waiting:
                logits = [ready() for ready in each]
                models.append(
                    [Logits(one[: len(first)], one[len(first) :], owner) for one in logits]
                )
            return columns.values(models, rows_of.reshape(anchors, -1))

        return values
