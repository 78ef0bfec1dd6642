"""Logits of windows that differ little from a reference, with a fraction of the work."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32, Int, UInt8
from torch import nn

from danq._memory import kept_memory
from danq.device import BATCH_SIZES, Precision, autocast, map_in_threads, set_threads
from danq.inference.engine.forward import evaluation_copy
from danq.inference.engine.pass_planning import Alternates, Pass, plan_passes
from danq.inference.engine.split_model import SplitModel, why_not_incremental
from danq.models.run_options import RunOptions
from danq.models.targets import TargetGroup, track_scores


class Incremental:
    """Logits of references, and of alternates that each differ from one of them.

    Incremental evaluation supports models with a convolutional encoder, at most one recurrent
    layer (LSTM or GRU, one direction or two), flattened steps and dense layers. Every other model
    is evaluated window by window; `reason` then says why.

    Parameters
    ----------
    module
        Maps codes ``(B, L)`` to logits ``(B, K)``, or to the outputs of ``targets``. It does not
        change.
    options
        How the model runs; None selects the defaults. Past its last changed step, an alternate
        whose hidden and cell states all differ by at most ``tolerance`` from its reference's
        counts as equal to it; 0 is exact. ``strand`` and ``batch_size`` do not apply: the caller
        decides which windows, and how many, `logits` gets.
    targets
        Groups of the tracks: `logits` then gives `danq.models.targets.track_scores`. None if every
        output is the logit of a track.

    Attributes
    ----------
    reason
        Why the model is evaluated window by window; None where it is evaluated incrementally.
    """

    def __init__(
        self,
        module: nn.Module,
        options: RunOptions | None = None,
        targets: Sequence[TargetGroup] = (),
    ) -> None:
        options = options or RunOptions()
        self._targets = tuple(targets)
        self.device = options.torch_device
        self.precision: Precision = options.resolved_precision
        self.tolerance = options.tolerance
        if options.threads is not None:
            set_threads(options.threads)
        self.reason = why_not_incremental(module)
        self._module = self._split = None
        if self.reason is None:
            dtype = torch.bfloat16 if self.precision == "bf16" else torch.float32
            self._split = SplitModel(module, dtype, self.device)  # type: ignore[arg-type]
        else:
            self._module = evaluation_copy(module, self.device)

    def logits(
        self,
        reference: UInt8[np.ndarray, "R L"],
        alternates: UInt8[np.ndarray, "A L"],
        reference_of: Int[np.ndarray, "A"],
    ) -> tuple[Float32[np.ndarray, "R K"], Float32[np.ndarray, "A K"]]:
        """Logits of references and alternates, forward strand.

        Parameters
        ----------
        reference
            Windows.
        alternates
            Windows that may differ from their references in any way.
        reference_of
            Row of ``reference`` for each alternate.

        Returns
        -------
        tuple of np.ndarray
            ``(R, K)`` of the references and ``(A, K)`` of the alternates.
        """
        with kept_memory():
            if self._split is None:
                return self._every_window(reference), self._every_window(alternates)
            return self._differences(
                self._split, reference, alternates, np.asarray(reference_of, np.int64)
            )

    def _every_window(self, codes: UInt8[np.ndarray, "B L"]) -> Float32[np.ndarray, "B K"]:
        assert self._module is not None
        if not len(codes):
            columns = sum(group.tracks for group in self._targets)
            return np.empty((0, columns or int(self._module.head.out_features)), np.float32)  # type: ignore[union-attr]
        done = []
        with torch.inference_mode(), autocast(self.device, self.precision):
            size = BATCH_SIZES[self.device.type]
            for start in range(0, len(codes), size):
                batch = torch.from_numpy(np.ascontiguousarray(codes[start : start + size]))
                outputs = self._module(batch.to(self.device)).float()
                done.append(track_scores(outputs, self._targets).cpu().numpy())
        return np.concatenate(done)

    def _differences(
        self, split: SplitModel, reference: np.ndarray, codes: np.ndarray, reference_of: np.ndarray
    ) -> tuple[Float32[np.ndarray, "R K"], Float32[np.ndarray, "A K"]]:
        alternates = split.steps.alternates(reference, codes, reference_of)

        def run(some: Pass) -> tuple[np.ndarray, np.ndarray]:
            return self._run_pass(split, reference[some.references], alternates.of_pass(some))

        cpu = self.device.type == "cpu"
        concurrent = torch.get_num_threads() if cpu else 1
        passes = list(
            plan_passes(len(reference), alternates, split.steps.length, split.limits, concurrent)
        )
        columns = sum(group.tracks for group in self._targets) or split.outputs
        known = np.empty((len(reference), columns), np.float32)
        out = np.empty((len(codes), columns), np.float32)
        results = map_in_threads(run, passes) if cpu else map(run, passes)
        # In order: the last bits of a reference in two passes must not depend on their timing.
        for some, logits in zip(passes, results, strict=True):
            known[some.references], out[some.alternates] = logits
        return known, out

    def _run_pass(
        self, split: SplitModel, reference: UInt8[np.ndarray, "R L"], alternates: Alternates
    ) -> tuple[Float32[np.ndarray, "R K"], Float32[np.ndarray, "A K"]]:
        with torch.inference_mode():
            with autocast(self.device, self.precision):
                inputs = split.encode(reference, alternates)
            sums = split.first_layer(inputs, self.tolerance)
            # In float32 at any precision: the effects of variants are small differences.
            outputs = split.later_layers(sums)
            logits = track_scores(outputs, self._targets).cpu().numpy()
        known, out = logits[: len(reference)], logits[len(reference) :]
        same = alternates.last < alternates.first
        out[same] = known[alternates.reference_of[same]]
        return known, out
