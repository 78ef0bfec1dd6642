from __future__ import annotations

from collections import defaultdict
from itertools import groupby, product

import pytest
import torch

from danq.core import ctc_greedy, ctc_loss, lengths_mask

STEPS = [5, 3, 4]


def logits(symbols: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    x = torch.randn(3, 5, symbols, dtype=torch.float64)
    return x, lengths_mask(torch.tensor(STEPS), 5)


def read(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(symbol for symbol, _ in groupby(path) if symbol)


def chances(row: torch.Tensor) -> dict[tuple[int, ...], float]:
    """Probability of every sequence: the sum over all its paths."""
    p, sums = row.softmax(dim=1), defaultdict(float)
    for path in product(range(row.shape[1]), repeat=len(row)):
        sums[read(path)] += float(torch.stack([p[t, s] for t, s in enumerate(path)]).prod())
    return sums


def test_loss_by_summing_over_all_paths():
    x, mask = logits()
    target, sizes = torch.tensor([[1, 1, 2], [2, 0, 0], [2, 1, -5]]), torch.tensor([3, 1, 2])
    target_mask = lengths_mask(sizes, 3)
    wanted = [
        -torch.tensor(chances(x[row, :steps])[tuple(target[row, :n].tolist())]).log() / n
        for row, (steps, n) in enumerate(zip(STEPS, sizes.tolist(), strict=True))
    ]
    found = ctc_loss(x, target, mask, target_mask)
    assert float(found) == pytest.approx(float(sum(wanted)) / 3, rel=1e-5)


def test_loss_is_torchs_own_mean():
    x, _ = logits()
    target = torch.tensor([[1, 2], [2, 1], [1, 1]])
    wanted = torch.nn.functional.ctc_loss(
        x.log_softmax(dim=2).transpose(0, 1), target, torch.full((3,), 5), torch.full((3,), 2)
    )
    torch.testing.assert_close(ctc_loss(x, target), wanted)


def test_padded_steps_change_neither_loss_nor_gradient():
    x, mask = logits()
    target = torch.tensor([[1, 2], [2, 1], [1, 1]])
    x.requires_grad_()
    loss = ctc_loss(x, target, mask)
    other = x.detach().masked_fill(~mask.unsqueeze(2), 99.0)
    torch.testing.assert_close(ctc_loss(other, target, mask), loss)
    loss.backward()
    assert x.grad is not None
    assert not x.grad[~mask].any()
    assert x.grad[mask].any()


def test_greedy_takes_the_most_probable_path():
    x, mask = logits()
    for row, found in enumerate(ctc_greedy(x, mask)):
        path = x[row, : STEPS[row]].argmax(dim=1).tolist()
        assert found == read(tuple(path))
    sharp = torch.tensor([[0, 1, 1, 0, 1, 2, 2, 0]])
    rows = torch.nn.functional.one_hot(sharp, 3).float() * 20
    assert ctc_greedy(rows) == [(1, 1, 2)]


def test_too_few_steps_are_refused():
    x, mask = logits()
    with pytest.raises(ValueError, match="row 1 has 3 steps, its target needs 4"):
        ctc_loss(x, torch.tensor([[1, 2, 1], [1, 1, 2], [1, 2, 1]]), mask)
