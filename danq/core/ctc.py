"""Connectionist temporal classification (CTC): one output per step to a shorter sequence.

Output 0 is the blank. A path has one output per step; merging its repeats and then removing its
blanks gives its sequence (Graves et al., ICML 2006).
"""

from __future__ import annotations

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


def _lengths(logits: Float[Tensor, "B T K"], mask: Bool[Tensor, "B T"] | None) -> list[int]:
    return [logits.shape[1]] * len(logits) if mask is None else mask.sum(dim=1).tolist()
