"""Sequences from a decoder that gives one symbol at a time: greedy and beam search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor


class Rows(Protocol):
    """What a decoder remembers of several rows."""

    @property
    def device(self) -> torch.device: ...

    def __len__(self) -> int: ...

    def pick(self: S, rows: Int[Tensor, " M"]) -> S:
        """The rows of those numbers, in that order."""
        ...


S = TypeVar("S", bound=Rows)
Step = Callable[[Int[Tensor, " N"], S], tuple[Float[Tensor, "N V"], S]]
"""The last symbol and the state of each row -> logits of the next symbol, and the next state."""


@dataclass(frozen=True)
class Hypothesis:
    """A sequence that a search found.

    Attributes
    ----------
    symbols
        Without start and end.
    score
        Logarithm of its probability, end included, over ``length ** alpha``.
    ended
        Whether it came to the end symbol before the limit.
    """

    symbols: tuple[int, ...]
    score: float
    ended: bool


@torch.no_grad()
def greedy(step: Step[S], state: S, *, start: int, end: int, limit: int) -> list[Hypothesis]:
    """The likeliest symbol at each step, for each row of a state.

    Parameters
    ----------
    step, state
        The decoder, and its state before the first symbol.
    start, end
        Symbols that begin and end a sequence.
    limit
        Symbols at most, the end included.
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
    """The best sequences that a beam of ``width`` finds, for each row of a state.

    After each symbol the ``width`` best prefixes of a row go on. One that has ended keeps its place
    for as long as it is among them. Width 1 is `greedy`; a width of all prefixes there are is an
    exhaustive search.

    Parameters
    ----------
    step, state, start, end, limit
        As in `greedy`.
    width
        Prefixes kept a row.
    alpha
        Prefixes are compared by score over ``length ** alpha``, the end counted: 0 favours short
        sequences, 1 is the mean of a symbol.

    Returns
    -------
    For each row at most ``width`` sequences, best first.
    """
    rows, device = len(state), state.device
    offset = width * torch.arange(rows, device=device).unsqueeze(1)
    state = state.pick(torch.arange(rows, device=device).repeat_interleave(width))
    symbols = torch.full((rows, width, 1), start, device=device)
    length = torch.zeros(rows, width, dtype=torch.long, device=device)
    ended = torch.zeros(rows, width, dtype=torch.bool, device=device)
    # All prefixes are the same at first: one of them counts.
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
        state = state.pick((parent + offset).flatten())
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
