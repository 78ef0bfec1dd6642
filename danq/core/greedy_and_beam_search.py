"""Greedy and beam search for the sequences of a decoder that gives one symbol per step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor


class Rows(Protocol):
    """State of a decoder for several rows."""

    @property
    def device(self) -> torch.device: ...

    def __len__(self) -> int: ...

    def select(self: S, rows: Int[Tensor, " M"]) -> S:
        """The rows at these indices, in their order."""
        ...


S = TypeVar("S", bound=Rows)
Step = Callable[[Int[Tensor, " N"], S], tuple[Float[Tensor, "N V"], S]]
"""Takes the last symbol and the state of each row; returns the next symbol's logits and state."""


@dataclass(frozen=True)
class Hypothesis:
    """A sequence found by a search.

    Attributes
    ----------
    symbols
        Symbols without start and end.
    score
        Log probability of the sequence with its end symbol, divided by ``length ** alpha``.
    ended
        Whether the end symbol was reached within the limit.
    """

    symbols: tuple[int, ...]
    score: float
    ended: bool


@torch.no_grad()
def greedy(step: Step[S], state: S, *, start: int, end: int, limit: int) -> list[Hypothesis]:
    """Take the most probable symbol at each step, for each row of a state.

    Parameters
    ----------
    step, state
        The decoder and its state before the first symbol.
    start, end
        The start and end symbols.
    limit
        Largest number of symbols, with the end symbol.
    """
    last = torch.full((len(state),), start, device=state.device)
    score = torch.zeros(len(state), dtype=torch.float64, device=state.device)
    ended = torch.zeros(len(state), dtype=torch.bool, device=state.device)
    found: list[Tensor] = []
    for _ in range(limit):
        logits, state = step(last, state)
        best, last = logits.log_softmax(dim=1).max(dim=1)
        score += best.masked_fill(ended, 0.0)
        ended |= last == end
        found.append(last)
        if ended.all():
            break
    return [
        _hypothesis(symbols, one, end)
        for symbols, one in zip(torch.stack(found, dim=1).tolist(), score.tolist(), strict=True)
    ]


@torch.no_grad()
def beam_search(
    step: Step[S],
    state: S,
    *,
    start: int,
    end: int,
    limit: int,
    width: int,
    alpha: float = 0.0,
) -> list[list[Hypothesis]]:
    """Find the best sequences with a beam of ``width`` prefixes, for each row of a state.

    After each symbol the ``width`` best prefixes of a row are kept; a prefix that has ended is kept
    while it is among them. Width 1 equals `greedy`. A width of at least the number of possible
    prefixes is an exhaustive search.

    Parameters
    ----------
    step, state, start, end, limit
        As in `greedy`.
    width
        Number of prefixes kept per row.
    alpha
        Prefixes are ranked by log probability divided by ``length ** alpha``; the length counts
        the end symbol. 0 favours short sequences; 1 ranks by the mean per symbol.

    Returns
    -------
    For each row at most ``width`` sequences, best first.
    """
    rows, device = len(state), state.device
    offset = width * torch.arange(rows, device=device).unsqueeze(1)
    state = state.select(torch.arange(rows, device=device).repeat_interleave(width))
    symbols = torch.full((rows, width, 1), start, device=device)
    length = torch.zeros(rows, width, dtype=torch.long, device=device)
    ended = torch.zeros(rows, width, dtype=torch.bool, device=device)
    # All prefixes of a row are equal at first, so only one has a finite score.
    score = torch.full((rows, width), float("-inf"), dtype=torch.float64, device=device)
    score[:, 0] = 0.0
    for _ in range(limit):
        logits, state = step(symbols[:, :, -1].flatten(), state)
        logs = logits.log_softmax(dim=1).unflatten(0, (rows, width))
        after_end = torch.full_like(logs[0, 0], float("-inf"))
        after_end[end] = 0.0
        candidates = score.unsqueeze(2) + logs.where(~ended.unsqueeze(2), after_end)
        length = length + ~ended
        best = (candidates / length.unsqueeze(2) ** alpha).flatten(1).topk(width).indices
        parent, symbol = best // logs.shape[2], best % logs.shape[2]
        score = candidates.flatten(1).gather(1, best)
        length, ended = length.gather(1, parent), ended.gather(1, parent) | (symbol == end)
        before = symbols.gather(1, parent.unsqueeze(2).expand_as(symbols))
        symbols = torch.cat([before, symbol.unsqueeze(2)], dim=2)
        state = state.select((parent + offset).flatten())
        if ended.all():
            break
    score = score / length**alpha
    return [
        [
            _hypothesis(one, value, end)
            for one, value in zip(row, values, strict=True)
            if value > float("-inf")
        ]
        for row, values in zip(symbols[:, :, 1:].tolist(), score.tolist(), strict=True)
    ]


def _hypothesis(symbols: list[int], score: float, end: int) -> Hypothesis:
    ended = end in symbols
    return Hypothesis(tuple(symbols[: symbols.index(end)] if ended else symbols), score, ended)
