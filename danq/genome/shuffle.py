"""Shuffle a sequence without changing its dinucleotide counts."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from danq._jit import kernel
from danq.errors import InputError
from danq.genome.nucleotide_codes import N
from danq.typing import Codes

SYMBOLS = N + 1


def dinucleotide_shuffle(codes: Codes, seed: int | np.random.Generator) -> Codes:
    """Shuffle a sequence with exactly the same dinucleotides.

    Every sequence with the same first letter and the same counts of the 25 pairs of
    neighbouring letters (N is a fifth letter) is equally probable; the last letter is the same,
    too. A sequence is a path through a graph of letters. The result is a random Eulerian path
    of that graph [1]_; the last exits are drawn by a loop-erased random walk [2]_.

    Parameters
    ----------
    codes
        ``(L,)`` uint8: A 0, C 1, G 2, T 3, N 4.
    seed
        Random seed, at least 0, or a generator.

    Returns
    -------
    Codes
        A new ``(L,)`` uint8 array.

    Raises
    ------
    InputError
        When the array is not ``(L,)`` uint8, a code is above 4 or the seed is negative.

    References
    ----------
    .. [1] Altschul SF, Erickson BW. Significance of nucleotide sequence alignments.
       Mol Biol Evol 2(6):526-538, 1985.
    .. [2] Wilson DB. Generating random spanning trees more quickly than the cover time.
       STOC, 296-303, 1996.
    """
    if codes.ndim != 1 or codes.dtype != np.uint8:
        raise InputError(f"codes are {codes.dtype} of shape {codes.shape}, not (L,) uint8")
    if codes.size and codes.max() > N:
        raise InputError(f"a code of {codes.max()} is above {N}")
    if not isinstance(seed, np.random.Generator) and seed < 0:
        raise InputError(f"the seed is {seed}, below 0")
    out = np.ascontiguousarray(codes).copy()
    if codes.size > 3:
        _shuffle(np.ascontiguousarray(codes), np.random.default_rng(seed), out)
    return out


@kernel
def _shuffle(codes, generator, out):
    starts = np.zeros(SYMBOLS + 1, dtype=np.int64)
    for i in range(codes.size - 1):
        starts[codes[i] + 1] += 1
    for letter in range(SYMBOLS):
        starts[letter + 1] += starts[letter]
    followers = np.empty(codes.size - 1, dtype=np.uint8)
    cursor = starts[:SYMBOLS].copy()
    for i in range(codes.size - 1):
        followers[cursor[codes[i]]] = codes[i + 1]
        cursor[codes[i]] += 1
    last = codes[codes.size - 1]
    _draw_last_exits(followers, starts, last, generator)
    for letter in range(SYMBOLS):
        low = starts[letter]
        high = starts[letter + 1] - (letter != last)
        for i in range(high - 1, low, -1):
            j = low + int(generator.random() * (i + 1 - low))
            followers[i], followers[j] = followers[j], followers[i]
    cursor = starts[:SYMBOLS].copy()
    out[0] = codes[0]
    for i in range(1, codes.size):
        before = out[i - 1]
        out[i] = followers[cursor[before]]
        cursor[before] += 1


@kernel
def _draw_last_exits(followers, starts, last, generator):
    """Move the last exit of each letter to the end of its followers.

    The last exits form a spanning tree towards the last letter, drawn uniformly from all such
    trees. Without it the path could end too early.
    """
    reached = np.zeros(SYMBOLS, dtype=np.bool_)
    reached[last] = True
    chosen = np.zeros(SYMBOLS, dtype=np.int64)
    for origin in range(SYMBOLS):
        if starts[origin] == starts[origin + 1]:
            continue
        letter = origin
        while not reached[letter]:
            count = starts[letter + 1] - starts[letter]
            chosen[letter] = starts[letter] + int(generator.random() * count)
            letter = int(followers[chosen[letter]])
        letter = origin
        while not reached[letter]:
            reached[letter] = True
            letter = int(followers[chosen[letter]])
    for letter in range(SYMBOLS):
        if letter != last and starts[letter] < starts[letter + 1]:
            end = starts[letter + 1] - 1
            followers[chosen[letter]], followers[end] = followers[end], followers[chosen[letter]]


def _plain_shuffle(codes: Codes, generator: np.random.Generator) -> Codes:
    """Plain twin of :func:`_shuffle` with lists; the same draws give the same sequence."""
    letters = codes.tolist()
    followers: list[list[int]] = [[] for _ in range(SYMBOLS)]
    for before, after in pairwise(letters):
        followers[before].append(after)
    exits: dict[int, int] = {}
    reached = {letters[-1]}
    for origin in range(SYMBOLS):
        if not followers[origin]:
            continue
        letter = origin
        while letter not in reached:
            exits[letter] = int(generator.random() * len(followers[letter]))
            letter = followers[letter][exits[letter]]
        letter = origin
        while letter not in reached:
            reached.add(letter)
            letter = followers[letter][exits[letter]]
    for letter, index in exits.items():
        row = followers[letter]
        row[index], row[-1] = row[-1], row[index]
    for letter, row in enumerate(followers):
        for i in range(len(row) - (letter != letters[-1]) - 1, 0, -1):
            j = int(generator.random() * (i + 1))
            row[i], row[j] = row[j], row[i]
    queues = [iter(row) for row in followers]
    out = [letters[0]]
    while len(out) < len(letters):
        out.append(next(queues[out[-1]]))
    return np.array(out, dtype=np.uint8)
