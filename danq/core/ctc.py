"""Connectionist temporal classification: symbols of steps to a shorter sequence.

Output 0 is the blank. A path of one output a step reads as the sequence that is left when repeats
are merged and blanks dropped (Graves et al., ICML 2006).
"""

from __future__ import annotations

import math
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
    """Minus the log probability of the targets, a symbol, the mean over rows.

    Parameters
    ----------
    logits
        Of blank and symbols at each step.
    target
        Symbols 1 to K - 1.
    mask, target_mask
        Real steps and real symbols.

    Raises
    ------
    ValueError
        When a row has too few steps for its target: one for each symbol, and one more between two
        that are alike.
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
    """The sequence that the likeliest path of each row reads as."""
    best, lengths = logits.argmax(dim=2).tolist(), _lengths(logits, mask)
    return [
        tuple(symbol for symbol, _ in groupby(path[:n]) if symbol != BLANK)
        for path, n in zip(best, lengths, strict=True)
    ]


@torch.no_grad()
def ctc_beam(
    logits: Float[Tensor, "B T K"], mask: Bool[Tensor, "B T"] | None = None, *, width: int = 10
) -> list[list[tuple[tuple[int, ...], float]]]:
    """The likeliest sequences of each row, over all their paths, by prefix beam search.

    Returns
    -------
    For each row at most ``width`` pairs of a sequence and its log probability, best first; a beam
    that holds all prefixes gives them exactly.
    """
    logs, lengths = logits.double().log_softmax(dim=2).tolist(), _lengths(logits, mask)
    return [_prefixes(row[:n], width) for row, n in zip(logs, lengths, strict=True)]


def _prefixes(logs: list[list[float]], width: int) -> list[tuple[tuple[int, ...], float]]:
    # A prefix carries two sums, of its paths that end in a blank and of those that end in its
    # last symbol: only the former may be followed by the same symbol anew.
    beam = {(): (0.0, -math.inf)}
    for step in logs:
        grown: dict[tuple[int, ...], tuple[float, float]] = {}

        def add(prefix: tuple[int, ...], blank: float, symbol: float, into=grown) -> None:
            if max(blank, symbol) > -math.inf:
                before = into.get(prefix, (-math.inf, -math.inf))
                into[prefix] = (_plus(before[0], blank), _plus(before[1], symbol))

        for prefix, (blank, symbol) in beam.items():
            both = _plus(blank, symbol)
            add(prefix, both + step[BLANK], symbol + step[prefix[-1]] if prefix else -math.inf)
            for other in range(1, len(step)):
                twin = prefix[-1:] == (other,)
                add((*prefix, other), -math.inf, (blank if twin else both) + step[other])
        best = sorted(grown, key=lambda prefix: -_plus(*grown[prefix]))[:width]
        beam = {prefix: grown[prefix] for prefix in best}
    return [(prefix, _plus(*sums)) for prefix, sums in beam.items()]


def _plus(a: float, b: float) -> float:
    """Logarithm of the sum of two numbers given as logarithms."""
    high, low = max(a, b), min(a, b)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))


def _lengths(logits: Float[Tensor, "B T K"], mask: Bool[Tensor, "B T"] | None) -> list[int]:
    return [logits.shape[1]] * len(logits) if mask is None else mask.sum(dim=1).tolist()
