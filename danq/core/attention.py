"""Attention over steps or tokens."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from danq.core.masks import silent


class AdditiveAttention(nn.Module):
    """Weights of tokens, learnt from tokens and query: ``(B, N, F) -> (B, queries, N)``.

    ``weight = softmax over real n of v . tanh(W x_n + U q)``, with one v for each learnt query.
    With ``gate``, ``tanh(...)`` is multiplied by ``sigmoid(G x_n)`` first.
    """

    def __init__(
        self,
        in_features: int,
        hidden: int,
        *,
        queries: int = 1,
        query_features: int = 0,
        gate: bool = False,
    ) -> None:
        super().__init__()
        self.token = nn.Linear(in_features, hidden)
        self.query = nn.Linear(query_features, hidden, bias=False) if query_features else None
        self.gate = nn.Linear(in_features, hidden) if gate else None
        self.score = nn.Linear(hidden, queries, bias=False)

    def forward(
        self,
        x: Float[Tensor, "B N F"],
        mask: Bool[Tensor, "B N"] | None = None,
        query: Float[Tensor, "B Q"] | None = None,
    ) -> Float[Tensor, "B queries N"]:
        """At least 0, and of sum 1 over the real tokens of a row; 0 at padded ones."""
        inner = self.token(x)
        if self.query is not None and query is not None:
            inner = inner + self.query(query).unsqueeze(1)
        inner = inner.tanh()
        if self.gate is not None:
            inner = inner * self.gate(x).sigmoid()
        score = self.score(inner).transpose(1, 2)
        if mask is None:
            return score.softmax(dim=2)
        real = mask.unsqueeze(1)
        # The lowest finite score: a row without a real token has to stay finite.
        return silent(score.masked_fill(~real, torch.finfo(score.dtype).min).softmax(dim=2), real)


class AttentionPool(nn.Module):
    """Weighted mean of steps or tokens: ``(B, N, F) -> (B, queries * F)``.

    The tokens are the steps of a sequence, the positions of a map (`map_tokens`) or those of all
    frames of a clip (`clip_tokens`). Without a query the weights are learnt from the tokens alone;
    with one, a decoder's state or a question asks for what it needs.

    Parameters
    ----------
    in_features
        Features F of a token.
    hidden
        Units of the scoring layer.
    queries
        Learnt ways of looking, whose means stand side by side.
    query_features
        Width of the query that `forward` takes, 0 for none; one left out counts as zeros.
    hops
        Rounds, each with its own weights. The mean that a round finds is added to the query of the
        next, so that the query is as wide as a token, and the result is the sum of the means.
    gate
        Gated scores, which let a token be judged irrelevant on its own.

    Notes
    -----
    Additive attention: Bahdanau et al., ICLR 2015. Hops: stacked attention of Yang et al., CVPR
    2016, whose answer reads ``query + result``. Gate: Ilse et al., ICML 2018.
    """

    def __init__(
        self,
        in_features: int,
        hidden: int = 128,
        *,
        queries: int = 1,
        query_features: int = 0,
        hops: int = 1,
        gate: bool = False,
    ) -> None:
        super().__init__()
        if hops > 1:
            query_features = query_features or in_features
            if query_features != in_features or queries != 1:
                raise ValueError(
                    f"{hops} hops need 1 learnt query and a query of {in_features} features, "
                    f"not {queries} and {query_features}"
                )
        self.query_features = query_features
        self.hops = nn.ModuleList(
            AdditiveAttention(
                in_features, hidden, queries=queries, query_features=query_features, gate=gate
            )
            for _ in range(hops)
        )
        self.out_features = queries * in_features

    def attend(
        self,
        x: Float[Tensor, "B N F"],
        mask: Bool[Tensor, "B N"] | None = None,
        query: Float[Tensor, "B Q"] | None = None,
    ) -> tuple[Float[Tensor, "B G"], Float[Tensor, "B queries N"]]:
        """What was found, and the last hop's weights: of sum 1 over the real tokens of a row."""
        if query is not None and query.shape[-1] != self.query_features:
            raise ValueError(
                f"the query has {query.shape[-1]} features, this layer was built for "
                f"{self.query_features}"
            )
        x = silent(x, None if mask is None else mask.unsqueeze(2))
        first, *others = self.hops
        weights = first(x, mask, query)
        found = (weights @ x).flatten(1)
        for hop in others:
            weights = hop(x, mask, found if query is None else query + found)
            found = found + (weights @ x).flatten(1)
        return found, weights

    def weights(
        self,
        x: Float[Tensor, "B N F"],
        mask: Bool[Tensor, "B N"] | None = None,
        query: Float[Tensor, "B Q"] | None = None,
    ) -> Float[Tensor, "B N"]:
        """Weights of the tokens in the last hop, the mean over learnt queries."""
        return self.attend(x, mask, query)[1].mean(dim=1)

    def forward(
        self,
        x: Float[Tensor, "B N F"],
        mask: Bool[Tensor, "B N"] | None = None,
        query: Float[Tensor, "B Q"] | None = None,
    ) -> Float[Tensor, "B G"]:
        return self.attend(x, mask, query)[0]
