from __future__ import annotations

import pytest
import torch
from torch import nn

from danq.core import (
    Classes,
    CnnRnn,
    Concat,
    Last,
    LateFusion,
    LowRankBilinear,
    Mlp,
    Multiply,
    Recurrent,
    Streams,
    lengths_mask,
)


def pair(*features: int) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(4, size) for size in features]


PRESENT = torch.tensor([[True, True], [True, False], [False, True], [False, False]])


def test_concat_and_multiply_by_hand():
    a, b = pair(3, 2)
    torch.testing.assert_close(Concat([3, 2])([a, b]), torch.cat([a, b], dim=1))
    fusion = Multiply([3, 2], 5)
    one, two = (dense(x).tanh() for dense, x in zip(fusion.dense, (a, b), strict=True))
    torch.testing.assert_close(fusion([a, b]), one * two)
    out = fusion([a, b], PRESENT)
    torch.testing.assert_close(out[1], one[1])
    torch.testing.assert_close(out[2], two[2])
    assert Concat([3, 2])([a, b], PRESENT)[1, 3:].abs().sum() == 0


def explicit_matrices(fusion: LowRankBilinear) -> torch.Tensor:
    """The matrix of each output, with the constant 1 as the last value of both streams."""
    u, v = (torch.cat([one.weight, one.bias[:, None]], dim=1) for one in fusion.dense)
    shape = fusion.rank, fusion.out_features, -1
    return torch.einsum("rgi,rgj->gij", u.view(shape), v.view(shape))


def with_one(x: torch.Tensor) -> torch.Tensor:
    return torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], dim=1)


def test_low_rank_bilinear_is_the_explicit_bilinear_form():
    a, b = (x.double() for x in pair(3, 5))
    fusion = LowRankBilinear([3, 5], 4, rank=2).double()
    matrices = explicit_matrices(fusion)
    assert matrices.shape == (4, 4, 6)
    wanted = torch.einsum("bi,gij,bj->bg", with_one(a), matrices, with_one(b))
    torch.testing.assert_close(fusion([a, b]), wanted)
    assert torch.linalg.matrix_rank(matrices).tolist() == [2] * 4
    full = LowRankBilinear([3, 5], 4, rank=6).double()
    assert torch.linalg.matrix_rank(explicit_matrices(full)).tolist() == [4] * 4


def test_an_absent_stream_of_a_bilinear_form_is_1():
    a, b = (x.double() for x in pair(3, 5))
    fusion = LowRankBilinear([3, 5], 4, rank=2).double()
    alone = fusion.dense[0](a).view(4, 2, 4).sum(dim=1)
    torch.testing.assert_close(fusion([a, b], PRESENT)[1], alone[1])
    with pytest.raises(ValueError, match="rank is 0, not above 0"):
        LowRankBilinear([3, 5], 4, rank=0)


@pytest.mark.parametrize(
    "fusion",
    [
        Concat([3, 3]),
        Multiply([3, 3], 4),
        LateFusion(3, [2, 1]),
        LowRankBilinear([3, 3], 4, rank=2),
    ],
)
def test_the_values_of_an_absent_stream_change_nothing(fusion):
    a, b = pair(3, 3)
    out = fusion([a, b], PRESENT)
    a[~PRESENT[:, 0]], b[~PRESENT[:, 1]] = 1e30, float("nan")
    torch.testing.assert_close(fusion([a, b], PRESENT), out)


def test_late_fusion_is_the_weighted_mean_of_probabilities():
    a, b = pair(3, 3)
    p, q = a.softmax(dim=1), b.softmax(dim=1)
    fusion = LateFusion(3, [3.0, 1.0])
    torch.testing.assert_close(fusion([a, b]).exp(), 0.75 * p + 0.25 * q)
    out = fusion([a, b], PRESENT).exp()
    torch.testing.assert_close(out[0], 0.75 * p[0] + 0.25 * q[0])
    torch.testing.assert_close(out[1], p[1])
    torch.testing.assert_close(out[2], q[2])
    torch.testing.assert_close(out[3], torch.full((3,), 1 / 3))


def test_learnt_weights_move_towards_the_better_stream():
    target = torch.tensor([0, 1, 2, 0])
    right, wrong = nn.functional.one_hot(target, 3) * 3.0, torch.zeros(4, 3)
    fusion = LateFusion(3, [1.0, 1.0], learn=True)
    optimiser = torch.optim.SGD(fusion.parameters(), lr=1.0)
    for _ in range(20):
        optimiser.zero_grad()
        nn.functional.cross_entropy(fusion([right, wrong]), target).backward()
        optimiser.step()
    assert fusion.weights()[0] > 0.8
    assert list(LateFusion(3, [1.0, 1.0]).parameters()) == []


def test_each_stream_gets_its_input_and_mask():
    torch.manual_seed(0)
    sound = CnnRnn(nn.Identity(), Recurrent(2, 3), Last(6), None)
    still = Mlp(4, [5])
    model = Streams({"sound": sound, "still": still}, Concat([6, 5]), Classes(Mlp(11, []), 7))
    x, image = torch.randn(3, 8, 2), torch.randn(3, 4)
    mask = lengths_mask(torch.tensor([8, 3, 1]), 8)
    out = model({"sound": x, "still": image}, {"sound": mask})
    wanted = model.head(torch.cat([sound(x, mask), still(image)], dim=1))
    assert torch.equal(out, wanted)
    assert model.out_features == 7
    with pytest.raises(ValueError, match=r"inputs are \['sound'\], streams are"):
        model({"sound": x})


def test_invalid_weights_are_refused():
    with pytest.raises(ValueError, match=r"weights \[1.0, 0.0\] are not all above 0"):
        LateFusion(3, [1.0, 0.0])
