"""Recurrent layers over time.

The arithmetic of an LSTM step is implemented in seven places. Each serves a case in which the
others are slower or do not apply:

- ``torch.nn.LSTM``, which `Recurrent` wraps: inference on whole windows, every device but the CPU,
  stacked layers, masks. ``torch.nn.GRU`` is the only GRU for whole windows.
- ``_training_lstm``: training on the CPU of a single layer, in `PaddedCnnRnn` also with a mask, or
  of stacked layers with dropout between them, one after another. It keeps the gates of every step
  for the backward pass, which torch's layer does more slowly.
- ``hard_lstm``: gates of old Keras models, which torch's layer cannot express. A kernel on the CPU
  without gradients, torch's operators elsewhere.
- ``danq.inference.engine.recurrent_scan``: inference on variants as differences from a reference.
  Windows join and leave at any step, which torch's layer cannot do. A kernel for LSTM in bfloat16
  on the CPU, torch's operators for GRU and on other devices.
- ``danq.inference.engine.lstm_rows``: the same for LSTM in float32 on the CPU, one compiled loop
  over all steps.
- ``danq.gpu.fused_lstm``: training and inference on CUDA devices, as few launches as possible.
- ``danq.models.onnx_lstm``: only writes an operator of ONNX; it computes nothing.

All kernels share the approximation of tanh in ``_activations`` and the bfloat16 conversions in
``_bfloat16``. Their gate equations stay apart: the training kernel rounds each gate to the stored
precision, the scan never stores gates and combines their divisions into two.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from danq.core._training_lstm import LstmLayer
from danq.core.dropout import Dropout
from danq.core.hard_lstm import HardLstm
from danq.core.masks import reversed_steps, zero_padding

States = tuple[Tensor, Tensor | None]
"""h and c after the last step, ``(B, layers, F)`` each; c is None for a GRU."""

_KINDS = {"lstm": nn.LSTM, "gru": nn.GRU}
_FUNCTIONS: dict[str, Callable[..., tuple[Tensor, ...]]] = {"lstm": torch.lstm, "gru": torch.gru}


class Recurrent(nn.Module):
    """LSTM or GRU over all steps: ``(B, T, in_features) -> (B, T, F)``.

    Training a single LSTM layer, or stacked ones with dropout, on the CPU in float32 or bfloat16
    uses a fused scan, whose values and gradients equal torch's within rounding. All other cases use
    torch's own layers.

    Parameters
    ----------
    in_features
        Features of a step.
    hidden
        Units per direction.
    kind
        ``"lstm"`` or ``"gru"``.
    bidirectional
        Read in both directions: ``F = 2 hidden`` with the forward units first, instead of
        ``F = hidden``.
    layers
        Number of stacked layers.
    dropout
        Dropout between stacked layers.
    gates
        ``"sigmoid"``, or ``"hard"`` for a single LSTM layer with `HardLstm`'s gates.
    second_direction
        ``"backward"``; with hard gates also ``"forward"``, see `HardLstm`.

    Notes
    -----
    LSTM: Hochreiter & Schmidhuber, Neural Computation 1997; GRU: Cho et al., EMNLP 2014.
    """

    def __init__(
        self,
        in_features: int,
        hidden: int,
        *,
        kind: str = "lstm",
        bidirectional: bool = True,
        layers: int = 1,
        dropout: float = 0.0,
        gates: str = "sigmoid",
        second_direction: str = "backward",
    ) -> None:
        super().__init__()
        if kind not in _KINDS:
            raise ValueError(f"kind is '{kind}', not one of {', '.join(_KINDS)}")
        if gates not in ("sigmoid", "hard"):
            raise ValueError(f"gates are '{gates}', not sigmoid or hard")
        self.kind, self.gates = kind, gates
        if gates == "hard":
            if kind != "lstm" or layers != 1:
                raise ValueError("hard gates require kind 'lstm' and layers 1")
            self.rnn: nn.LSTM | nn.GRU = HardLstm(
                in_features, hidden, bidirectional=bidirectional, second_direction=second_direction
            )
        else:
            if second_direction != "backward":
                raise ValueError("second_direction 'forward' requires hard gates")
            self.rnn = _KINDS[kind](
                in_features,
                hidden,
                num_layers=layers,
                bidirectional=bidirectional,
                batch_first=True,
            )
        # Torch's dropout between layers would give the n-th example of all processes one mask.
        self.dropout = Dropout(dropout)
        self.out_features = hidden * (2 if bidirectional else 1)
        self.fused_masks = False
        """Train an LSTM of one layer with a mask by the fused scan, too."""

    def forward(
        self, x: Float[Tensor, "B T F"], mask: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T G"]:
        """Outputs of every step.

        ``mask`` is True at real steps, which come first in each row. Outputs of padded steps are
        0, and padding does not change other outputs.
        """
        if self.gates == "hard":
            return self.rnn(x, mask)[0]
        if self.training and self.rnn.num_layers > 1 and self.dropout.p > 0:
            return self._layer_by_layer(x, mask)
        weights: list[Tensor] = list(self.rnn.parameters())
        if mask is None:
            fused = self.rnn.num_layers == 1 and self._trains_on_cpu(x)
            return _fused(x, weights) if fused else self.rnn(x)[0]
        if self.fused_masks and self.rnn.num_layers == 1 and self._trains_on_cpu(x):
            return _fused_with_mask(x, mask, weights)
        packed = _pack(x, mask)
        return pad_packed_sequence(self.rnn(packed)[0], True, total_length=x.shape[1])[0]

    def with_states(
        self, x: Float[Tensor, "B T F"], mask: Bool[Tensor, "B T"] | None = None
    ) -> tuple[Float[Tensor, "B T G"], States]:
        """Outputs of every step, and the states of all layers after the last real step.

        The states ``(B, layers, G)`` have the units of the forward direction first. Those of the
        backward direction are its states after the first step.

        Raises
        ------
        ValueError
            When the gates are hard.
        """
        if self.gates == "hard":
            raise ValueError("layers with hard gates return no states")
        found: list[tuple[Tensor, ...]] = []
        for layer, weights in enumerate(self._weights()):
            x, *states = self._torch_layer(self.dropout(x) if layer else x, mask, weights)
            found.append(tuple(one.transpose(0, 1).flatten(1) for one in states))
        h, *c = (torch.stack(parts, dim=1) for parts in zip(*found, strict=True))
        return x, (h, c[0] if c else None)

    def _layer_by_layer(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Run stacked layers with dropout between them."""
        for layer, weights in enumerate(self._weights()):
            x = self._layer(self.dropout(x) if layer else x, mask, weights)
        return x

    def _weights(self) -> list[list[Tensor]]:
        """Weights of each layer."""
        weights: list[Tensor] = list(self.rnn.parameters())
        each = len(weights) // self.rnn.num_layers
        return [weights[first : first + each] for first in range(0, len(weights), each)]

    def _layer(self, x: Tensor, mask: Tensor | None, weights: list[Tensor]) -> Tensor:
        if mask is None and self._trains_on_cpu(x):
            return _fused(x, weights)
        return self._torch_layer(x, mask, weights)[0]

    def _torch_layer(
        self, x: Tensor, mask: Tensor | None, weights: list[Tensor]
    ) -> tuple[Tensor, ...]:
        """Outputs of one layer, and its states ``(directions, B, hidden)``."""
        run = _FUNCTIONS[self.kind]
        zeros = x.new_zeros(2 if self.rnn.bidirectional else 1, len(x), self.rnn.hidden_size)
        start = [zeros, zeros] if self.kind == "lstm" else zeros
        options = (weights, True, 1, 0.0, True, self.rnn.bidirectional)
        with warnings.catch_warnings():
            # cuDNN copies the weights of one layer; the warning proposes to store them together.
            warnings.filterwarnings("ignore", "RNN module weights are not part of single")
            if mask is None:
                return run(x, start, *options, True)
            packed = _pack(x, mask)
            out, *states = run(packed.data, packed.batch_sizes, start, *options)
        order = packed.unsorted_indices
        assert order is not None
        packed = PackedSequence(out, *packed[1:])
        out = pad_packed_sequence(packed, True, total_length=x.shape[1])[0]
        return out, *(one.index_select(1, order) for one in states)

    def _trains_on_cpu(self, x: Tensor) -> bool:
        """Whether the fused scan is faster; without gradients torch's own layer is as fast."""
        return (
            self.kind == "lstm"
            and x.device.type == "cpu"
            and x.dtype in (torch.float32, torch.bfloat16)
            and self.rnn.weight_hh_l0.dtype == torch.float32
            and torch.is_grad_enabled()
        )


def _fused(x: Tensor, weights: list[Tensor]) -> Tensor:
    bf16 = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    return LstmLayer.apply(x, bf16, *weights)  # type: ignore[no-any-return]


def _fused_with_mask(x: Tensor, mask: Tensor, weights: list[Tensor]) -> Tensor:
    """As `_fused`, but the backward direction reads the real steps of each row in reverse order."""
    parts = [_fused(x, weights[:4])]
    if len(weights) > 4:
        index = reversed_steps(mask)
        turned = _fused(x.gather(1, index.expand_as(x)), weights[4:])
        parts.append(turned.gather(1, index.expand_as(turned)))
    return zero_padding(torch.cat(parts, dim=2), mask.unsqueeze(2))


def _pack(x: Tensor, mask: Tensor) -> PackedSequence:
    return pack_padded_sequence(x, mask.sum(dim=1).cpu(), batch_first=True, enforce_sorted=False)
