"""Random sequences with the dinucleotide counts of a given sequence."""

from __future__ import annotations

import numba
import numpy as np

from danq._jit import inlined_kernel, parallel_kernel
from danq.genome.nucleotide_codes import N
from danq.typing import CodeBatch, Codes

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def dinucleotide_shuffles(codes: Codes, count: int, seed: int = 0) -> CodeBatch:
    """Shuffle a sequence; every shuffled sequence has its dinucleotides, each as often.

    All sequences with the same dinucleotide counts and the same first base are equally likely. The
    last base is then the same, too. Bases N stay in place, and the parts between them are shuffled
    separately.

    Parameters
    ----------
    codes
        ``(L,)`` integer codes.
    count
        Number of shuffled sequences.
    seed
        Random seed. Sequence number i depends only on ``codes``, ``seed`` and i.

    Returns
    -------
    np.ndarray
        ``(count, L)`` integer codes.

    Notes
    -----
    A sequence is an Eulerian path on the graph whose edges are its dinucleotides (Altschul &
    Erickson, Molecular Biology and Evolution 1985). The last edges of all bases form a random tree,
    which is drawn with the algorithm of Wilson (STOC 1996).
    """
    if count < 0:
        raise ValueError(f"count is {count}, not 0 or more")
    codes = np.ascontiguousarray(codes, np.uint8)
    out = np.repeat(codes[None], count, axis=0)
    known = np.flatnonzero(np.diff(np.concatenate([[False], codes != N, [False]]).astype(np.int8)))
    _shuffle_parts(out, known[::2], known[1::2], np.uint64(seed & 0xFFFFFFFFFFFFFFFF))
    return out


@inlined_kernel
def _mixed(x):
    """Finalizer of SplitMix64 (Steele, Lea & Flood 2014)."""
    x = (x ^ (x >> np.uint64(30))) * _FIRST
    x = (x ^ (x >> np.uint64(27))) * _SECOND
    return x ^ (x >> np.uint64(31))


@inlined_kernel
def _below(state, limit):
    """A random integer below ``limit`` (< 2**32), and the next state."""
    state = state + _GOLDEN
    drawn = _mixed(state) >> np.uint64(32)
    return np.int64((drawn * np.uint64(limit)) >> np.uint64(32)), state


@parallel_kernel
def _shuffle_parts(out, starts, ends, seed):
    """Shuffle the parts ``[starts[p], ends[p])`` of each row, which hold codes 0 to 3."""
    for row in numba.prange(out.shape[0]):
        state = _mixed(seed + np.uint64(row + 1) * _GOLDEN)
        followers = np.empty(out.shape[1], np.uint8)
        for part in range(starts.size):
            start, end = starts[part], ends[part]
            if end - start < 4:  # no other order has the same dinucleotides
                continue
            # followers[offset[b]:offset[b + 1]] are the bases that follow base b.
            offset = np.zeros(5, np.int64)
            for i in range(start, end - 1):
                offset[out[row, i] + 1] += 1
            for base in range(4):
                offset[base + 1] += offset[base]
            filled = offset[:4].copy()
            for i in range(start, end - 1):
                base = out[row, i]
                followers[filled[base]] = out[row, i + 1]
                filled[base] += 1
            # Wilson's algorithm: for each base outside of the tree, a random walk to the tree;
            # the last edges by which it left its bases, without loops, join the tree.
            final = out[row, end - 1]
            exit = np.full(4, -1, np.int64)
            in_tree = np.zeros(4, np.bool_)
            in_tree[final] = True
            for base in range(4):
                if offset[base] == offset[base + 1]:
                    continue
                at = base
                while not in_tree[at]:
                    chosen, state = _below(state, offset[at + 1] - offset[at])
                    exit[at] = offset[at] + chosen
                    at = followers[exit[at]]
                at = base
                while not in_tree[at]:
                    in_tree[at] = True
                    at = followers[exit[at]]
            for base in range(4):
                low, high = offset[base], offset[base + 1]
                if base != final and low < high:
                    high -= 1
                    followers[exit[base]], followers[high] = followers[high], followers[exit[base]]
                for i in range(high - 1, low, -1):
                    chosen, state = _below(state, i - low + 1)
                    j = low + chosen
                    followers[i], followers[j] = followers[j], followers[i]
            at = out[row, start]
            used = offset[:4].copy()
            for i in range(start + 1, end):
                follower = followers[used[at]]
                used[at] += 1
                out[row, i] = follower
                at = follower
