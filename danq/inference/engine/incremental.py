"""Logits of sequences that differ little from others, at a fraction of the work.

A change of one base touches few steps of the encoder. A recurrent layer that reads forwards is as
before up to the first of them, and one that reads backwards as before down to the last; the first
dense layer is a sum over steps, so that a difference needs only the steps that differ. What
references and alternates share is computed once. Nothing is approximated at tolerance 0.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple, TypeVar

import numba
import numpy as np
import torch
from jaxtyping import Float32, Float64, Int, UInt8
from torch import Tensor, nn

from danq._jit import parallel_kernel
from danq._memory import kept_memory
from danq.core import (
    CnnRnn,
    ConvEncoder,
    ConvStage,
    Flatten,
    Mlp,
    MultiLabel,
    OneHotConv,
    Recurrent,
)
from danq.device import Precision, autocast, set_threads, side_by_side
from danq.inference.engine.forward import BATCH_SIZE
from danq.inference.engine.packed_matrix import Packed
from danq.inference.engine.recurrent_scan import (
    Direction,
    Piece,
    Steps,
    add_rows,
    changes_alone,
    pieces,
    scan,
)
from danq.models.run_options import RunOptions

M = TypeVar("M", bound=nn.Module)

PASS_VALUES = 64_000_000
"""Input products that a pass holds at most: 256 MB in float32."""

PASS_PRODUCTS = 210_000_000
"""Multiplications of a step of a pass, about: enough to keep a thread busy, and few enough that
its states stay in the cache."""

ENCODED_VALUES = 750_000
"""Values of the encoder that are made at a time: 3 MB in float32."""


class Incremental:
    """Logits of references, and of alternates that each differ from one of them.

    It fits models of a convolution with pools, at most one recurrent layer (LSTM or GRU, one
    direction or two), all steps flattened, and dense layers. Every other model is evaluated
    plainly, window by window; `reason` then says why.

    Parameters
    ----------
    module
        Codes ``(B, L)`` to logits ``(B, K)``. Its weights are copied.
    options
        How the model runs; None selects the defaults. Past its last changed step, an alternate
        whose hidden and cell states all differ by at most ``tolerance`` from its reference's
        counts as equal to it; 0 is exact. ``strand`` and ``batch_size`` do not apply: the caller
        decides which windows, and how many, `logits` gets.

    Attributes
    ----------
    reason
        Why the model is evaluated plainly; None where it is not.

    """

    def __init__(
        self,
        module: nn.Module,
        options: RunOptions | None = None,
    ) -> None:
        options = options or RunOptions()
        self.device = options.torch_device
        self.precision: Precision = options.resolved_precision
        self.tolerance = options.tolerance
        if options.threads is not None:
            set_threads(options.threads)
        self.reason = why_plain(module)
        self._module = self._parts = None
        if self.reason is None:
            dtype = torch.bfloat16 if self.precision == "bf16" else torch.float32
            self._parts = _Parts(module, dtype, self.device)  # type: ignore[arg-type]
        else:
            self._module = _copied(module, self.device)

    def logits(
        self,
        reference: UInt8[np.ndarray, "R L"],
        alternates: UInt8[np.ndarray, "A L"],
        owner: Int[np.ndarray, "A"],
    ) -> tuple[Float32[np.ndarray, "R K"], Float32[np.ndarray, "A K"]]:
        """Logits of references and alternates, forward strand.

        Parameters
        ----------
        reference
            Windows.
        alternates
            Windows that each differ from a reference, in any way.
        owner
            Row of ``reference`` that an alternate differs from.

        Returns
        -------
        tuple of np.ndarray
            ``(R, K)`` of the references and ``(A, K)`` of the alternates.
        """
        owner = np.asarray(owner, np.int64)
        with kept_memory():
            if self._parts is None:
                return self._plain(reference), self._plain(alternates)
            first, last = self._parts.changed_steps(reference, alternates, owner)
            known = np.empty((len(reference), self._parts.tracks), np.float32)
            out = np.empty((len(alternates), self._parts.tracks), np.float32)

            def one_pass(part: tuple[slice, Int[np.ndarray, "N"]]) -> tuple[np.ndarray, np.ndarray]:
                some, others = part
                changes = _Changes(
                    alternates[others], owner[others] - some.start, first[others], last[others]
                )
                return self._pass(reference[some], changes)

            passes = list(self._parts.passes(len(reference), owner, last - first + 1))
            cpu = self.device.type == "cpu"
            done = side_by_side(one_pass, passes) if cpu else map(one_pass, passes)
            # In order: of a reference in two passes, last bits must not depend on who was first.
            for (some, others), logits in zip(passes, done, strict=True):
                known[some], out[others] = logits
            return known, out

    def _plain(self, codes: UInt8[np.ndarray, "B L"]) -> Float32[np.ndarray, "B K"]:
        """Logits of windows, each evaluated by itself."""
        assert self._module is not None
        if not len(codes):
            return np.empty((0, int(self._module.head.out_features)), np.float32)  # type: ignore[union-attr]
        done = []
        with torch.inference_mode(), autocast(self.device, self.precision):
            for start in range(0, len(codes), BATCH_SIZE):
                batch = torch.from_numpy(np.ascontiguousarray(codes[start : start + BATCH_SIZE]))
                done.append(self._module(batch.to(self.device)).float().cpu().numpy())
        return np.concatenate(done)

    def _pass(
        self, reference: UInt8[np.ndarray, "R L"], changes: _Changes
    ) -> tuple[Float32[np.ndarray, "R K"], Float32[np.ndarray, "A K"]]:
        parts = self._parts
        assert parts is not None
        with torch.inference_mode():
            with autocast(self.device, self.precision):
                steps = parts.encode(reference, changes)
            sums = parts.first_layer(steps, self.tolerance)
            # In float32 whatever the precision: the effects asked for are small differences.
            logits = parts.rest(sums).cpu().numpy()
        known, out = logits[: len(reference)], logits[len(reference) :]
        same = changes.last < changes.first
        out[same] = known[changes.owner[same]]
        return known, out


class _Changes(NamedTuple):
    """Alternates, their references, and the first and last step that differ."""

    codes: UInt8[np.ndarray, "A L"]
    owner: Int[np.ndarray, "A"]
    first: Int[np.ndarray, "A"]
    last: Int[np.ndarray, "A"]


def why_plain(module: nn.Module) -> str | None:
    """Why a model cannot be evaluated incrementally; None where it can."""
    if not isinstance(module, CnnRnn):
        return f"{type(module).__name__} is not a CnnRnn"
    encoder = module.encoder
    first = encoder.first if isinstance(encoder, ConvEncoder) else encoder
    if not isinstance(first, OneHotConv):
        return "its encoder does not begin with filters over symbols"
    stages = list(encoder.stages) if isinstance(encoder, ConvEncoder) else []
    if any(isinstance(stage, ConvStage) and max(stage.padding) for stage in stages):
        return "its convolutions are padded"
    if isinstance(module.temporal, Recurrent):
        if type(module.temporal.rnn) not in (nn.LSTM, nn.GRU):
            return f"its recurrent cell is a {type(module.temporal.rnn).__name__}"
        if module.temporal.rnn.num_layers > 1:
            return "its recurrent layers are stacked: a change reaches every step of the second"
    elif module.temporal is not None:
        return f"its temporal layer is a {type(module.temporal).__name__}"
    if not isinstance(module.pooling, Flatten):
        return f"its pooling is {type(module.pooling).__name__}, not Flatten"
    if not isinstance(module.head, MultiLabel) or not isinstance(module.head.body, Mlp):
        return f"its head is a {type(module.head).__name__}"
    return None


class _Parts:
    """A model that can be evaluated incrementally, taken apart and copied to a device."""

    def __init__(self, module: CnnRnn, dtype: torch.dtype, device: torch.device) -> None:
        assert isinstance(module.pooling, Flatten)
        assert isinstance(module.head, MultiLabel)
        assert isinstance(module.encoder, OneHotConv | ConvEncoder)
        self.encoder = _copied(module.encoder, device)
        self.directions: list[Direction] = []
        if isinstance(module.temporal, Recurrent):
            rnn: nn.LSTM | nn.GRU = _copied(module.temporal.rnn, device)  # type: ignore[assignment]
            sides = (False, True)[: 1 + rnn.bidirectional]
            self.directions = [Direction(rnn, reverse, dtype) for reverse in sides]
        self.dtype, self.device = dtype, device
        self.length = module.pooling.steps
        self.tracks = module.head.out_features
        layers = [*module.head.body, module.head.output]  # type: ignore[misc]
        first = layers[0]
        assert isinstance(first, nn.Linear)
        self.rest_layers = _copied(nn.Sequential(*layers[1:]), device)
        # Rounded up to a multiple of 16, products take a fifth less time; what is added is 0.
        width = -(-first.out_features // 16) * 16
        bias = nn.functional.pad(first.bias.detach().float(), (0, width - first.out_features))
        self.bias = bias.to(device)
        self.first_features = first.out_features
        # Of each direction, what the steps of a piece are multiplied with, (D, steps * H).
        self.weights: dict[tuple[int, range], Packed] = {}
        features = first.in_features // self.length
        if not self.directions:
            for time in range(self.length):
                self._take(first, 0, range(time, time + 1), slice(0, features))
        for number, direction in enumerate(self.directions):
            own = slice(number * direction.units, (number + 1) * direction.units)
            for times in pieces(self.length, reverse=direction.reverse):
                self._take(first, number, times, own)
        self.field = _shortest(self.encoder, 1)
        self.stride = _shortest(self.encoder, 2) - self.field
        gates = 4 * self.directions[0].units if self.directions else first.out_features
        self.most_steps = max(self.length, PASS_VALUES // gates)
        cpu = self.device.type == "cpu"
        # Whatever is not a CPU has no such cache, and takes the more at once the better.
        self.most_rows = max(2, 4 * PASS_PRODUCTS // gates**2 if cpu else self.most_steps)

    def _take(self, first: nn.Linear, direction: int, times: range, own: slice) -> None:
        """Copy the part of the first dense layer that reads ``own`` features of some steps.

        Part by part, since a second copy of the largest layer takes longer than to load it.
        """
        steps = first.weight.detach().view(first.out_features, self.length, -1)[:, :, own]
        units = own.stop - own.start
        part = torch.zeros(len(self.bias), len(times) * units, dtype=self.dtype, device=self.device)
        for slot, time in enumerate(times):
            part[: len(steps), slot * units : (slot + 1) * units] = steps[:, time]
        self.weights[direction, times] = Packed(part)

    def changed_steps(
        self,
        reference: UInt8[np.ndarray, "R L"],
        alternates: UInt8[np.ndarray, "A L"],
        owner: Int[np.ndarray, "A"],
    ) -> tuple[Int[np.ndarray, "A"], Int[np.ndarray, "A"]]:
        """First and last step of the encoder that a difference reaches; last < first for none."""
        span = np.empty((2, len(alternates)), np.int64)
        changed_span(reference, alternates, owner, span)
        begin, end = span
        # Step t reads the bases from t * stride to t * stride + field.
        first = np.maximum(0, -((self.field - 1 - begin) // self.stride))
        last = np.minimum(self.length - 1, (end - 1) // self.stride)
        return first, np.where(end > begin, last, first - 1)

    def passes(
        self, references: int, owner: Int[np.ndarray, "A"], spans: Int[np.ndarray, "A"]
    ) -> Iterator[tuple[slice, Int[np.ndarray, "N"]]]:
        """References and alternates that are evaluated together.

        A reference is evaluated in two passes only where one does not take all its alternates.
        """
        share = np.maximum(1 / self.most_rows, np.maximum(1, spans) / self.most_steps)
        own = max(1 / self.most_rows, self.length / self.most_steps)
        order = np.argsort(owner, kind="stable")
        starts = np.searchsorted(owner[order], np.arange(references + 1))
        if not references:
            return
        abreast = torch.get_num_threads() if self.device.type == "cpu" else 1
        for some in _fills(own + np.bincount(owner, share, minlength=references), abreast):
            mine = order[starts[some.start] : starts[some.stop]]
            split = some.stop - some.start == 1 and len(mine)
            for part in _fills(share[mine], abreast) if split else [slice(None)]:
                yield some, mine[part]

    def encode(self, reference: UInt8[np.ndarray, "R L"], changes: _Changes) -> Steps:
        """Steps of the references, and those of the alternates that differ."""
        device, length, known = self.device, self.length, len(reference)
        counts = np.maximum(0, changes.last - changes.first + 1)
        offset = np.cumsum(counts) - counts
        rows = known * length + int(counts.sum())
        inputs = torch.empty(rows, self.encoder.out_features, dtype=self.dtype, device=device)
        steps = Steps(inputs, known, length, offset, changes.owner, changes.first, changes.last)
        by_step = inputs[: known * length].view(length, known, -1)
        for some in self._batches(known, length):
            codes = torch.from_numpy(np.ascontiguousarray(reference[some])).to(device)
            by_step[:, some] = self.encoder(codes).transpose(0, 1)
        for count in np.unique(counts[counts > 0]):
            alike = np.flatnonzero(counts == count)
            bases = self.field + (int(count) - 1) * self.stride
            for some in self._batches(len(alike), int(count)):
                which = alike[some]
                at = changes.first[which, None] * self.stride + np.arange(bases)
                codes = torch.from_numpy(changes.codes[which[:, None], at]).to(device)
                places = (offset[which, None] + np.arange(count)).ravel()
                own = self.encoder(codes).flatten(0, 1).to(self.dtype)
                steps.own[torch.from_numpy(places).to(device)] = own
        return steps

    def _batches(self, windows: int, steps: int) -> Iterator[slice]:
        """Windows that are encoded together: on a CPU so few that their steps stay in the cache."""
        most = windows
        if self.device.type == "cpu":
            most = max(1, ENCODED_VALUES // (steps * self.encoder.out_features))
        for start in range(0, windows, max(1, most)):
            yield slice(start, min(windows, start + most))

    def first_layer(self, steps: Steps, tolerance: float) -> Tensor:
        """``(R + A, D)`` sums of the first dense layer, references first."""
        count, device = steps.references, self.device
        sums = torch.zeros(count + len(steps.owner), len(self.bias), device=device)
        sums[:count] = self.bias
        for direction, piece in self.pieces_of(steps, tolerance):
            part = self.weights[direction, piece.times](piece.outputs)
            add_rows(sums, np.concatenate([np.arange(count), count + piece.which]), part)
        sums[count:] += sums[torch.from_numpy(steps.owner).to(device)]
        return sums[:, : self.first_features]

    def pieces_of(self, steps: Steps, tolerance: float) -> Iterator[tuple[int, Piece]]:
        """What the temporal layer gives, direction by direction."""
        if not self.directions:
            yield from ((0, piece) for piece in changes_alone(steps))
        for number, direction in enumerate(self.directions):
            for piece in scan(direction, steps, tolerance=tolerance):
                yield number, piece

    def rest(self, sums: Tensor) -> Tensor:
        """Logits from the sums of the first dense layer."""
        return self.rest_layers(sums)


def _copied(module: M, device: torch.device) -> M:
    return copy.deepcopy(module).eval().requires_grad_(False).to(device)


def _fills(shares: Float64[np.ndarray, "N"], abreast: int) -> Iterator[slice]:
    """Neighbours that fill a pass together, the same work in each, so that no thread stands idle.

    One that alone takes more than a pass stands by itself. ``abreast`` passes are worked on at a
    time.
    """
    ends = np.cumsum(shares)
    count = math.ceil(ends[-1])
    if count > 1:
        count = -(-count // abreast) * abreast
    cuts = np.searchsorted(ends, ends[-1] * np.arange(1, count) / count, side="right")
    alone = np.flatnonzero(shares > 1)
    edges = np.unique(np.concatenate([[0, len(ends)], cuts, alone, alone + 1]))
    yield from (slice(*pair) for pair in itertools.pairwise(edges))


def _shortest(encoder: OneHotConv | ConvEncoder, steps: int) -> int:
    """Bases of the shortest input that gives so many steps."""
    return next(length for length in itertools.count(1) if encoder.steps(length) >= steps)


@parallel_kernel
def changed_span(reference, alternates, owner, span):
    """Fill ``span`` (2, A) with the first base that differs and the one after the last."""
    length = alternates.shape[1]
    for a in numba.prange(len(alternates)):
        known, other = reference[owner[a]], alternates[a]
        begin = 0
        while begin < length and known[begin] == other[begin]:
            begin += 1
        end = length
        while end > begin and known[end - 1] == other[end - 1]:
            end -= 1
        span[0, a] = begin
        span[1, a] = end
