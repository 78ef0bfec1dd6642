"""Initial weights: the rules of the papers, and filters that start as motifs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from danq.core import CnnRnn, ConvEncoder, MultiLabel, NormalisedEncoder, OneHotConv, Recurrent
from danq.core.heads import JointHeads, Pooled, Profiles
from danq.core.parallel_filters import ParallelOneHotConv


def first_layers(module: CnnRnn) -> list[OneHotConv]:
    """The motif filters of a sequence model: one layer, or one for each of several widths."""
    encoder = module.encoder
    if isinstance(encoder, NormalisedEncoder):
        encoder = encoder.encoder
    layer = encoder.first if isinstance(encoder, ConvEncoder) else encoder
    layers = list(layer.layers) if isinstance(layer, ParallelOneHotConv) else [layer]
    for one in layers:
        if not isinstance(one, OneHotConv):
            raise TypeError(f"the first layer is a {type(one).__name__}, not a OneHotConv")
    return layers  # type: ignore[return-value]


def first_layer(module: CnnRnn) -> OneHotConv:
    """The motif filters of a sequence model; of several widths side by side, the widest filters."""
    return max(first_layers(module), key=lambda one: one.width)


@torch.no_grad()
def initialise_danq(module: CnnRnn) -> None:
    """Initialise weights as DanQ's authors did, in place.

    Filters are uniform in +-0.05, dense and recurrent input weights Glorot uniform, recurrent
    weights of each gate orthogonal with gain 1.1. The forget-gate bias is 1, all others are 0.

    Notes
    -----
    From the code of Quang & Xie (Nucleic Acids Research 2016).
    """
    for part in module.modules():
        if isinstance(part, OneHotConv):
            nn.init.uniform_(part.weight, -0.05, 0.05)
            nn.init.zeros_(part.bias)
        elif isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, Recurrent):
            _initialise_recurrent(part)


def _initialise_recurrent(layer: Recurrent) -> None:
    gates = 4 if layer.kind == "lstm" else 3
    for name, value in layer.rnn.named_parameters():
        if name.startswith("weight_ih"):
            for gate in value.chunk(gates):
                nn.init.xavier_uniform_(gate)
        elif name.startswith("weight_hh"):
            for gate in value.chunk(gates):
                nn.init.orthogonal_(gate, gain=1.1)
        else:
            nn.init.zeros_(value)
            if layer.kind == "lstm" and name.startswith("bias_ih"):
                value.chunk(gates)[1].fill_(1.0)


@torch.no_grad()
def set_base_rates(module: CnnRnn, rates: Float[np.ndarray, " K"]) -> None:
    """Set the bias of each track's output to the log odds of its base rate.

    Rates are clipped to [1e-4, 1 - 1e-4], so that log odds are finite.
    """
    clipped = np.clip(rates, 1e-4, 1 - 1e-4)
    bias = torch.from_numpy(np.log(clipped / (1 - clipped)).astype(np.float32))
    module.head.output.bias.copy_(bias)  # type: ignore[union-attr]


@torch.no_grad()
def set_initial_outputs(module: CnnRnn, outputs: Float[Tensor, " O"]) -> None:
    """Set all outputs to constants, such as those of `danq.models.targets.initial_outputs`.

    The weights of the last layers become 0. With random ones, the first steps of a training on
    amounts are so large that all rectified features can become 0, and the outputs stay constant.
    """
    head = module.head
    at = 0
    for one in head.heads if isinstance(head, JointHeads) else (head,):
        layer = one.head if isinstance(one, Pooled) else one
        if isinstance(layer, Profiles):
            profiles = layer.totals.out_features
            steps = outputs[at : at + profiles * layer.steps].unflatten(0, (profiles, layer.steps))
            layer.output.weight.zero_()
            layer.output.bias.copy_(steps.mean(dim=1))
            layer.totals.weight.zero_()
            layer.totals.bias.copy_(outputs[at + steps.numel() : at + layer.out_features])
        elif isinstance(layer, MultiLabel):
            layer.output.weight.zero_()
            layer.output.bias.copy_(outputs[at : at + layer.out_features])
        else:
            raise TypeError(f"a {type(layer).__name__} has no biases of outputs")
        at += layer.out_features
    if at != len(outputs):
        raise ValueError(f"{len(outputs)} outputs for a module with {at}")


@torch.no_grad()
def initialise_jaspar(module: CnnRnn, motifs: Sequence[Float[np.ndarray, "W 4"]], seed: int) -> int:
    """Set filters to motifs as in DanQ-JASPAR, in place.

    The weights of a motif position are ``frequency - 0.25``. The motif starts at a random tap in
    ``[3, width - 3 - W]``, or is centred if it is too wide for that. Other taps keep their weights,
    and the bias is uniform in [-1, 0]. Of a motif wider than the filter, the middle is used.

    Parameters
    ----------
    module
        An initialised model.
    motifs
        Base frequencies (W, 4) in the order A, C, G, T. Motifs beyond the number of filters are
        ignored.
    seed
        Random seed.

    Returns
    -------
    Number of filters that were set.
    """
    layer = first_layer(module)
    rng = np.random.default_rng(seed)
    used = min(len(motifs), len(layer.weight))
    for number, motif in enumerate(motifs[:used]):
        cut = max(0, len(motif) - layer.width) // 2
        rows = motif[cut : cut + layer.width]
        last = layer.width - 3 - len(rows)
        start = int(rng.integers(3, last + 1)) if last >= 3 else (layer.width - len(rows)) // 2
        weight = torch.from_numpy((rows.T - 0.25).astype(np.float32))
        layer.weight[number, :, start : start + len(rows)] = weight
        layer.bias[number] = float(rng.uniform(-1, 0))
    return used
