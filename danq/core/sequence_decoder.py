"""An LSTM decoder from features to a sequence of symbols."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from danq.core.attention import AttentionPool
from danq.core.dropout import TorchDropout
from danq.core.pooling import Mean


@dataclass(frozen=True)
class DecoderState:
    """State of a `SequenceDecoder` after some symbols.

    Attributes
    ----------
    h, c
        State of the LSTM, ``(N, hidden)``.
    memory, mask
        Tokens that the sequence describes, ``(N, M, F)``, and the mask of real tokens.
    weights
        Attention of the last step, ``(N, M)``; None without attention.
    """

    h: Float[Tensor, "N H"]
    c: Float[Tensor, "N H"]
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


class SequenceDecoder(nn.Module):
    """An LSTM that generates symbols from a memory of tokens ``(B, M, F)``.

    The first input is a linear map of the memory's mean. With attention, each step and its output
    also read the weighted mean of the memory, with the state as the query.

    Parameters
    ----------
    memory_features
        Features F of a token of the memory.
    vocabulary
        Number of symbols V, with the start and end symbols.
    embedding, hidden
        Width of the symbol embedding and units of the LSTM.
    attention
        A pool over the memory whose ``query_features`` is ``hidden``, or None.
    dropout
        Dropout on the embeddings and before the output.

    Notes
    -----
    Without attention this is the captioner of Vinyals et al. (CVPR 2015), with attention a form of
    that of Xu et al. (ICML 2015). `danq.core.greedy` and `danq.core.beam_search` use ``begin`` and
    ``step``.
    """

    def __init__(
        self,
        memory_features: int,
        vocabulary: int,
        *,
        embedding: int = 128,
        hidden: int = 256,
        attention: AttentionPool | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if attention is not None and attention.query_features != hidden:
            raise ValueError(
                f"attention takes a query of {attention.query_features} features, "
                f"the state has {hidden}"
            )
        context = 0 if attention is None else attention.out_features
        self.mean = Mean(memory_features)
        self.summary = nn.Linear(memory_features, embedding)
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.attention = attention
        self.cell = nn.LSTMCell(embedding + context, hidden)
        # As in the code of Vinyals et al.: the memory has to last beyond the first symbols.
        nn.init.ones_(self.cell.bias_ih[hidden : 2 * hidden])
        self.dropout = TorchDropout(dropout)
        self.output = nn.Linear(hidden + context, vocabulary)
        self.out_features = vocabulary

    def begin(
        self, memory: Float[Tensor, "B M F"], mask: Bool[Tensor, "B M"] | None = None
    ) -> DecoderState:
        """State before the start symbol; ``mask`` is True at the real tokens of the memory."""
        if memory.dim() != 3 or memory.shape[2] != self.summary.in_features:
            raise ValueError(
                f"memory of shape {tuple(memory.shape)} is not (B, M, {self.summary.in_features})"
            )
        zeros = memory.new_zeros(len(memory), self.cell.hidden_size)
        state = DecoderState(zeros, zeros, memory, mask)
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
    ) -> Float[Tensor, "B S V"]:
        """Logits of the symbol after each of ``symbols``, which start with the start symbol."""
        return self.attend(memory, symbols, mask)[0]

    def attend(
        self,
        memory: Float[Tensor, "B M F"],
        symbols: Int[Tensor, "B S"],
        mask: Bool[Tensor, "B M"] | None = None,
    ) -> tuple[Float[Tensor, "B S V"], Float[Tensor, "B S M"] | None]:
        """The logits of `forward` and the attention of each step (None without attention)."""
        state = self.begin(memory, mask)
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
        """One step of the LSTM: the input of the output layer, and the next state."""
        if self.attention is None:
            h, c = self.cell(x, (state.h, state.c))
            return h, replace(state, h=h, c=c)
        context, weights = self.attention.attend(state.memory, state.mask, state.h)
        h, c = self.cell(torch.cat([x, context], dim=1), (state.h, state.c))
        after = replace(state, h=h, c=c, weights=weights.mean(dim=1))
        return torch.cat([h, context], dim=1), after
