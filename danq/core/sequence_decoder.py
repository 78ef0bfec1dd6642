"""A recurrent decoder from features to a sequence of symbols."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from danq.core.attention import AttentionPool
from danq.core.dropout import TorchDropout
from danq.core.pooling import Mean
from danq.core.recurrent import States

_CELLS = {"lstm": nn.LSTMCell, "gru": nn.GRUCell}


@dataclass(frozen=True)
class DecoderState:
    """State of a `SequenceDecoder` after some symbols.

    Attributes
    ----------
    h, c
        State of all layers, ``(N, layers, hidden)``; a GRU has no c.
    memory, mask
        Tokens that the sequence describes, ``(N, M, F)``, and the mask of real tokens.
    weights
        Attention of the last step, ``(N, M)``; None without attention.
    """

    h: Float[Tensor, "N layers H"]
    c: Float[Tensor, "N layers H"] | None
    memory: Float[Tensor, "N M F"]
    mask: Bool[Tensor, "N M"] | None
    weights: Float[Tensor, "N M"] | None = None

    @property
    def device(self) -> torch.device:
        return self.h.device

    def __len__(self) -> int:
        return len(self.h)

    def select(self, rows: Int[Tensor, " K"]) -> DecoderState:
        """The rows at these indices, in their order."""
        parts = (self.h, self.c, self.memory, self.mask, self.weights)
        return DecoderState(*(None if x is None else x[rows] for x in parts))  # type: ignore[arg-type]


class MeanStates(nn.Module):
    """Initial states of a decoder from the mean of its memory: ``tanh(W mean + b)`` per state.

    Parameters
    ----------
    memory_features
        Features F of a token of the memory.
    hidden, kind, layers
        As in `SequenceDecoder`.

    Notes
    -----
    Xu et al. (ICML 2015).
    """

    def __init__(
        self, memory_features: int, hidden: int, *, kind: str = "lstm", layers: int = 1
    ) -> None:
        super().__init__()
        self.mean = Mean(memory_features)
        self.shape = layers, hidden
        self.dense = nn.ModuleList(
            nn.Linear(memory_features, layers * hidden) for _ in range(1 + (kind == "lstm"))
        )

    def forward(
        self, memory: Float[Tensor, "B M F"], mask: Bool[Tensor, "B M"] | None = None
    ) -> States:
        mean = self.mean(memory, mask)
        h, *c = (dense(mean).tanh().unflatten(1, self.shape) for dense in self.dense)
        return h, c[0] if c else None


class SequenceDecoder(nn.Module):
    """An LSTM or GRU that generates symbols from a memory of tokens ``(B, M, F)``.

    With attention, each step and its output also read the weighted mean of the memory, with the
    state of the last layer as the query.

    Parameters
    ----------
    memory_features
        Features F of a token of the memory: a linear map of the memory's mean is the first input.
        None for a decoder without this input, whose initial states are given: those of an encoder
        of as many layers and units (`Recurrent.with_states`), or `MeanStates`.
    vocabulary
        Number of symbols V, with the start and end symbols.
    embedding, hidden
        Width of the symbol embedding and units of a layer.
    attention
        A pool over the memory whose ``query_features`` is ``hidden``, or None.
    dropout
        Dropout on the embeddings, between layers and before the output.
    kind
        ``"lstm"`` or ``"gru"``.
    layers
        Number of stacked layers.

    Notes
    -----
    Without attention this is the captioner of Vinyals et al. (CVPR 2015), with attention a form of
    that of Xu et al. (ICML 2015). States of an encoder: Sutskever et al. (NIPS 2014), Cho et al.
    (EMNLP 2014). `danq.core.greedy` and `danq.core.beam_search` use ``begin`` and ``step``.
    """

    def __init__(
        self,
        memory_features: int | None,
        vocabulary: int,
        *,
        embedding: int = 128,
        hidden: int = 256,
        attention: AttentionPool | None = None,
        dropout: float = 0.0,
        kind: str = "lstm",
        layers: int = 1,
    ) -> None:
        super().__init__()
        if attention is not None and attention.query_features != hidden:
            raise ValueError(
                f"attention takes a query of {attention.query_features} features, "
                f"the state has {hidden}"
            )
        if kind not in _CELLS:
            raise ValueError(f"kind is '{kind}', not one of {', '.join(_CELLS)}")
        context = 0 if attention is None else attention.out_features
        self.kind, self.layers, self.hidden = kind, layers, hidden
        self.summary = None
        if memory_features is not None:
            self.mean = Mean(memory_features)
            self.summary = nn.Linear(memory_features, embedding)
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.attention = attention
        self.cell = self._cell(embedding + context)
        self.upper = nn.ModuleList(self._cell(hidden) for _ in range(1, layers))
        self.dropout = TorchDropout(dropout)
        self.output = nn.Linear(hidden + context, vocabulary)
        self.out_features = vocabulary

    def begin(
        self,
        memory: Float[Tensor, "B M F"],
        mask: Bool[Tensor, "B M"] | None = None,
        states: States | None = None,
    ) -> DecoderState:
        """State before the start symbol.

        Parameters
        ----------
        memory
            Tokens that the sequence describes.
        mask
            True at the real tokens of the memory.
        states
            Initial states, which a decoder without ``memory_features`` requires.
        """
        shape = memory.shape[0], self.layers, self.hidden
        if states is not None and self.summary is None:
            return DecoderState(*self._checked(states, shape), memory, mask)
        if states is not None or self.summary is None:
            have = "has no memory_features and requires" if states is None else "takes no"
            raise ValueError(f"this decoder {have} initial states")
        if memory.dim() != 3 or memory.shape[2] != self.summary.in_features:
            raise ValueError(
                f"memory of shape {tuple(memory.shape)} is not (B, M, {self.summary.in_features})"
            )
        zeros = memory.new_zeros(shape)
        state = DecoderState(zeros, zeros if self.kind == "lstm" else None, memory, mask)
        return self._advance(self.summary(self.mean(memory, mask)), state)[1]

    def step(
        self, symbols: Int[Tensor, " N"], state: DecoderState
    ) -> tuple[Float[Tensor, "N V"], DecoderState]:
        """Logits of the symbol after ``symbols``, and the state after them."""
        seen, state = self._advance(self.dropout(self.embedding(symbols)), state)
        return self.output(self.dropout(seen)), state

    def forward(
        self,
        memory: Float[Tensor, "B M F"],
        symbols: Int[Tensor, "B S"],
        mask: Bool[Tensor, "B M"] | None = None,
        states: States | None = None,
    ) -> Float[Tensor, "B S V"]:
        """Logits of the symbol after each of ``symbols``, which start with the start symbol."""
        return self.attend(memory, symbols, mask, states)[0]

    def attend(
        self,
        memory: Float[Tensor, "B M F"],
        symbols: Int[Tensor, "B S"],
        mask: Bool[Tensor, "B M"] | None = None,
        states: States | None = None,
    ) -> tuple[Float[Tensor, "B S V"], Float[Tensor, "B S M"] | None]:
        """The logits of `forward` and the attention of each step (None without attention)."""
        state = self.begin(memory, mask, states)
        logits: list[Tensor] = []
        weights: list[Tensor] = []
        for column in symbols.unbind(dim=1):
            one, state = self.step(column, state)
            logits.append(one)
            if state.weights is not None:
                weights.append(state.weights)
        return torch.stack(logits, dim=1), torch.stack(weights, dim=1) if weights else None

    def _advance(
        self, x: Float[Tensor, "N E"], state: DecoderState
    ) -> tuple[Float[Tensor, "N G"], DecoderState]:
        """One step of all layers: the input of the output layer, and the next state."""
        if self.attention is None:
            return self._layers(x, state)
        context, weights = self.attention.attend(state.memory, state.mask, state.h[:, -1])
        h, after = self._layers(torch.cat([x, context], dim=1), state)
        return torch.cat([h, context], dim=1), replace(after, weights=weights.mean(dim=1))

    def _layers(self, x: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        hidden: list[Tensor] = []
        cells: list[Tensor] = []
        for layer, cell in enumerate([self.cell, *self.upper]):
            x = self.dropout(x) if layer else x
            if state.c is None:
                x = cell(x, state.h[:, layer])
            else:
                x, c = cell(x, (state.h[:, layer], state.c[:, layer]))
                cells.append(c)
            hidden.append(x)
        c = torch.stack(cells, dim=1) if cells else None
        return x, replace(state, h=torch.stack(hidden, dim=1), c=c)

    def _cell(self, features: int) -> nn.LSTMCell | nn.GRUCell:
        cell = _CELLS[self.kind](features, self.hidden)
        if self.kind == "lstm":
            # As in the code of Vinyals et al.: the memory has to last beyond the first symbols.
            nn.init.ones_(cell.bias_ih[self.hidden : 2 * self.hidden])
        return cell

    def _checked(self, states: States, shape: tuple[int, int, int]) -> States:
        h, c = states
        if h.shape != shape or (c is None) != (self.kind == "gru"):
            kind = "gru" if c is None else "lstm"
            raise ValueError(
                f"initial states of shape {tuple(h.shape)} ({kind}) do not fit those of the "
                f"decoder, {shape} ({self.kind})"
            )
        return states
