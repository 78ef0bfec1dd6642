from __future__ import annotations

from itertools import product

import pytest
import torch

from danq.core import (
    Embedding,
    Mlp,
    contrastive_loss,
    lengths_mask,
    step_cross_entropy,
    step_regression,
    triplet_loss,
)

LENGTHS = [4, 2, 1]


def steps() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(3, 4, 5), lengths_mask(torch.tensor(LENGTHS), 4)


def test_losses_of_steps_count_only_real_steps():
    logits, mask = steps()
    target, wanted = torch.randint(0, 5, (3, 4)), torch.randn(3, 4, 5)
    padded = target.masked_fill(~mask, -7)
    entropy = torch.nn.functional.cross_entropy(logits[mask], target[mask])
    torch.testing.assert_close(step_cross_entropy(logits, padded, mask), entropy)
    square = torch.nn.functional.mse_loss(logits[mask], wanted[mask])
    holes = wanted.masked_fill(~mask.unsqueeze(2), float("nan"))
    logits.requires_grad_()
    found = step_regression(logits, holes, mask)
    torch.testing.assert_close(found, square)
    found.backward()
    assert logits.grad is not None
    assert not logits.grad[~mask].any()
    torch.testing.assert_close(
        step_regression(logits, wanted), torch.nn.functional.mse_loss(logits, wanted)
    )


def test_contrastive_loss_by_hand():
    a = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    b = torch.tensor([[3.0, 4.0], [3.0, 4.0], [0.6, 0.8], [1.0, 1.0]])
    same = torch.tensor([True, False, False, True])
    assert float(contrastive_loss(a, b, same, margin=2.0)) == pytest.approx((25 + 0 + 1 + 0) / 8)


def test_triplet_loss_by_brute_force():
    torch.manual_seed(0)
    points, labels = torch.randn(9, 3), torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 3])
    hardest = []
    for anchor in range(9):
        losses = [
            0.5 + float((points[anchor] - points[p]).norm() - (points[anchor] - points[n]).norm())
            for p, n in product(range(9), repeat=2)
            if p != anchor and labels[p] == labels[anchor] and labels[n] != labels[anchor]
        ]
        hardest += [max(0.0, max(losses))] if losses else []
    assert len(hardest) == 8
    found = float(triplet_loss(points, labels, margin=0.5))
    assert found == pytest.approx(sum(hardest) / 8, rel=1e-5)


def test_equal_points_have_finite_gradients():
    points = torch.ones(4, 3, requires_grad=True)
    (triplet_loss(points, torch.tensor([0, 0, 1, 1])) + points.sum() * 0).backward()
    assert points.grad is not None
    assert points.grad.isfinite().all()
    a = torch.zeros(2, 3, requires_grad=True)
    contrastive_loss(a, torch.zeros(2, 3), torch.tensor([True, False])).backward()
    assert a.grad is not None
    assert a.grad.isfinite().all()


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2]])
def test_a_batch_without_triplets_is_refused(labels):
    with pytest.raises(ValueError, match="no triplet"):
        triplet_loss(torch.randn(3, 2), torch.tensor(labels))


def test_embeddings_have_length_one():
    head = Embedding(Mlp(5, [7]), 3)
    out = head(torch.randn(4, 5))
    torch.testing.assert_close(out.norm(dim=1), torch.ones(4))
    free = Embedding(Mlp(5, []), 3, normalise=False)
    x = torch.randn(4, 5)
    torch.testing.assert_close(free(x), free.output(x))
