"""Every block runs under bfloat16 autocast, forwards and backwards, near its float32 result."""

from __future__ import annotations

import pytest
import torch

from danq.core import (
    AttentionPool,
    Classes,
    ClipEncoder,
    ColumnEncoder,
    Concat,
    ConvRecurrent,
    DensePixel,
    Embedding,
    EncoderForecaster,
    FeatureEncoder,
    FrameEncoder,
    FrameForecaster,
    GlobalPool,
    LateFusion,
    Mean,
    Mlp,
    Multiply,
    PerStep,
    Refine,
    RegionAlign,
    SequenceDecoder,
    Tcn,
    TokenEncoder,
    Vote,
    conv_encoder,
    ctc_loss,
    lengths_mask,
    step_cross_entropy,
    triplet_loss,
)

B, T, F = 3, 5, 6
MASK = lengths_mask(torch.tensor([5, 3, 1]), T)
torch.manual_seed(0)
STEPS, CLIP = torch.randn(B, T, F), torch.randn(B, T, 3, 8, 8)
CLASSES = torch.tensor([[1, 2], [2, 1], [1, 3]])


def forecaster() -> EncoderForecaster:
    layers = [ConvRecurrent(3, [4], 3) for _ in range(2)]
    return EncoderForecaster(layers[0], FrameForecaster(layers[1], 3, feedback=True), steps=2)


BLOCKS = {
    "frames": (
        lambda: FrameEncoder(GlobalPool(conv_encoder(2, 3, [4]), Mean(4))),
        lambda block: block(CLIP, MASK),
    ),
    "clip": (lambda: ClipEncoder(conv_encoder(3, 3, [4])), lambda block: block(CLIP)),
    "tokens": (
        lambda: TokenEncoder(9, F),
        lambda block: block(torch.zeros(B, T, dtype=torch.long), MASK),
    ),
    "features": (lambda: FeatureEncoder(F, [4]), lambda block: block(STEPS, MASK)),
    "columns": (
        lambda: ColumnEncoder(conv_encoder(2, 3, [4]), 8),
        lambda block: block(CLIP[:, 0], torch.tensor([8, 6, 4])),
    ),
    "tcn": (lambda: Tcn(F, [4, 4], 3), lambda block: block(STEPS, MASK)),
    "convlstm": (lambda: ConvRecurrent(3, [4, 4], 3), lambda block: block(CLIP, MASK)),
    "convgru": (
        lambda: ConvRecurrent(3, [4, 4], 3, kind="gru"),
        lambda block: block(CLIP, MASK),
    ),
    "forecast": (forecaster, lambda block: block(CLIP.sigmoid(), MASK)),
    "attention": (
        lambda: AttentionPool(F, 4, query_features=F, hops=2, gate=True),
        lambda block: block(STEPS, MASK, STEPS[:, 0]),
    ),
    "concat and classes": (
        lambda: torch.nn.Sequential(Concat([F, F]), Classes(Mlp(2 * F, [4]), 3)),
        lambda block: block((STEPS[:, 0], STEPS[:, 1])),
    ),
    "multiply": (lambda: Multiply([F, F], 4), lambda block: block(STEPS[:, :2].unbind(1), None)),
    "late": (
        lambda: LateFusion(F, [2.0, 1.0], learn=True),
        lambda block: block(STEPS[:, :2].unbind(1), MASK[:, :2]),
    ),
    "steps": (
        lambda: PerStep(Mlp(F, []), 4),
        lambda block: step_cross_entropy(block(STEPS, MASK), MASK.long(), MASK),
    ),
    "ctc": (lambda: PerStep(Mlp(F, []), 4), lambda block: ctc_loss(block(STEPS), CLASSES)),
    "vote": (lambda: Vote(Mlp(F, []), 4), lambda block: block(STEPS, MASK)),
    "pixels": (lambda: DensePixel(3, 2, scale=2), lambda block: block(CLIP)),
    "refine": (
        lambda: Refine(conv_encoder(2, 5, [2], pool=1), 2, 2),
        lambda block: block(CLIP[:, 0]),
    ),
    "regions": (
        lambda: conv_encoder(2, 3, [4]),
        lambda block: RegionAlign(2)(block(CLIP[:, 0]), torch.tensor([[[0.1, 0.2, 0.9, 0.7]]] * B)),
    ),
    "embedding": (
        lambda: Embedding(Mlp(F, [4]), 3),
        lambda block: triplet_loss(block(STEPS[:, 0]), torch.tensor([0, 0, 1]), margin=3.0),
    ),
    "decoder": (
        lambda: SequenceDecoder(F, 9, hidden=4, attention=AttentionPool(F, 4, query_features=4)),
        lambda block: block(STEPS, CLASSES, MASK),
    ),
    "stacked decoder": (
        lambda: SequenceDecoder(F, 9, hidden=4, kind="gru", layers=2),
        lambda block: block(STEPS, CLASSES, MASK),
    ),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_half_precision(name):
    make, run = BLOCKS[name]
    torch.manual_seed(1)
    block = make()
    wanted = run(block)
    with torch.autocast("cpu", torch.bfloat16):
        found = run(block)
    assert found.shape == wanted.shape
    torch.testing.assert_close(found.float(), wanted, rtol=0.05, atol=0.05)
    found.float().square().sum().backward()
    gradients = [p.grad for p in block.parameters()]
    assert all(g is not None and g.isfinite().all() for g in gradients)
    assert any(g.any() for g in gradients if g is not None)
