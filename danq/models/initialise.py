"""Starting values: the papers' rules, and filters that begin as motifs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from danq.core import CnnRnn, ConvEncoder, OneHotConv, Recurrent


def first_layer(module: CnnRnn) -> OneHotConv:
    """The motif filters of a sequence model."""
    encoder = module.encoder
    layer = encoder.first if isinstance(encoder, ConvEncoder) else encoder
    if not isinstance(layer, OneHotConv):
        raise TypeError(f"the first layer is a {type(layer).__name__}, not a OneHotConv")
    return layer


@torch.no_grad()
def initialise_danq(module: CnnRnn) -> None:
    """Start values of DanQ's authors, in place.

    Filters uniform in +-0.05; dense and recurrent input weights Glorot uniform; recurrent weights
    orthogonal with gain 1.1, each gate for itself; forget-gate bias 1, every other bias 0.

    Notes
    -----
    Rules of the code of Quang & Xie (Nucleic Acids Research 2016).
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
    """Start each track's output at the log odds of its base rate.

    Rates are clipped to [1e-4, 1 - 1e-4], so that a track without positives stays finite.
    """
    clipped = np.clip(rates, 1e-4, 1 - 1e-4)
    bias = torch.from_numpy(np.log(clipped / (1 - clipped)).astype(np.float32))
    module.head.output.bias.copy_(bias)  # type: ignore[union-attr]


@torch.no_grad()
def initialise_jaspar(module: CnnRnn, motifs: Sequence[Float[np.ndarray, "W 4"]], seed: int) -> int:
    """Start filters as motifs by DanQ-JASPAR's rule, in place.

    The weight of motif position i is ``frequency - 0.25``, the motif starts at a random tap in
    ``[3, width - 3 - W]`` (0 where it leaves no such room), the other taps keep their random
    start, and the bias is uniform in [-1, 0]. Motifs wider than a filter give their middle part.

    Parameters
    ----------
    module
        An initialised model.
    motifs
        Base frequencies (W, 4) in the order A, C, G, T; more motifs than filters are cut off.
    seed
        Seed of the random starts.

    Returns
    -------
    Number of filters set.
    """
    layer = first_layer(module)
    rng = np.random.default_rng(seed)
    used = min(len(motifs), layer.out_features)
    for number, motif in enumerate(motifs[:used]):
        cut = max(0, len(motif) - layer.width) // 2
        rows = motif[cut : cut + layer.width]
        last = layer.width - 3 - len(rows)
        start = int(rng.integers(3, last + 1)) if last >= 3 else (layer.width - len(rows)) // 2
        weight = torch.from_numpy((rows.T - 0.25).astype(np.float32))
        layer.weight[number, :, start : start + len(rows)] = weight
        layer.bias[number] = float(rng.uniform(-1, 0))
    return used
