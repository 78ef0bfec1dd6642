from __future__ import annotations

import pytest
import torch
from torch import nn

from danq.core import (
    AttentionPool,
    CnnRnn,
    ConvEncoder,
    ConvStage,
    Flatten,
    Last,
    Max,
    Mean,
    Mlp,
    MultiLabel,
    OneHotConv,
    Recurrent,
)

LENGTHS = [7, 3, 1]


def padded(features: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    x = torch.randn(3, 7, features)
    mask = torch.arange(7)[None] < torch.tensor(LENGTHS)[:, None]
    return x, mask


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_recurrent_padding_changes_nothing(kind, bidirectional):
    x, mask = padded()
    layer = Recurrent(5, 4, kind=kind, bidirectional=bidirectional)
    out = layer(x, mask)
    assert out.shape == (3, 7, layer.out_features)
    for row, length in enumerate(LENGTHS):
        alone = layer(x[row : row + 1, :length])
        torch.testing.assert_close(out[row, :length], alone[0])
        assert not out[row, length:].any()


def test_recurrent_is_torchs_own():
    x, _ = padded()
    layer = Recurrent(5, 4)
    own = nn.LSTM(5, 4, bidirectional=True, batch_first=True)
    own.load_state_dict(layer.rnn.state_dict())
    with torch.no_grad():
        assert torch.equal(layer(x), own(x)[0])


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("has_mask", [True, False])
def test_stacked_layers_with_dropout_between_them_are_torchs_own(kind, bidirectional, has_mask):
    x, mask = padded()
    layer = Recurrent(5, 4, kind=kind, bidirectional=bidirectional, layers=3, dropout=1e-12)
    inputs = [x.requires_grad_(), *layer.rnn.parameters()]
    given = (x, mask) if has_mask else (x,)
    expected = layer.eval()(*given)
    found = layer.train()(*given)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=2e-6)
    upstream = torch.randn_like(expected)
    left, right = (torch.autograd.grad(out, inputs, upstream) for out in (found, expected))
    for a, b in zip(left, right, strict=True):
        torch.testing.assert_close(a, b, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("has_mask", [True, False])
def test_dropout_between_stacked_layers_is_active_only_in_training(kind, has_mask):
    x, mask = padded()
    layer = Recurrent(5, 4, kind=kind, layers=2, dropout=0.5)
    given = (x, mask) if has_mask else (x,)
    assert not torch.equal(layer(*given), layer(*given))
    layer.eval()
    assert torch.equal(layer(*given), layer(*given))


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_stacked_layers_train_in_bfloat16(kind):
    torch.manual_seed(1)
    layer = Recurrent(12, 10, kind=kind, layers=2, dropout=1e-12)
    x = torch.randn(8, 20, 12)
    expected = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        half = layer(x)
    torch.testing.assert_close(half.float(), expected, rtol=0.02, atol=0.02)
    half.float().sum().backward()
    assert layer.rnn.weight_ih_l0.grad.abs().sum() > 0


@pytest.mark.parametrize("pool", [Last, Mean, Max, AttentionPool])
def test_pooling_padding_changes_nothing(pool):
    x, mask = padded()
    layer = pool(5)
    out = layer(x, mask)
    for row, length in enumerate(LENGTHS):
        torch.testing.assert_close(out[row], layer(x[row : row + 1, :length])[0])


def test_poolings_by_hand():
    x = torch.tensor([[[1.0, -2.0], [3.0, 4.0], [9.0, 9.0]]])
    mask = torch.tensor([[True, True, False]])
    assert Last(2)(x, mask).tolist() == [[3.0, 4.0]]
    assert Mean(2)(x, mask).tolist() == [[2.0, 1.0]]
    assert Max(2)(x, mask).tolist() == [[3.0, 4.0]]
    assert Flatten(2, 3)(x).tolist() == [[1.0, -2.0, 3.0, 4.0, 9.0, 9.0]]
    assert Flatten(2, 3)(x, mask).tolist() == [[1.0, -2.0, 3.0, 4.0, 0.0, 0.0]]


def test_attention_weights_sum_to_one_over_real_steps():
    x, mask = padded()
    weights = AttentionPool(5).weights(x, mask)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(3))
    assert not weights[~mask].any()


