"""Recurrent layers over time."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from danq.core._training_lstm import LstmLayer
from danq.core.hard_lstm import HardLstm

_KINDS = {"lstm": nn.LSTM, "gru": nn.GRU}


class Recurrent(nn.Module):
    """LSTM or GRU over all steps: ``(B, T, in_features) -> (B, T, F)``.

    Parameters
    ----------
    in_features
        Features of a step.
    hidden
        Units per direction.
    kind
        ``"lstm"`` or ``"gru"``.
    bidirectional
        Read both ways; ``F = 2 hidden`` with the forward units first, else ``F = hidden``.
    layers
        Number of stacked layers.
    dropout
        Dropout between stacked layers.
    gates
        ``"sigmoid"``, or ``"hard"`` for a single LSTM layer with `HardLstm`'s gates.
    second_direction
        ``"backward"``; with hard gates also ``"forward"``, as `HardLstm` takes it.

    Training a single LSTM layer in float32 or bfloat16 on the CPU takes a fused scan whose values
    and gradients equal torch's within rounding; everything else takes torch's own layer.

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
                raise ValueError("hard gates are those of a single LSTM layer")
            self.rnn: nn.LSTM | nn.GRU = HardLstm(
                in_features, hidden, bidirectional=bidirectional, second_direction=second_direction
            )
        else:
            if second_direction != "backward":
                raise ValueError("only with hard gates may the second direction read forwards")
            self.rnn = _KINDS[kind](
                in_features,
                hidden,
                num_layers=layers,
                dropout=dropout,
                bidirectional=bidirectional,
                batch_first=True,
            )
        self.out_features = hidden * (2 if bidirectional else 1)

    def forward(
        self, x: Float[Tensor, "B T F"], mask: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T G"]:
        """Outputs of every step.

        ``mask`` is True at real steps, which come first in each row; padded steps give 0 and
        change no real one.
        """
        if self.gates == "hard":
            return self.rnn(x, mask)[0]
        if mask is None:
            return self._fused(x) if self._trains_on_cpu(x) else self.rnn(x)[0]
        lengths = mask.sum(dim=1).cpu()
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.rnn(packed)[0], True, total_length=x.shape[1])[0]

    def _trains_on_cpu(self, x: Tensor) -> bool:
        """Where the fused layer is the faster one; torch's own is as fast at inference."""
        return (
            self.kind == "lstm"
            and self.rnn.num_layers == 1
            and x.device.type == "cpu"
            and x.dtype in (torch.float32, torch.bfloat16)
            and self.rnn.weight_hh_l0.dtype == torch.float32
            and torch.is_grad_enabled()
        )

    def _fused(self, x: Tensor) -> Tensor:
        half = (
            torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
        )
        return LstmLayer.apply(x, half, *self.rnn.parameters())  # type: ignore[no-any-return]
