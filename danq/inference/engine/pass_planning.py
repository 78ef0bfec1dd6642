"""Which steps of a variant differ from its reference, and which windows one pass evaluates."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numba
import numpy as np
from jaxtyping import Float64, Int, UInt8

from danq._jit import parallel_kernel
from danq.core import ConvEncoder, OneHotConv

PASS_VALUES = 64_000_000
"""Maximum number of input products in a pass: 256 MB in float32."""

PASS_PRODUCTS = 210_000_000
"""Approximate number of multiplications in a step of a pass on a CPU: enough to keep a thread busy,
few enough for the states to stay in the cache."""


class Alternates(NamedTuple):
    """Windows that differ from a reference.

    Attributes
    ----------
    codes
        Bases.
    reference_of
        Index of each window's reference.
    first, last
        First and last step of the encoder that differ, both included; ``last < first`` where none
        does.
    """

    codes: UInt8[np.ndarray, "A L"]
    reference_of: Int[np.ndarray, "A"]
    first: Int[np.ndarray, "A"]
    last: Int[np.ndarray, "A"]

    def of_pass(self, some: Pass) -> Alternates:
        """Those of a pass, with references counted from its first one."""
        codes, reference_of, first, last = (values[some.alternates] for values in self)
        return Alternates(codes, reference_of - some.references.start, first, last)


class EncoderSteps(NamedTuple):
    """Which bases the steps of an encoder read.

    Attributes
    ----------
    length
        Steps of a window.
    field
        Bases that a step reads.
    stride
        Bases between the starts of two neighbouring steps.
    """

    length: int
    field: int
    stride: int

    @classmethod
    def of(cls, encoder: OneHotConv | ConvEncoder, length: int) -> EncoderSteps:
        """Those of an encoder that gives ``length`` steps."""
        field = _shortest_input(encoder, 1)
        return cls(length, field, _shortest_input(encoder, 2) - field)

    def alternates(
        self,
        reference: UInt8[np.ndarray, "R L"],
        codes: UInt8[np.ndarray, "A L"],
        reference_of: Int[np.ndarray, "A"],
    ) -> Alternates:
        """Find the steps in which windows differ from their references."""
        span = np.empty((2, len(codes)), np.int64)
        changed_bases(reference, codes, reference_of, span)
        begin, end = span
        # Step t reads the bases from t * stride to t * stride + field.
        first = np.maximum(0, -((self.field - 1 - begin) // self.stride))
        last = np.minimum(self.length - 1, (end - 1) // self.stride)
        return Alternates(codes, reference_of, first, np.where(end > begin, last, first - 1))


class PassLimits(NamedTuple):
    """Maximum size of a pass.

    Attributes
    ----------
    windows
        References and alternates.
    steps
        Steps of references and changed steps of alternates, in total.
    """

    windows: int
    steps: int

    @classmethod
    def of(cls, gates: int, length: int, *, cpu: bool) -> PassLimits:
        """Those of a model with ``gates`` input products per step and ``length`` steps."""
        steps = max(length, PASS_VALUES // gates)
        # Other devices have no such cache; larger passes are faster.
        return cls(max(2, 4 * PASS_PRODUCTS // gates**2 if cpu else steps), steps)


class Pass(NamedTuple):
    """References and alternates that are evaluated together.

    Attributes
    ----------
    references
        Consecutive references.
    alternates
        ``(N,)`` indices of alternates of these references.
    """

    references: slice
    alternates: Int[np.ndarray, "N"]


def plan_passes(
    references: int, alternates: Alternates, length: int, limits: PassLimits, concurrent: int
) -> Iterator[Pass]:
    """Divide references and alternates among passes.

    A reference is in two passes only where its alternates do not fit into one.

    Parameters
    ----------
    references
        Number of references.
    alternates
        Windows to divide, with their references.
    length
        Steps of a reference.
    limits
        Maximum size of a pass.
    concurrent
        Number of passes that run at the same time.
    """
    if not references:
        return
    owner, changed = alternates.reference_of, alternates.last - alternates.first + 1
    share = np.maximum(1 / limits.windows, np.maximum(1, changed) / limits.steps)
    own = max(1 / limits.windows, length / limits.steps)
    order = np.argsort(owner, kind="stable")
    starts = np.searchsorted(owner[order], np.arange(references + 1))
    shares = own + np.bincount(owner, share, minlength=references)
    for group in _divide_evenly(shares, concurrent):
        mine = order[starts[group.start] : starts[group.stop]]
        too_many = group.stop - group.start == 1 and len(mine)
        for part in _divide_evenly(share[mine], concurrent) if too_many else [slice(None)]:
            yield Pass(group, mine[part])


def _divide_evenly(shares: Float64[np.ndarray, "N"], concurrent: int) -> Iterator[slice]:
    """Divide items into groups of neighbours with about the same sum of shares, at most about 1.

    An item with a share above 1 is alone in its group. Several groups are a multiple of
    ``concurrent``, so that all threads have the same amount of work.
    """
    ends = np.cumsum(shares)
    count = math.ceil(ends[-1])
    if count > 1:
        count = -(-count // concurrent) * concurrent
    cuts = np.searchsorted(ends, ends[-1] * np.arange(1, count) / count, side="right")
    alone = np.flatnonzero(shares > 1)
    edges = np.unique(np.concatenate([[0, len(ends)], cuts, alone, alone + 1]))
    yield from (slice(*pair) for pair in itertools.pairwise(edges))


def _shortest_input(encoder: OneHotConv | ConvEncoder, steps: int) -> int:
    """Bases of the shortest window that gives this number of steps."""
    return next(length for length in itertools.count(1) if encoder.steps(length) >= steps)


@parallel_kernel
def changed_bases(reference, alternates, reference_of, span):
    """Fill ``span`` (2, A) with the first position that differs and the one after the last."""
    length = alternates.shape[1]
    for a in numba.prange(len(alternates)):
        known, other = reference[reference_of[a]], alternates[a]
        begin = 0
        while begin < length and known[begin] == other[begin]:
            begin += 1
        end = length
        while end > begin and known[end - 1] == other[end - 1]:
            end -= 1
        span[0, a] = begin
        span[1, a] = end
