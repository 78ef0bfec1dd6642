from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from danq.errors import InputError
from danq.genome.nucleotide_codes import reverse_complement
from danq.inference.engine.forward import evaluating, predict_blocks, predict_codes
from danq.models import RunOptions, build

FP32 = RunOptions("cpu", "fp32")


@pytest.fixture(scope="module")
def module():
    torch.manual_seed(0)
    return build("danq-small", tracks=3, window=150, filters=8, hidden=4, dense=(5,))


@pytest.fixture(scope="module")
def codes():
    return np.random.default_rng(0).integers(0, 5, (23, 150)).astype(np.uint8)


def run(module, codes, **changes):
    return predict_codes(module, codes, replace(FP32, **changes))


def test_forward_strand_is_the_sigmoid_of_the_logits(module, codes):
    with torch.no_grad():
        expected = torch.sigmoid(module.eval()(torch.from_numpy(codes))).numpy()
    np.testing.assert_allclose(run(module, codes, strand="forward"), expected, rtol=1e-6)


def test_both_strands_give_the_mean_and_are_symmetric(module, codes):
    both = run(module, codes)
    other = reverse_complement(codes)
    one, two = run(module, codes, strand="forward"), run(module, other, strand="forward")
    np.testing.assert_allclose(both, (one + two) / 2, rtol=1e-6)
    np.testing.assert_allclose(run(module, other), both, rtol=1e-6)


def test_batch_size_changes_only_rounding(module, codes):
    whole = run(module, codes)
    for size in (1, 4, 22):
        np.testing.assert_allclose(run(module, codes, batch_size=size), whole, atol=1e-6)


def test_training_modes_are_restored_one_by_one(module, codes):
    module.train()
    module.encoder.eval()
    before = [part.training for part in module.modules()]
    assert len(set(before)) == 2
    run(module, codes)
    assert [part.training for part in module.modules()] == before
    stream = predict_blocks(module, iter([codes]), FP32)
    next(stream)
    assert not any(part.training for part in module.modules())
    stream.close()
    assert [part.training for part in module.modules()] == before
    module.eval()


def test_a_module_on_other_devices_stays_there():
    module = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3).to("meta"))
    before = dict(module.named_parameters()) | dict(module.named_buffers())
    devices = {name: tensor.device for name, tensor in before.items()}
    with evaluating(module, torch.device("meta")) as ready:
        assert {tensor.device.type for tensor in ready.state_dict().values()} == {"meta"}
        assert not ready.training
    after = dict(module.named_parameters()) | dict(module.named_buffers())
    assert all(after[name] is tensor for name, tensor in before.items())
    assert {name: tensor.device for name, tensor in after.items()} == devices
    assert module.training


def test_no_windows(module):
    assert run(module, np.empty((0, 150), np.uint8)).shape == (0, 3)


def test_bf16_is_close_to_fp32(module, codes):
    np.testing.assert_allclose(run(module, codes, precision="bf16"), run(module, codes), atol=5e-3)


def test_unknown_strand(module, codes):
    with pytest.raises(InputError, match="strand is 'minus'.*'both' or 'forward'"):
        run(module, codes, strand="minus")


@pytest.mark.parametrize("size", [0, -1])
def test_batch_sizes_below_1(module, codes, size):
    with pytest.raises(InputError, match=f"batch_size is {size}, the minimum is 1"):
        run(module, codes, batch_size=size)


def test_the_consumer_of_a_stream_is_not_in_inference_mode(module, codes):
    stream = predict_blocks(module, iter([codes, codes]), FP32)
    next(stream)
    assert not torch.is_inference_mode_enabled()
    module(torch.from_numpy(codes)).sum().backward()
    assert module.encoder.weight.grad is not None
    stream.close()
    module.zero_grad()
