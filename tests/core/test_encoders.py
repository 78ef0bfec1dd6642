from __future__ import annotations

import pytest
import torch
from torch import nn

from danq.core import ColumnEncoder, FeatureEncoder, TokenEncoder, conv_encoder, lengths_mask

LENGTHS = [7, 3, 1]
MASK = lengths_mask(torch.tensor(LENGTHS), 7)


def test_tokens_are_looked_up_and_padding_may_have_any_value():
    torch.manual_seed(0)
    layer, x = TokenEncoder(9, 4), torch.randint(0, 9, (3, 7))
    torch.testing.assert_close(layer(x)[1, 2], layer.embedding.weight[x[1, 2]])
    out = layer(x.masked_fill(~MASK, -100), MASK)
    torch.testing.assert_close(out[MASK], layer(x)[MASK])
    assert not out[~MASK].any()


def test_dense_features_by_hand_and_padding():
    torch.manual_seed(0)
    x, layer = torch.randn(3, 7, 4), FeatureEncoder(4, [6, 5])
    out = layer(x, MASK)
    assert out.shape == (3, 7, layer.out_features)
    torch.testing.assert_close(out[1, 2], layer.dense(x[1, 2]))
    assert not out[~MASK].any()


@pytest.mark.parametrize("padding", ["same", "none"])
def test_columns_of_narrow_images_equal_those_of_the_image_alone(padding):
    torch.manual_seed(0)
    body = conv_encoder(2, 1, [3, 4], width=(3, 5), pool=2, norm=False)
    if padding == "none":
        for stage in body.stages:
            stage.padding = stage.conv.padding = (0, 0)
    encoder = ColumnEncoder(body, height=20)
    x, widths = torch.randn(3, 1, 20, 30), torch.tensor([30, 23, 17])
    out, mask = encoder(x, widths), encoder.mask(widths, 30)
    assert out.shape == (3, encoder.steps(30), encoder.out_features)
    assert mask.shape == out.shape[:2]
    for row, width in enumerate(widths.tolist()):
        alone = encoder(x[row : row + 1, :, :, :width])
        assert mask[row].sum() == alone.shape[1]
        torch.testing.assert_close(out[row][mask[row]], alone[0])
        assert not out[row][~mask[row]].any()


def test_a_column_holds_its_rows():
    torch.manual_seed(0)
    body = conv_encoder(2, 1, [3], norm=False)
    x = torch.randn(2, 1, 8, 10)
    out, maps = ColumnEncoder(body, 8)(x), body(x)
    torch.testing.assert_close(out[1, 2], maps[1, :, :, 2].flatten())


def test_gradients_of_columns():
    torch.manual_seed(0)
    body = conv_encoder(2, 1, [2], norm=False).double()
    encoder, widths = ColumnEncoder(body, 4), torch.tensor([6, 4])
    x = torch.randn(2, 1, 4, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: encoder(x, widths), x)


def test_invalid_heights_and_tokens_are_refused():
    body = conv_encoder(2, 1, [2])
    with pytest.raises(ValueError, match="height 10, this layer was built for 8"):
        ColumnEncoder(body, 8)(torch.zeros(1, 1, 10, 9))
    with pytest.raises(ValueError, match="height 1 leave no row"):
        ColumnEncoder(body, 1)
    with pytest.raises(IndexError):
        TokenEncoder(4, 2)(torch.tensor([[4]]))
    assert isinstance(TokenEncoder(4, 2).embedding, nn.Embedding)
