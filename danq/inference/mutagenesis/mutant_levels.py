"""Levels of tracks for windows, and for mutants of windows as differences from them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float32

from danq.genome.nucleotide_codes import reverse_complement
from danq.inference.engine.device_genome import to_device
from danq.inference.engine.incremental import Incremental
from danq.inference.engine.whole_windows import WholeWindows, evaluates_whole_windows
from danq.inference.ensemble import Ensemble
from danq.inference.mutagenesis.effects import BLOCK, Substitutions
from danq.inference.track_levels import Levels
from danq.typing import CodeBatch

log = logging.getLogger("danq")


class PlainLevels:
    """Levels of the selected tracks, by full evaluation of every window.

    Each level is the mean over models and, on both strands, over a window and its reverse
    complement.

    Parameters
    ----------
    ensemble
        Models and tracks.
    """

    def __init__(self, ensemble: Ensemble) -> None:
        options = replace(ensemble.options, batch_size=ensemble.options.windows_per_batch)
        self._strands = StrandLevels(ensemble)
        self._device = options.torch_device
        self._members = [
            WholeWindows(model.module, options, model.spec.targets) for model in ensemble.models
        ]

    def __call__(self, codes: CodeBatch) -> Levels:
        """Levels ``(B, P)`` of at least one window.

        Raises
        ------
        InputError
            When the device has not enough memory.
        """
        each = [
            self._strands.levels(member.logits(to_device(read, self._device)).cpu().numpy(), strand)
            for strand, read in enumerate(self._strands.of(codes))
            for member in self._members
        ]
        return mean_levels(each)


class MutantLevels:
    """Levels of the selected tracks for windows and their mutants.

    On a CPU, mutants are evaluated incrementally where the model allows it
    (`danq.inference.engine.incremental.Incremental`), on other devices as `PlainLevels`.

    Parameters
    ----------
    ensemble
        Models and tracks.
    """

    def __init__(self, ensemble: Ensemble) -> None:
        options = ensemble.options
        self._strands = StrandLevels(ensemble)
        self._plain: PlainLevels | None = None
        self._members: list[Incremental] = []
        self._block = BLOCK if options.batch_size is None else options.batch_size
        if evaluates_whole_windows(options.torch_device):
            self._plain = PlainLevels(ensemble)
            return
        self._members = [
            Incremental(model.module, options, model.spec.targets) for model in ensemble.models
        ]
        for reason in dict.fromkeys(member.reason for member in self._members):
            if reason is not None:
                log.info("the model computes each window in full, which is slower: %s", reason)

    def __call__(self, codes: CodeBatch, substitutions: Substitutions) -> tuple[Levels, Levels]:
        """Levels of windows and of mutants.

        Parameters
        ----------
        codes
            ``(R, L)`` windows, at least one.
        substitutions
            ``M`` substitutions in them.

        Returns
        -------
        tuple of Levels
            ``(R, P)`` of the windows and ``(M, P)`` of the mutants.

        Raises
        ------
        InputError
            When the device has not enough memory.
        """
        mutants = mutated(codes, substitutions)
        owner = substitutions.window
        if self._plain is not None:
            both = self._plain(np.concatenate([codes, mutants]))
            return Levels(*(one[: len(codes)] for one in both)), Levels(
                *(one[len(codes) :] for one in both)
            )
        known: list[Levels] = []
        found: list[Levels] = []
        for strand, (before, after) in enumerate(
            zip(self._strands.of(codes), self._strands.of(mutants), strict=True)
        ):
            for member in self._members:
                blocks = [
                    member.logits(
                        before, after[at : at + self._block], owner[at : at + self._block]
                    )
                    for at in range(0, max(1, len(after)), self._block)
                ]
                known.append(self._strands.levels(blocks[0][0], strand))
                logits = np.concatenate([block for _, block in blocks])
                found.append(self._strands.levels(logits, strand))
        return mean_levels(known), mean_levels(found)


class StrandLevels:
    """The strands that count, and the levels of the selected tracks on each.

    Parameters
    ----------
    ensemble
        Models and tracks.

    Attributes
    ----------
    tracks
        For each strand, ``(P,)`` outputs with the selected tracks.
    """

    def __init__(self, ensemble: Ensemble) -> None:
        tracks = np.array(ensemble.track_indices)
        order = np.array(ensemble.reverse_tracks or range(tracks.max() + 1))
        self.tracks = [tracks, order[tracks]][: 1 + (ensemble.options.strand == "both")]
        self._levels = ensemble.levels.select(ensemble.track_indices)

    def of(self, codes: CodeBatch) -> Iterator[CodeBatch]:
        """The windows, then their reverse complements if both strands count."""
        yield codes
        if len(self.tracks) == 2:
            yield reverse_complement(codes)

    def levels(self, scores: Float32[np.ndarray, "B K"], strand: int) -> Levels:
        """Levels of the selected tracks from the scores of all tracks on a strand.

        The scores are those of `danq.models.targets.track_scores`.
        """
        return self._levels(scores[:, self.tracks[strand]])


def mutated(codes: CodeBatch, substitutions: Substitutions) -> CodeBatch:
    """Mutants ``(M, L)`` of windows."""
    mutants = codes[substitutions.window]
    rows = np.arange(len(mutants))[:, None]
    mutants[rows, substitutions.position] = substitutions.base
    return mutants


def mean_levels(each: Sequence[Levels]) -> Levels:
    """Means over models and strands."""
    return Levels(*(np.mean(parts, axis=0) for parts in zip(*each, strict=True)))