def test_flatten_refuses_another_number_of_steps():
    with pytest.raises(ValueError, match="input has 4 steps, this layer was built for 3"):
        Flatten(2, 3)(torch.zeros(1, 4, 2))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_conv_encoder_in_every_dimension(dims):
    torch.manual_seed(0)
    stages = [ConvStage(dims, 2, 3, 3, pool=2, padding=1), ConvStage(dims, 3, 4, 3)]
    encoder = ConvEncoder(stages)
    x = torch.randn(2, 2, *[12] * dims)
    out = encoder(x)
    conv = {1: nn.functional.conv1d, 2: nn.functional.conv2d, 3: nn.functional.conv3d}[dims]
    pool = {1: nn.functional.max_pool1d, 2: nn.functional.max_pool2d, 3: nn.functional.max_pool3d}
    y = pool[dims](conv(x, stages[0].conv.weight, stages[0].conv.bias, padding=1).relu(), 2)
    y = conv(y, stages[1].conv.weight, stages[1].conv.bias).relu()
    torch.testing.assert_close(out, y.transpose(1, 2) if dims == 1 else y)
    assert encoder.steps(12) == 4
    assert encoder.out_features == 4


def test_conv_stage_refuses_four_dimensions():
    with pytest.raises(ValueError, match="dims is 4"):
        ConvStage(4, 1, 1, 3)


def test_cnn_rnn_composes_its_blocks():
    torch.manual_seed(0)
    encoder = OneHotConv(6, 5, pool=3)
    temporal = Recurrent(6, 4)
    pooling = Flatten(8, encoder.steps(40))
    head = MultiLabel(Mlp(pooling.out_features, [10]), 3)
    model = CnnRnn(encoder, temporal, pooling, head, temporal_dropout=0.5).eval()
    codes = torch.randint(0, 4, (2, 40), dtype=torch.uint8)
    by_hand = head.output(head.body(temporal(encoder(codes)).reshape(2, -1)))
    assert torch.equal(model(codes), by_hand)
    assert model.features(codes).shape == (2, 12, 8)


def test_recurrent_refuses_an_unknown_kind():
    with pytest.raises(ValueError, match="kind is 'rnn'"):
        Recurrent(2, 2, kind="rnn")


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("shape", [(1, 1, 3, 2), (4, 9, 5, 7), (17, 30, 24, 33)])
def test_fused_lstm_equals_torchs_own(shape, bidirectional):
    rows, steps, features, hidden = shape
    torch.manual_seed(1)
    layer = Recurrent(features, hidden, bidirectional=bidirectional)
    x = torch.randn(rows, steps, features, requires_grad=True)
    upstream = torch.randn(rows, steps, layer.out_features)
    inputs = [x, *layer.rnn.parameters()]
    assert layer._trains_on_cpu(x)
    wanted = torch.autograd.grad(layer.rnn(x)[0], inputs, upstream)
    found = torch.autograd.grad(layer(x), inputs, upstream)
    torch.testing.assert_close(layer(x), layer.rnn(x)[0], rtol=1e-5, atol=2e-6)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=2e-5, atol=2e-5)


def test_fused_lstm_in_bfloat16_is_near_float32():
    torch.manual_seed(1)
    layer = Recurrent(12, 10)
    x = torch.randn(8, 20, 12, requires_grad=True)
    wanted = torch.autograd.grad(layer(x).sum(), layer.rnn.weight_ih_l0)[0]
    with torch.autocast("cpu", torch.bfloat16):
        half = layer(x)
    assert half.dtype == torch.bfloat16
    found = torch.autograd.grad(half.float().sum(), layer.rnn.weight_ih_l0)[0]
    torch.testing.assert_close(found, wanted, rtol=0.02, atol=0.02 * float(wanted.abs().max()))


def test_fused_lstm_saturates_as_torchs_own():
    layer = Recurrent(2, 3)
    x = torch.tensor([[[1e4, -1e4], [-50.0, 50.0], [0.0, 3.0]]])
    torch.testing.assert_close(layer(x), layer.rnn(x)[0], rtol=1e-5, atol=2e-6)


def test_double_precision_takes_torchs_own():
    layer = Recurrent(2, 3).double()
    x = torch.randn(2, 4, 2, dtype=torch.float64, requires_grad=True)
    assert layer(x).dtype == torch.float64
