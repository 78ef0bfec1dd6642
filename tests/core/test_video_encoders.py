from __future__ import annotations

import pytest
import torch
from torch import nn

from danq.core import (
    AttentionPool,
    ClipEncoder,
    FrameEncoder,
    GlobalPool,
    Max,
    Mean,
    clip_tokens,
    conv_encoder,
    features_of,
    lengths_mask,
    map_tokens,
    without_classifier,
)
from tests.vision.small_torchvision import real_torchvision

LENGTHS = torch.tensor([4, 2, 1])


def frames(**settings) -> GlobalPool:
    return GlobalPool(conv_encoder(2, 3, [4, 6], **settings), Mean(6))


def clips() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(3, 4, 3, 8, 8), lengths_mask(LENGTHS, 4)


def test_every_frame_is_read_by_the_same_network():
    x, _ = clips()
    encoder = FrameEncoder(frames(norm=False))
    out = encoder(x)
    assert out.shape == (3, 4, encoder.out_features)
    by_hand = torch.stack([encoder.backbone(x[:, t]) for t in range(4)], dim=1)
    torch.testing.assert_close(out, by_hand)


def test_padded_frames_change_nothing_even_under_batch_normalisation():
    x, mask = clips()
    encoder = FrameEncoder(frames(norm=True))
    out = encoder(x, mask)
    statistics = encoder.backbone.encoder.stages[0].norm.running_mean.clone()
    other = x.clone()
    other[~mask] = 1e3
    encoder.backbone.encoder.stages[0].norm.reset_running_stats()
    assert torch.equal(encoder(other, mask), out)
    assert torch.equal(encoder.backbone.encoder.stages[0].norm.running_mean, statistics)
    assert not out[~mask].any()


def test_maps_of_frames_are_kept():
    x, mask = clips()
    encoder = FrameEncoder(conv_encoder(2, 3, [5], norm=False))
    out = encoder(x)
    assert out.shape == (3, 4, 5, 4, 4)
    torch.testing.assert_close(encoder(x, mask)[mask], out[mask])


def test_a_frozen_backbone_keeps_weights_and_statistics_and_has_no_dropout():
    x, _ = clips()
    encoder = FrameEncoder(frames(dropout=0.5), frozen=True).train()
    model = nn.Sequential(encoder, nn.Linear(6, 2))
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    assert torch.equal(encoder(x), encoder(x))
    model.train()
    model(x).sum().backward()
    assert all(value.grad is None for value in encoder.parameters())
    assert model[1].weight.grad is not None
    assert all(torch.equal(before[name], value) for name, value in encoder.state_dict().items())
    encoder.unfreeze()
    assert encoder.backbone.training
    model(x).sum().backward()
    assert all(value.grad is not None for value in encoder.parameters())


def test_clip_encoder_transposes_channels_and_steps():
    x, _ = clips()
    body = conv_encoder(3, 3, [4, 5], pool=(1, 2, 2), norm=False)
    encoder = ClipEncoder(body)
    out = encoder(x)
    assert out.shape == (3, 4, 5)
    volume = x.permute(0, 2, 1, 3, 4)
    torch.testing.assert_close(out, body(volume).mean(dim=(3, 4)).permute(0, 2, 1))
    whole = ClipEncoder(GlobalPool(body, Mean(5)))
    torch.testing.assert_close(whole(x)[:, 0], out.mean(dim=1))


def test_global_pool_is_torchs_adaptive_pool():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 12, 8)
    encoder = conv_encoder(2, 3, [4], norm=False)
    mean = nn.functional.adaptive_avg_pool2d(encoder(x), 1).flatten(1)
    peak = nn.functional.adaptive_max_pool2d(encoder(x), 1).flatten(1)
    torch.testing.assert_close(GlobalPool(encoder, Mean(4))(x), mean)
    torch.testing.assert_close(GlobalPool(encoder, Max(4))(x), peak)
    assert GlobalPool(encoder, AttentionPool(4))(x).shape == (2, 4)


def test_order_of_map_and_clip_tokens():
    maps = torch.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
    assert torch.equal(map_tokens(maps)[:, 2 * 5 + 3], maps[:, :, 2, 3])
    clip = torch.arange(2 * 3 * 4 * 2 * 5.0).reshape(2, 3, 4, 2, 5)
    tokens, mask = clip_tokens(clip, lengths_mask(torch.tensor([3, 1]), 3))
    assert torch.equal(tokens[:, (2 * 2 + 1) * 5 + 4], clip[:, 2, :, 1, 4])
    assert mask is not None
    assert mask.sum(dim=1).tolist() == [30, 10]


class Resnet(nn.Module):
    """The way torchvision names the parts of a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 7, 3)
        self.fc = nn.Linear(7, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.conv1(x).mean(dim=(2, 3)))


def test_without_classifier():
    x, _ = clips()
    encoder = FrameEncoder(*without_classifier(Resnet()))
    assert encoder(x).shape == (3, 4, 7)
    inner = nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(192, 9), nn.Linear(9, 5)))
    assert FrameEncoder(*without_classifier(inner))(x).shape == (3, 4, 9)
    with pytest.raises(ValueError, match="Flatten has no dense layer"):
        without_classifier(nn.Flatten())


def test_torchvision_backbones_fit():
    models = real_torchvision()
    with torch.device("meta"):
        vgg, features = without_classifier(models.vgg16())
        resnet = FrameEncoder(*without_classifier(models.resnet18()))
        video = ClipEncoder(*without_classifier(models.video.r3d_18()))
        x = torch.empty(2, 4, 3, 64, 64)
        assert resnet(x).shape == (2, 4, 512)
        assert video(x).shape == (2, 1, 512)
    assert features == 4096
    assert sum(value.numel() for value in vgg.parameters()) == 134_260_544


def test_invalid_shapes_and_blocks_are_refused():
    with pytest.raises(ValueError, match="5 dimensions"):
        FrameEncoder(frames())(torch.zeros(2, 3, 8, 8))
    with pytest.raises(ValueError, match="5 dimensions"):
        ClipEncoder(conv_encoder(3, 3, [4]))(torch.zeros(2, 3, 8, 8))
    with pytest.raises(ValueError, match="ReLU has no integer out_features"):
        FrameEncoder(nn.ReLU())
    assert features_of(nn.Linear(2, 3)) == 3
