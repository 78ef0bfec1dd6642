"""Outputs and gradients of one model on one strand."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from danq.interpretation.attribution.differentiable_model import (
    Channels,
    DifferentiableModel,
    Padding,
)


class StrandGradients:
    """Outputs and gradients of tracks for windows of one strand.

    Gradients with respect to windows are computed by automatic differentiation of the composition
    of the padding, the first layer and the rest of the model.

    Parameters
    ----------
    model
        The model.
    codes
        Windows.
    tracks
        Indices of the tracks on this strand.
    batch
        Sequences in a batch.
    """

    def __init__(
        self,
        model: DifferentiableModel,
        codes: UInt8[Tensor, "W L"],
        tracks: Int64[Tensor, "P"],
        batch: int,
    ) -> None:
        self._model, self._tracks, self._batch = model, tracks, batch
        self._padding = Padding(model.module, codes)
        self.windows: Channels = model.channels(codes)

    @torch.no_grad()
    def outputs(self, channels: Channels, rows: Int64[Tensor, "Q"]) -> Float[Tensor, "Q P"]:
        """Outputs for sequences.

        Parameters
        ----------
        channels
            ``(Q, 4, L)`` sequences.
        rows
            Window whose unknown bases each sequence has.
        """
        parts = zip(channels.split(self._batch), rows.split(self._batch), strict=True)
        found = [self._model.outputs(self._scores(*part), self._mask(part[1]), self._tracks)
                 for part in parts]  # fmt: skip
        return torch.cat(found)

    def path_gradients(
        self,
        starts: Channels | None,
        rows: Int64[Tensor, "Q"],
        points: Float[Tensor, "S"],
    ) -> list[Float[Tensor, "Q 4 L"]]:
        """For each track, mean gradients at points between two sequences.

        Parameters
        ----------
        starts
            ``(Q, 4, L)`` sequences at which the paths start; None for those at which they end.
        rows
            Window at which each path ends.
        points
            Positions on the paths, from 0 to 1.
        """
        ends = self.windows[rows].requires_grad_()
        scores = self._scores(ends, rows)
        first = None
        if starts is not None:
            with torch.no_grad():
                first = self._scores(starts, rows)
        total = [torch.zeros_like(ends) for _ in self._tracks]
        size = max(1, self._batch // len(ends))
        for part in points.split(size):
            found = self._score_gradients(scores, first, rows, part)
            for sums, gradients in zip(total, found, strict=True):
                sums += torch.autograd.grad(scores, ends, gradients, retain_graph=True)[0]
        return [sums / len(points) for sums in total]

    def _score_gradients(
        self,
        scores: list[Tensor],
        first: list[Tensor] | None,
        rows: Tensor,
        points: Tensor,
    ) -> Iterator[list[Tensor]]:
        """For each track, sums of gradients with respect to scores of the first layer."""
        count = len(points)
        given = []
        for number, end in enumerate(scores):
            last = end.detach().unsqueeze(1)
            if first is None:
                each = last.expand(-1, count, -1, -1)
            else:
                at = points.to(last.dtype)[:, None, None]
                each = torch.lerp(first[number].unsqueeze(1), last, at)
            given.append(each.flatten(0, 1).requires_grad_())
        mask = self._mask(rows.repeat_interleave(count))
        outputs = self._model.outputs(given, mask, self._tracks)
        totals = outputs.sum(0)
        for track, one in enumerate(totals):
            more = track + 1 < len(totals)
            found = torch.autograd.grad(one, given, retain_graph=more)
            yield [gradients.unflatten(0, (-1, count)).sum(1) for gradients in found]

    def _scores(self, channels: Channels, rows: Tensor) -> list[Tensor]:
        first = self._model.first
        return first.scores(self._padding.moved(channels, rows, first.unknown))

    def _mask(self, rows: Tensor) -> Tensor | None:
        return self._padding.steps(rows)
