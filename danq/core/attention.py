"""Attention over steps or tokens."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from danq.core.masks import zero_padding


class AdditiveAttention(nn.Module):
    """Attention weights of tokens: ``(B, N, F) -> (B, queries, N)``.

    ``weight = softmax over real n of v . tanh(W x_n + U q)``, with a vector v for each learnt
    query. With ``gate``, ``tanh(...)`` is multiplied by ``sigmoid(G x_n)`` first.
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
        """Weights that sum to 1 over the real tokens of a row; 0 at padding."""
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
        # The lowest finite score, so that a row without a real token stays finite.
        return zero_padding(
            score.masked_fill(~real, torch.finfo(score.dtype).min).softmax(dim=2), real
        )


class AttentionPool(nn.Module):
    """Weighted mean of steps or tokens: ``(B, N, F) -> (B, queries * F)``.

    The tokens are the steps of a sequence, the positions of a map (`map_tokens`) or the positions
    of all frames of a clip (`clip_tokens`). The weights depend on the tokens and, if given, on a
    query such as a decoder's state or an encoded question.

    Parameters
    ----------
    in_features
        Features F of a token.
    hidden
        Units of the scoring layer.
    queries
        Number of learnt queries; their weighted means are concatenated.
    query_features
        Width of the query that `forward` takes, 0 for none. A query of None counts as zeros.
    hops
        Number of attention layers, each with its own weights. The weighted mean of a hop is added
        to the query of the next, so the query is as wide as a token. The result is the sum of the
        means.
    gate
        Gate the scores, so that each token can be scored as irrelevant independently.

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
        """The result, and the last hop's weights, which sum to 1 over the real tokens of a row."""
        if query is not None and query.shape[-1] != self.query_features:
            raise ValueError(
                f"the query has {query.shape[-1]} features, this layer was built for "
                f"{self.query_features}"
            )
        x = zero_padding(x, None if mask is None else mask.unsqueeze(2))
        first, *others = self.hops
        weights = first(x, mask, query)
        result = (weights @ x).flatten(1)
        for hop in others:
            weights = hop(x, mask, result if query is None else query + result)
            result = result + (weights @ x).flatten(1)
        return result, weights

    def weights(
        self,
        x: Float[Tensor, "B N F"],
        mask: Bool[Tensor, "B N"] | None = None,
        query: Float[Tensor, "B Q"] | None = None,
    ) -> Float[Tensor, "B N"]:
        """Weights of the tokens in the last hop, averaged over learnt queries."""
        return self.attend(x, mask, query)[1].mean(dim=1)

    def forward(
        self,
        x: Float[Tensor, "B N F"],
        mask: Bool[Tensor, "B N"] | None = None,
        query: Float[Tensor, "B Q"] | None = None,
    ) -> Float[Tensor, "B G"]:
        return self.attend(x, mask, query)[0]
