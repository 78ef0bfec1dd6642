"""Background sequence: Markov chains with a mammal's dinucleotides, and CpG islands."""

from __future__ import annotations

import numpy as np

from danq._jit import kernel
from danq.typing import Codes

# Rows: previous base; columns: next base. Bulk as in the human genome (GC 41 %, few CpG).
BULK = np.array(
    [
        [0.331, 0.171, 0.237, 0.261],
        [0.355, 0.255, 0.048, 0.342],
        [0.290, 0.209, 0.255, 0.246],
        [0.222, 0.201, 0.246, 0.331],
    ]
)
ISLAND = np.array(
    [
        [0.220, 0.280, 0.340, 0.160],
        [0.190, 0.320, 0.270, 0.220],
        [0.190, 0.320, 0.310, 0.180],
        [0.130, 0.290, 0.350, 0.230],
    ]
)
ENTER, LEAVE = 1 / 30_000, 1 / 1_000
"""Probability per base that an island starts and that it ends."""


def background(length: int, rng: np.random.Generator) -> Codes:
    """Random sequence of a first-order Markov chain with CpG islands.

    Parameters
    ----------
    length
        Bases.
    rng
        Random number generator; two numbers are drawn per base.

    Returns
    -------
    Codes
        ``(length,)`` uint8, without N.
    """
    out = np.empty(length, dtype=np.uint8)
    chains = np.cumsum(np.stack([BULK, ISLAND]), axis=2)
    _walk(rng.random((length, 2)), chains, ENTER, LEAVE, out)
    return out


@kernel
def _walk(draws, chains, enter, leave, out):
    island = 0
    base = 0
    for i in range(out.size):
        if draws[i, 0] < (leave if island else enter):
            island = 1 - island
        after = 0
        while after < 3 and draws[i, 1] >= chains[island, base, after]:
            after += 1
        out[i] = base = after


def _plain_walk(draws: np.ndarray, chains: np.ndarray, enter: float, leave: float) -> Codes:
    """Plain twin of :func:`_walk` with numpy's search."""
    out = []
    island, base = 0, 0
    for change, draw in draws:
        if change < (leave if island else enter):
            island = 1 - island
        base = min(3, int(np.searchsorted(chains[island, base], draw, side="right")))
        out.append(base)
    return np.array(out, dtype=np.uint8)
