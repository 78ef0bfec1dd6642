"""What danq and another program compute on the same model.

Values are natural log odds, in the layout of `benchmarks.peers.peer_calls`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.harness.reference_model import ModelSize, one_hot, random_codes
from benchmarks.peers import peer_calls
from danq.device import Precision
from danq.genome.nucleotide_codes import encode
from danq.inference.mutagenesis.mutate import mutate
from danq.interpretation.attribution.attribute import attribute
from danq.interpretation.attribution.methods import Integration
from danq.interpretation.marginalization.backgrounds import Backgrounds
from danq.interpretation.marginalization.marginalize import marginalize
from danq.interpretation.sequence_design.design_sequences import design
from danq.interpretation.sequence_design.goals import DesignGoals
from danq.models import Model

TRACK, EDITS, STEPS = 0, 1, 64
MOTIF, BACKGROUNDS = "TTACCCGGAT", 100


@dataclass(frozen=True)
class Comparison:
    """One computation by two programs.

    Attributes
    ----------
    peer
        Name of the other program.
    call, arguments
        Its call, of `benchmarks.peers.peer_calls`, and the arguments after the first.
    own
        Computes danq's values.
    targets
        Precisions of danq, and the speed-up that each must have.
    """

    peer: str
    call: Callable[..., Callable[[], Any]]
    arguments: tuple[Any, ...]
    own: Callable[[Model], np.ndarray]
    targets: Mapping[Precision, float | None]


def saturation_mutagenesis(size: ModelSize) -> Comparison:
    """Effects of all single-base changes of one sequence on all tracks."""
    codes = random_codes(size, 1, unknown=0)

    def own(model: Model) -> np.ndarray:
        return mutate(model, codes).values.transpose(1, 0, 2)[None] * math.log(2)

    call = peer_calls.saturation_mutagenesis
    return Comparison("tangermeme", call, (codes,), own, {"fp32": 5.0, "bf16": None})


def marginalization(size: ModelSize) -> Comparison:
    """Mean effects of a motif, on either strand, in the middle of background sequences."""
    codes = random_codes(size, BACKGROUNDS, unknown=0)
    background = Backgrounds(codes, count=BACKGROUNDS)

    def own(model: Model) -> np.ndarray:
        found = marginalize(model, [MOTIF], background=background, copies=1)
        return found.effects["effect"].to_numpy().reshape(2, -1) * math.log(2)

    arguments = (codes, MOTIF, (size.length - len(MOTIF)) // 2)
    call = peer_calls.marginalization
    return Comparison("tangermeme", call, arguments, own, {"fp32": None, "bf16": None})


def greedy_design(size: ModelSize) -> Comparison:
    """The best single-base changes of one sequence for one track, one after the other."""
    codes = random_codes(size, 1, unknown=0)
    goals = DesignGoals(maximize=[f"track{TRACK}"])

    def own(model: Model) -> np.ndarray:
        designs = design(model, codes, goals, edits=EDITS, beam=1)
        return one_hot(encode(designs.table["sequence"][0])[None]).numpy()

    call = peer_calls.greedy_substitution
    return Comparison("tangermeme", call, (codes, TRACK, EDITS), own, {"fp32": 2.0})


def integrated_gradients(size: ModelSize) -> Comparison:
    """Integrated gradients of sequences for one track, from 0.25 of each base."""
    codes = random_codes(size, 4, unknown=0)

    def own(model: Model) -> np.ndarray:
        found = attribute(
            model,
            codes,
            method="integrated-gradients",
            integration=Integration(baseline="uniform", steps=STEPS),
            tracks=[f"track{TRACK}"],
        )
        return found.attributions[:, 0].reshape(codes.shape) * math.log(2)

    call = peer_calls.integrated_gradients
    return Comparison("Captum", call, (codes, TRACK, STEPS), own, {"fp32": 1.0})


COMPARISONS: dict[str, Callable[[ModelSize], Comparison]] = {
    "saturation_mutagenesis": saturation_mutagenesis,
    "marginalization": marginalization,
    "greedy_design": greedy_design,
    "integrated_gradients": integrated_gradients,
}
"""Comparisons by the name of their benchmark."""
