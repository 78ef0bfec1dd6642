"""Attributions from gradients, at the window itself or along paths from baselines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float64

from danq._memory import kept_memory
from danq.device import memory_errors
from danq.errors import InputError
from danq.genome.dinucleotide_shuffle import dinucleotide_shuffles
from danq.genome.nucleotide_codes import N
from danq.inference.engine.device_genome import reverse_complement, to_device
from danq.inference.engine.whole_windows import float32_products
from danq.inference.ensemble import Ensemble
from danq.inference.mutagenesis.effect_kinds import BITS, effect_for
from danq.inference.mutagenesis.targets import TargetWindow
from danq.inference.writers.attribution_layout import Completeness, WindowAttributions
from danq.interpretation.attribution.differentiable_model import Channels, DifferentiableModel
from danq.interpretation.attribution.methods import Integration, Method
from danq.interpretation.attribution.strand_gradients import StrandGradients
from danq.typing import CodeBatch

BATCHES = {"cpu": 64, "cuda": 1024, "mps": 64}
"""Points of which gradients are computed together, by kind of device."""

PARTS = 8
"""A batch of points, divided by the paths that they are on."""

MOST_VALUES = 1 << 24
"""Contributions that are computed together."""


class Totals(NamedTuple):
    """What is computed for some windows.

    Attributes
    ----------
    contributions
        ``(W, 4, L, P)``.
    after, before
        ``(W, P)`` outputs for the windows, and mean outputs for their baselines.
    """

    contributions: Float64[np.ndarray, "W 4 L P"]
    after: Float64[np.ndarray, "W P"]
    before: Float64[np.ndarray, "W P"]


class GradientScorer:
    """Attributions from gradients, of an ensemble.

    Gradients are those of the mean output of both strands, if both are used, and of all models.

    Parameters
    ----------
    ensemble
        Models and tracks.
    method
        Any method but ``"ism"``.
    integration
        Baseline and steps of integrated gradients.
    composition
        Fractions of A, C, G and T, for the baseline of this name.

    Attributes
    ----------
    windows
        Number of windows whose attributions are computed together.

    Raises
    ------
    InputError
        When the precision is bf16, or a model has no gradients.
    """

    def __init__(
        self,
        ensemble: Ensemble,
        method: Method,
        integration: Integration,
        composition: Float64[np.ndarray, "4"] | None = None,
    ) -> None:
        options = ensemble.options
        if options.precision == "bf16":
            raise InputError(
                f"the method {method} computes gradients in fp32, and the precision is bf16",
                remedy="Leave the precision out, or use the method ism",
            )
        self._method, self._integration = method, integration
        self._fractions = {"uniform": np.full(4, 0.25), "composition": composition}
        level = "bits" if effect_for(ensemble.kinds, None) in BITS else "value"
        levels = ensemble.levels.select(ensemble.track_indices)
        self._members = [DifferentiableModel(one, levels, level) for one in ensemble.models]
        self._device = options.torch_device
        forward = np.array(ensemble.track_indices)
        order = np.array(ensemble.reverse_tracks or range(forward.max() + 1))
        strands = [forward, order[forward]] if options.strand == "both" else [forward]
        self._strands = [to_device(tracks, self._device) for tracks in strands]
        self._share = 1 / (len(self._members) * len(strands))
        self._batch = options.batch_size or BATCHES[self._device.type]
        self._integrates = method == "integrated-gradients"
        # Metal has no float64.
        self._exact = torch.float32 if self._device.type == "mps" else torch.float64
        points = integration.points() if self._integrates else np.ones(1)
        self._points = torch.from_numpy(points).to(self._device, self._exact)
        self._paths = max(1, self._batch // PARTS if self._integrates else self._batch)
        values = 4 * ensemble.window * len(forward)
        self.windows = 1 if self._integrates else self._batch
        self.windows = max(1, min(self.windows, MOST_VALUES // values))

    def explain(self, windows: Sequence[TargetWindow]) -> list[WindowAttributions]:
        """Attributions of some windows.

        Raises
        ------
        InputError
            When the device has not enough memory.
        """
        codes = np.stack([one.codes for one in windows])
        with kept_memory(), memory_errors(self._batch), float32_products(tf32=False):
            found = self._totals(codes)
        if self._method == "gradient":
            found.contributions[:] -= found.contributions.mean(axis=1, keepdims=True)
        made = []
        for window, every, after, before in zip(windows, *found, strict=True):
            by_base = every.transpose(1, 0, 2)
            by_base[window.codes == N] = np.nan
            completeness = None
            if self._integrates:
                known = np.flatnonzero(window.codes != N)
                added = by_base[known, window.codes[known]].sum(axis=0)
                completeness = Completeness(added - (after - before), after - before)
            own = by_base[window.low : window.high].astype(np.float32)
            made.append(WindowAttributions(window, own, completeness))
        return made

    def _totals(self, codes: CodeBatch) -> Totals:
        known, size = to_device(codes, self._device), (len(codes), len(self._strands[0]))
        total = torch.zeros(
            size[1], len(codes), 4, codes.shape[1], dtype=self._exact, device=self._device
        )
        after, before = (total.new_zeros(size) for _ in range(2))
        own = torch.arange(len(codes), device=self._device)
        for member in self._members:
            starts = self._baselines(codes, member) if self._integrates else None
            count = 1 if starts is None else len(starts) // len(codes)
            rows = own.repeat_interleave(count)
            for reverse, tracks in enumerate(self._strands):
                windows = reverse_complement(known) if reverse else known
                strand = StrandGradients(member, windows, tracks, self._batch)
                first = starts.flip(1, 2) if reverse and starts is not None else starts
                for low in range(0, len(rows), self._paths):
                    some = slice(low, low + self._paths)
                    begin = None if first is None else first[some]
                    gradients = strand.path_gradients(begin, rows[some], self._points)
                    for sums, one in zip(total, gradients, strict=True):
                        if begin is not None:
                            one = one - (begin * one).sum(1, keepdim=True)
                        one = one.flip(1, 2) if reverse else one
                        sums.index_add_(0, rows[some], one.to(sums) / count)
                if first is not None:
                    after += strand.outputs(strand.windows, own).to(after)
                    outputs = strand.outputs(first, rows).to(before)
                    before += outputs.unflatten(0, (-1, count)).mean(1)
        arrays = (total.permute(1, 2, 3, 0), after, before)
        return Totals(*((one * self._share).cpu().double().numpy() for one in arrays))

    def _baselines(self, codes: CodeBatch, member: DifferentiableModel) -> Channels:
        """Baselines ``(W m, 4, L)`` of all windows; unknown bases are those of the windows."""
        if self._integration.baseline == "shuffle":
            count, seed = self._integration.shuffles, self._integration.seed
            shuffled = np.concatenate([dinucleotide_shuffles(one, count, seed) for one in codes])
            return member.channels(to_device(shuffled, self._device))
        fractions = self._fractions[self._integration.baseline]
        assert fractions is not None
        known = to_device(codes, self._device)
        one = member.tensor(fractions)[:, None].expand(-1, codes.shape[1])
        return torch.where((known == N).unsqueeze(1), member.channels(known), one)
