from __future__ import annotations

import pytest
import torch

from danq.core import AttentionPool, clip_tokens, lengths_mask

LENGTHS = [7, 3, 1]
KINDS = [
    {},
    {"queries": 3},
    {"gate": True},
    {"query_features": 4},
    {"query_features": 4, "queries": 2, "gate": True},
    {"hops": 2},
    {"hops": 3, "query_features": 5, "gate": True},
]


def tokens() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(3, 7, 5), lengths_mask(torch.tensor(LENGTHS), 7)


def query(layer: AttentionPool) -> torch.Tensor | None:
    return torch.randn(3, layer.query_features) if layer.query_features else None


@pytest.mark.parametrize("settings", KINDS)
def test_weights_sum_to_one_over_real_tokens(settings):
    x, mask = tokens()
    layer = AttentionPool(5, 6, **settings)
    out, weights = layer.attend(x, mask, query(layer))
    assert out.shape == (3, layer.out_features)
    assert weights.shape == (3, settings.get("queries", 1), 7)
    assert weights.min() >= 0
    torch.testing.assert_close(weights.sum(dim=2), torch.ones(weights.shape[:2]))
    assert not weights.transpose(1, 2)[~mask].any()


@pytest.mark.parametrize("settings", KINDS)
def test_padding_changes_nothing(settings):
    x, mask = tokens()
    layer = AttentionPool(5, 6, **settings)
    q = query(layer)
    out = layer(x.masked_fill(~mask.unsqueeze(2), float("nan")), mask, q)
    for row, length in enumerate(LENGTHS):
        one = None if q is None else q[row : row + 1]
        torch.testing.assert_close(out[row], layer(x[row : row + 1, :length], None, one)[0])


def test_one_query_by_hand():
    x, _ = tokens()
    layer = AttentionPool(5, 6, query_features=4, gate=True)
    part, q = layer.hops[0], torch.randn(3, 4)
    for row in range(3):
        scores = [
            part.score.weight[0]
            @ ((part.token(t) + part.query.weight @ q[row]).tanh() * part.gate(t).sigmoid())
            for t in x[row]
        ]
        weights = torch.stack(scores).softmax(dim=0)
        torch.testing.assert_close(layer(x, query=q)[row], weights @ x[row])
        torch.testing.assert_close(layer.weights(x, query=q)[row], weights)


def test_hops_add_their_result_to_the_query():
    x, mask = tokens()
    layer = AttentionPool(5, 6, hops=2)
    first, second = layer.hops
    q = torch.randn(3, 5)
    one = (first(x, mask, q) @ x).squeeze(1)
    two = (second(x, mask, q + one) @ x).squeeze(1)
    torch.testing.assert_close(layer(x, mask, q), one + two)
    torch.testing.assert_close(layer(x, mask), layer(x, mask, torch.zeros(3, 5)))


def test_results_of_queries_are_concatenated():
    x, mask = tokens()
    layer = AttentionPool(5, 6, queries=2)
    out, weights = layer.attend(x, mask)
    torch.testing.assert_close(out[:, 5:], (weights[:, 1:] @ x).squeeze(1))
    torch.testing.assert_close(layer.weights(x, mask), weights.mean(dim=1))


def test_pooling_over_all_positions_of_a_clip():
    torch.manual_seed(0)
    maps, mask = torch.randn(2, 3, 5, 2, 4), lengths_mask(torch.tensor([3, 1]), 3)
    layer = AttentionPool(5, 6)
    out, weights = layer.attend(*clip_tokens(maps, mask))
    assert out.shape == (2, 5)
    assert weights.unflatten(2, (3, 2, 4))[1, 0, 1:].abs().sum() == 0
    alone = layer(maps[1, 0].flatten(1).T[None])
    torch.testing.assert_close(out[1], alone[0])


def test_a_row_without_a_real_token_is_zero_and_has_finite_gradients():
    x, mask = tokens()
    mask[1] = False
    layer = AttentionPool(5, 6)
    x.requires_grad_()
    out = layer(x, mask)
    assert not out[1].any()
    out.sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("settings", KINDS)
def test_gradients(settings):
    x, mask = tokens()
    layer = AttentionPool(5, 3, **settings).double()
    q = query(layer)
    q = None if q is None else q.double()
    x = x.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: layer(x, mask, q), x)


def test_invalid_queries_are_refused():
    x, _ = tokens()
    with pytest.raises(ValueError, match="query has 4 features, this layer was built for 0"):
        AttentionPool(5)(x, query=torch.zeros(3, 4))
    with pytest.raises(ValueError, match="2 hops need 1 learnt query and a query of 5 features"):
        AttentionPool(5, hops=2, query_features=4)
