from __future__ import annotations

import pytest
import torch
from torch import nn

from danq.core import ConvRecurrent, EncoderForecaster, FrameForecaster, lengths_mask

LENGTHS = [6, 3, 1]


def clips() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(3, 6, 2, 5, 4), lengths_mask(torch.tensor(LENGTHS), 6)


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_on_maps_of_one_pixel_it_is_torchs_own_layer(kind, width):
    torch.manual_seed(0)
    layer = ConvRecurrent(3, [5, 4], width, kind=kind).double()
    own = {"lstm": nn.LSTM, "gru": nn.GRU}[kind]
    layers = [own(3, 5, batch_first=True).double(), own(5, 4, batch_first=True).double()]
    for cell, one in zip(layer.cells, layers, strict=True):
        centre = width // 2
        with torch.no_grad():
            one.weight_ih_l0.copy_(cell.input.weight[:, :, centre, centre])
            one.weight_hh_l0.copy_(cell.state.weight[:, :, centre, centre])
            one.bias_ih_l0.copy_(cell.input.bias)
            one.bias_hh_l0.copy_(cell.state.bias)
    x = torch.randn(2, 7, 3, dtype=torch.float64)
    y, first = layers[0](x)
    y, second = layers[1](y)
    out, states = layer.run(x[:, :, :, None, None])
    torch.testing.assert_close(out[..., 0, 0], y, rtol=1e-12, atol=1e-12)
    for state, final in zip(states, (first, second), strict=True):
        final = final if kind == "lstm" else (final,)
        for found, wanted in zip(state, final, strict=True):
            torch.testing.assert_close(found[..., 0, 0], wanted[0], rtol=1e-12, atol=1e-12)


def test_state_width_limits_the_reach_of_a_pixel():
    x = torch.zeros(1, 3, 1, 11, 11, requires_grad=True)
    reach = {}
    for state_width in (1, 5):
        layer = ConvRecurrent(1, [2], 3, state_width=state_width)
        for parameter in layer.parameters():
            nn.init.constant_(parameter, 0.1)
        (gradient,) = torch.autograd.grad(layer(x)[0, 2, :, 5, 5].sum(), x)
        reach[state_width] = [int((g.abs().sum(dim=1) > 0).sum()) for g in gradient[0, :, 0]]
    assert reach == {1: [3, 3, 3], 5: [11, 7, 3]}


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_padding_changes_nothing(kind):
    x, mask = clips()
    layer = ConvRecurrent(2, [4, 3], 3, kind=kind)
    out, states = layer.run(x, mask)
    assert not out[~mask].any()
    for row, length in enumerate(LENGTHS):
        alone, finals = layer.run(x[row : row + 1, :length])
        torch.testing.assert_close(out[row, :length], alone[0])
        for state, final in zip(states, finals, strict=True):
            for found, wanted in zip(state, final, strict=True):
                torch.testing.assert_close(found[row], wanted[0])


def test_single_steps_and_two_halves_equal_one_run():
    x, _ = clips()
    layer = ConvRecurrent(2, [4, 3], 3)
    out, finals = layer.run(x)
    half, states = layer.run(x[:, :4])
    rest, resumed = layer.run(x[:, 4:], states=states)
    torch.testing.assert_close(torch.cat([half, rest], dim=1), out)
    for step in (4, 5):
        states = layer.step(x[:, step], states)
    torch.testing.assert_close(states[1][0], out[:, 5])
    torch.testing.assert_close(states[0][1], finals[0][1])
    torch.testing.assert_close(resumed[1][1], finals[1][1])


def make(feedback: bool) -> EncoderForecaster:
    torch.manual_seed(0)
    encoder = ConvRecurrent(8, [4, 3], 3)
    decoder = ConvRecurrent(8, [4, 3], 3)
    forecaster = FrameForecaster(decoder, 8, feedback=feedback)
    return EncoderForecaster(encoder, forecaster, steps=3, patch=2)


@pytest.mark.parametrize("feedback", [False, True])
def test_forecast_by_hand(feedback):
    x = torch.rand(2, 4, 2, 6, 8)
    model = make(feedback)
    out = model(x)
    assert out.shape == (2, 3, 2, 6, 8)
    assert model.out_features == 2
    patches = nn.functional.pixel_unshuffle(x, 2)
    _, states = model.encoder.run(patches)
    frame = patches[:, -1] if feedback else torch.zeros_like(patches[:, -1])
    for step in range(3):
        states = model.forecaster.recurrent.step(frame, states)
        logits = model.forecaster.output(torch.cat([states[0][0], states[1][0]], dim=1))
        torch.testing.assert_close(nn.functional.pixel_shuffle(logits, 2), out[:, step])
        frame = logits.sigmoid() if feedback else frame
    torch.testing.assert_close(model(x, steps=1), out[:, :1])


@pytest.mark.parametrize("feedback", [False, True])
def test_padded_frames_do_not_change_the_forecast(feedback):
    torch.manual_seed(1)
    x, model = torch.rand(3, 6, 2, 4, 4), make(feedback)
    out = model(x, lengths_mask(torch.tensor(LENGTHS), 6))
    for row, length in enumerate(LENGTHS):
        torch.testing.assert_close(out[row], model(x[row : row + 1, :length])[0])


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_gradients(kind):
    torch.manual_seed(0)
    layer = ConvRecurrent(1, [2], 3, kind=kind).double()
    x = torch.randn(2, 3, 1, 3, 2, dtype=torch.float64, requires_grad=True)
    mask = lengths_mask(torch.tensor([3, 2]), 3)
    assert torch.autograd.gradcheck(lambda x: layer(x, mask), x)


def test_invalid_sizes_and_shapes_are_refused():
    with pytest.raises(ValueError, match="kind is 'rnn'"):
        ConvRecurrent(1, [2], 3, kind="rnn")
    with pytest.raises(ValueError, match="widths are 4 and 4"):
        ConvRecurrent(1, [2], 4)
    with pytest.raises(ValueError, match=r"is not \(B, T, 2, H, W\)"):
        ConvRecurrent(2, [2], 3)(torch.zeros(1, 4, 3, 5, 5))
    with pytest.raises(ValueError, match="feedback of 3 channels does not fit layers that read 1"):
        FrameForecaster(ConvRecurrent(1, [2], 3), 3, feedback=True)
    with pytest.raises(ValueError, match=r"states of \(2,\) channels do not fit \(3,\)"):
        EncoderForecaster(
            ConvRecurrent(1, [2], 3), FrameForecaster(ConvRecurrent(1, [3], 3), 1), steps=2
        )
    with pytest.raises(ValueError, match="5 x 4 do not divide into patches of 2 x 2"):
        make(False)(torch.zeros(1, 2, 2, 5, 4))
