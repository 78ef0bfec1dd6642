"""CPU kernels that compare the contributions of windows with those of motifs."""

from __future__ import annotations

import math

import numba
import numpy as np

from danq._jit import inlined_kernel, kernel, parallel_kernel


@inlined_kernel
def window_sums(base, contribution, at, matrix, width, reverse):
    """Product of a window with a motif, squared length of the window, and its total contribution.

    ``matrix`` (W, 5) has the motif's contributions; column 4, of unknown bases, is 0.
    """
    product = 0.0
    square = 0.0
    total = 0.0
    for i in range(width):
        code = base[at + i]
        value = contribution[at + i]
        if code > 3:
            continue
        if reverse:
            product += value * matrix[width - 1 - i, 3 - code]
        else:
            product += value * matrix[i, code]
        square += value * value
        total += value
    return product, square, total


@kernel
def score_windows(base, contribution, starts, reverse, matrix, norm, similarity, total):
    """Write the similarity of each window with a motif, and its total contribution."""
    width = matrix.shape[0]
    for n in range(len(starts)):
        product, square, summed = window_sums(
            base, contribution, starts[n], matrix, width, reverse[n]
        )
        similarity[n] = product / (norm * math.sqrt(square)) if square > 0 else 0.0
        total[n] = summed


@parallel_kernel
def scan(base, contribution, first, motif, count, found):
    """Find the windows that are similar to a motif and contribute enough.

    Parameters
    ----------
    base, contribution
        ``(N,)`` all bases of all sequences.
    first
        ``(S + 1,)`` index of the first base of each sequence; the last is N.
    motif
        Contributions ``(W, 5)``, their norm (in a parallel kernel, a sum depends on the number of
        threads), minimum similarity, minimum contribution, and sign of the motif.
    count
        ``(S,)`` number of windows of each sequence, written if ``found`` has no rows; otherwise
        the row of the first window of each sequence.
    found
        ``(H, 5)`` float64: index of the first base, strand (1: reverse), similarity, contribution,
        and length of the projection on the motif.
    """
    matrix, norm, min_similarity, min_total, sign = motif
    width = matrix.shape[0]
    for s in numba.prange(len(first) - 1):
        number = 0
        for at in range(first[s], first[s + 1] - width + 1):
            for reverse in range(2):
                product, square, total = window_sums(
                    base, contribution, at, matrix, width, reverse == 1
                )
                if square <= 0.0 or sign * total < min_total:
                    continue
                similarity = product / (norm * math.sqrt(square))
                if similarity < min_similarity:
                    continue
                if len(found):
                    row = count[s] + number
                    found[row, 0] = at
                    found[row, 1] = reverse
                    found[row, 2] = similarity
                    found[row, 3] = total
                    found[row, 4] = product / norm
                number += 1
        if len(found) == 0:
            count[s] = number


@kernel
def without_overlaps(order, start, width, place, taken, kept):
    """Keep, in ``order``, each window none of whose bases is taken by an earlier one.

    ``place`` (N,) is the base of the genome at each base of a sequence; ``taken`` has one value per
    base of the genome, and ``kept`` one per window.
    """
    for n in range(len(order)):
        window = order[n]
        free = True
        for i in range(width[window]):
            if taken[place[start[window] + i]]:
                free = False
                break
        if free:
            kept[window] = True
            for i in range(width[window]):
                taken[place[start[window] + i]] = True


def plain_scores(
    base: np.ndarray, contribution: np.ndarray, at: int, matrix: np.ndarray, reverse: bool
) -> tuple[float, float]:
    """Similarity and total contribution of one window: plain twin of the kernels, in numpy."""
    codes = base[at : at + len(matrix)]
    window = np.where(codes[:, None] == np.arange(4), contribution[at : at + len(matrix), None], 0)
    known = matrix[::-1, 3::-1] if reverse else matrix[:, :4]
    length = np.linalg.norm(window) * np.linalg.norm(known)
    return (float((window * known).sum() / length) if length > 0 else 0.0), float(window.sum())
