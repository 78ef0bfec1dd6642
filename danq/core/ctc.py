"""Connectionist temporal classification (CTC): one output per step to a shorter sequence.

Output 0 is the blank. A path has one output per step; merging its repeats and then removing its
blanks gives its sequence (Graves et al., ICML 2006).
"""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import groupby

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

BLANK = 0


def ctc_loss(
    logits: Float[Tensor, "B T K"],
    target: Int[Tensor, "B S"],
    mask: Bool[Tensor, "B T"] | None = None,
    target_mask: Bool[Tensor, "B S"] | None = None,
) -> Float[Tensor, ""]:
    """Negative log probability of the targets per symbol, averaged over rows.

    Parameters
    ----------
    logits
        Logits of the blank and the symbols at each step.
    target
        Symbols 1 to K - 1.
    mask, target_mask
        Real steps and real symbols.

    Raises
    ------
    ValueError
        When a row has too few steps for its target. A target needs a step per symbol, and one more
        between two equal symbols.
    """
    rows, steps = logits.shape[:2]
    real = target.new_ones(target.shape).bool() if target_mask is None else target_mask
    lengths = torch.full((rows,), steps) if mask is None else mask.sum(dim=1).cpu()
    sizes = real.sum(dim=1)
    twins = ((target[:, 1:] == target[:, :-1]) & real[:, 1:]).sum(dim=1)
    short = ((sizes + twins).cpu() > lengths).nonzero().flatten().tolist()
    if short:
        row = short[0]
        raise ValueError(
            f"row {row} has {int(lengths[row])} steps, its target needs {int((sizes + twins)[row])}"
        )
    logs = logits.log_softmax(dim=2).transpose(0, 1)
    safe = target.masked_fill(~real, 1)
    losses = F.ctc_loss(logs, safe, lengths, sizes.cpu(), blank=BLANK, reduction="none")
    return (losses / sizes.clamp(min=1)).mean()


def ctc_greedy(
    logits: Float[Tensor, "B T K"], mask: Bool[Tensor, "B T"] | None = None
) -> list[tuple[int, ...]]:
    """The sequence of the most probable path of each row."""
    best, lengths = logits.argmax(dim=2).tolist(), _lengths(logits, mask)
    return [
        tuple(symbol for symbol, _ in groupby(path[:n]) if symbol != BLANK)
        for path, n in zip(best, lengths, strict=True)
    ]


@torch.no_grad()
def ctc_beam(
    logits: Float[Tensor, "B T K"], mask: Bool[Tensor, "B T"] | None = None, *, width: int = 10
) -> list[list[tuple[tuple[int, ...], float]]]:
    """The most probable sequences of each row, each summed over its paths, by prefix beam search.

    Returns
    -------
    For each row at most ``width`` pairs of a sequence and its log probability, best first. They are
    exact when the beam holds all prefixes.
    """
    logs, lengths = logits.double().log_softmax(dim=2).tolist(), _lengths(logits, mask)
    return [_prefixes(row[:n], width) for row, n in zip(logs, lengths, strict=True)]


def _prefixes(logs: list[list[float]], width: int) -> list[tuple[tuple[int, ...], float]]:
    # Each prefix has two sums: of its paths that end in a blank and of those that end in its last
    # symbol. Only the former can repeat that symbol.
    beam: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, -math.inf)}
    for step in logs:
        blanks, lasts = (defaultdict[tuple[int, ...], float](lambda: -math.inf) for _ in range(2))
        for prefix, (blank, last) in beam.items():
            both = _plus(blank, last)
            blanks[prefix] = both + step[BLANK]
            if prefix:
                lasts[prefix] = _plus(lasts[prefix], last + step[prefix[-1]])
            for symbol in range(1, len(step)):
                longer = (*prefix, symbol)
                before = blank if prefix[-1:] == (symbol,) else both
                lasts[longer] = _plus(lasts[longer], before + step[symbol])
        sums = {prefix: (blanks[prefix], lasts[prefix]) for prefix in {**blanks, **lasts}}
        best = sorted(sums, key=lambda prefix: -_plus(*sums[prefix]))[:width]
        beam = {prefix: sums[prefix] for prefix in best if max(sums[prefix]) > -math.inf}
    return [(prefix, _plus(*pair)) for prefix, pair in beam.items()]


def _plus(a: float, b: float) -> float:
    """Logarithm of the sum of two numbers, given and returned as logarithms."""
    high, low = max(a, b), min(a, b)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))


def _lengths(logits: Float[Tensor, "B T K"], mask: Bool[Tensor, "B T"] | None) -> list[int]:
    return [logits.shape[1]] * len(logits) if mask is None else mask.sum(dim=1).tolist()
