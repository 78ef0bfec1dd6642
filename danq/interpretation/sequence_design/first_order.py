"""First-order effects of substitutions on the objective, from gradients."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from danq.core import CnnRnn
from danq.core.one_hot_conv import one_hot
from danq.errors import InputError
from danq.inference.engine.device_genome import to_device
from danq.inference.engine.forward import evaluation_copy
from danq.inference.ensemble import Ensemble
from danq.inference.mutagenesis.mutant_levels import StrandLevels, mean_levels
from danq.interpretation.sequence_design.goals import Objective
from danq.models.targets import track_scores
from danq.typing import CodeBatch

STEP = 1e-3
"""Change of a score for the derivative of the objective."""


class FirstOrder:
    """First-order effects of all substitutions of windows on the objective.

    The effect of a base is the gradient of the objective in its channel of the one-hot window minus
    that in the channel of the base that is there. One backward pass per model and strand gives all
    of them.

    Parameters
    ----------
    ensemble
        Models and tracks.
    objective
        The objective.

    Raises
    ------
    InputError
        When a model does not read one-hot channels.
    """

    def __init__(self, ensemble: Ensemble, objective: Objective) -> None:
        self._device = ensemble.options.torch_device
        self._strands, self._objective = StrandLevels(ensemble), objective
        self._targets = ensemble.models[0].spec.targets
        self._modules: list[CnnRnn] = []
        for model in ensemble.models:
            if not isinstance(model.module, CnnRnn):
                raise InputError(
                    f"{type(model.module).__name__} reads no one-hot channels, so that it has no "
                    "first-order effects",
                    remedy="Evaluate all substitutions",
                )
            self._modules.append(evaluation_copy(model.module, self._device))

    def __call__(self, codes: CodeBatch) -> Float64[np.ndarray, "R L 4"]:
        """Effects of A, C, G, T at each position of windows; 0 for the base that is there."""
        strands = list(self._strands.of(codes))
        with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
            inputs, scores = [], []
            for module in self._modules:
                for read in strands:
                    inputs.append(self._channels(read))
                    outputs = CnnRnn.forward(module, inputs[-1]).float()
                    scores.append(track_scores(outputs, self._targets))
            rates = self._rates([one.detach().cpu().numpy() for one in scores])
            gradients = torch.autograd.grad(
                scores, inputs, [torch.from_numpy(rate).to(self._device) for rate in rates]
            )
        total = np.zeros((*codes.shape, 4))
        for number, gradient in enumerate(gradients):
            own = gradient.transpose(1, 2).double().cpu().numpy()
            # A reverse complement has the complement of base 0 to 3 in channel 3 to 0.
            total += own[:, ::-1, ::-1] if number % len(strands) else own
        return total - np.take_along_axis(total, codes[:, :, None].astype(np.int64), axis=2)

    def _channels(self, codes: CodeBatch) -> Float[Tensor, "R 4 L"]:
        return one_hot(to_device(codes, self._device), 0.0).requires_grad_()

    def _rates(self, scores: list[np.ndarray]) -> list[np.ndarray]:
        """Derivatives of the objective by the scores of each model and strand."""
        strands = len(self._strands.tracks)
        rates = [np.zeros_like(one) for one in scores]
        for number, one in enumerate(scores):
            for track in self._strands.tracks[number % strands]:
                ends = []
                for sign in (1, -1):
                    changed = one.astype(np.float64)
                    changed[:, track] += sign * STEP
                    each = [*scores[:number], changed, *scores[number + 1 :]]
                    levels = [self._strands.levels(s, n % strands) for n, s in enumerate(each)]
                    ends.append(self._objective(mean_levels(levels)))
                rates[number][:, track] = (ends[0] - ends[1]) / (2 * STEP)
        return rates
