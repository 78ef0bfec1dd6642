"""Effects of substitutions on a GPU, where mutants are made and evaluated as whole windows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64, UInt8
from torch import Tensor

from danq.device import memory_errors
from danq.inference.engine.device_genome import reverse_complement, to_device
from danq.inference.engine.whole_windows import WholeWindows
from danq.inference.ensemble import Ensemble
from danq.inference.odds import CLIP, LARGEST
from danq.typing import CodeBatch

BATCHES = 4
"""Batches that are evaluated before their effects are copied to the host."""

ROOM = 64
"""A batch, divided by the windows of it that are kept for references."""


class DeviceLevels(NamedTuple):
    """As `danq.inference.track_levels.Levels`, on a device."""

    value: Float64[Tensor, "... K"]
    bits: Float64[Tensor, "... K"]


def device_odds(logits: Float32[Tensor, "... K"]) -> DeviceLevels:
    """As `danq.inference.odds.odds`, on a device."""
    z = logits.to(_odds_device(logits.device)).double().clamp(-LARGEST, LARGEST)
    e = z.exp()
    bits = (z - (e * CLIP + (1 + CLIP)).log()) / np.log(2)
    return DeviceLevels(e / (1 + e), bits)


def _odds_device(device: torch.device) -> torch.device:
    """The device, or the CPU for Metal, which has no float64."""
    return torch.device("cpu") if device.type == "mps" else device


class WholeWindowEffects:
    """Effects of mutations on the predictions of an ensemble, from whole windows on a device.

    Parameters
    ----------
    ensemble
        Models and tracks.
    level
        Name of the field of `DeviceLevels` whose change is the effect.

    Attributes
    ----------
    batch
        Windows per batch.
    block
        Mutated windows per call: with their references they usually fill `BATCHES` batches.
    """

    def __init__(self, ensemble: Ensemble, level: str) -> None:
        options = ensemble.options
        self._members = [
            WholeWindows(model.module, options, model.spec.targets) for model in ensemble.models
        ]
        self._levels = ensemble.levels.select(ensemble.track_indices)
        self._level, self._both_strands = level, options.strand == "both"
        self._device = options.torch_device
        self._odds_device = _odds_device(self._device)
        self._tracks = torch.tensor(ensemble.track_indices, device=self._device)
        order = ensemble.reverse_tracks
        other = [order[track] if order else track for track in ensemble.track_indices]
        self._reverse_tracks = torch.tensor(other, device=self._device)
        self.batch = self._members[0].batch
        self.block = BATCHES * self.batch - self.batch // ROOM

    def of(
        self,
        codes: CodeBatch,
        owner: Int64[np.ndarray, "M"],
        position: Int64[np.ndarray, "M E"],
        base: UInt8[np.ndarray, "M E"],
    ) -> tuple[Float32[np.ndarray, "models M P"], Float32[np.ndarray, "R P"]]:
        """Effects of substitutions.

        Parameters
        ----------
        codes
            ``(R, L)`` reference windows.
        owner
            Reference window of each mutant.
        position, base
            Positions in the window, and the new bases.

        Returns
        -------
        effects, reference
            Effects on each model, means over strands; and probabilities or amounts of the reference
            windows, means over strands and models.

        Raises
        ------
        InputError
            When the device has not enough memory.
        """
        with memory_errors(self.batch), torch.inference_mode():
            known, rows = to_device(codes, self._device), to_device(owner, self._device)
            owners = rows.to(self._odds_device)
            mutants = known[rows].scatter_(
                1, to_device(position, self._device), to_device(base, self._device)
            )
            windows = torch.cat([known, mutants])
            strands = [windows, *([reverse_complement(windows)] if self._both_strands else [])]
            effects = []
            zero = torch.zeros((), dtype=torch.float64, device=self._odds_device)
            total = zero
            for member in self._members:
                change = zero
                for strand, tracks in zip(
                    strands, (self._tracks, self._reverse_tracks), strict=False
                ):
                    found = self._device_levels(member.logits(strand)[:, tracks])
                    values = getattr(found, self._level)
                    change = change + values[len(known) :] - values[: len(known)][owners]
                    total = total + found.value[: len(known)]
                effects.append(change / len(strands))
            reference = total / (len(self._members) * len(strands))
            done = torch.stack(effects)
        return done.float().cpu().numpy(), reference.float().cpu().numpy()

    def _device_levels(self, numbers: Float32[Tensor, "B P"]) -> DeviceLevels:
        """Levels on the device; amounts have few tracks, so theirs are computed on the host."""
        if "amounts" not in self._levels.kinds:
            return device_odds(numbers)
        levels = self._levels(numbers.cpu().numpy())
        return DeviceLevels(*(torch.from_numpy(one).to(self._odds_device) for one in levels))
