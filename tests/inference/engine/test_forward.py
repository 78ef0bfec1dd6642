from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from danq.errors import InputError
from danq.genome.nucleotide_codes import reverse_complement
from danq.inference.engine.forward import predict_blocks, predict_codes
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


def test_forward_strand_is_the_modules_sigmoid(module, codes):
    with torch.no_grad():
        wanted = torch.sigmoid(module.eval()(torch.from_numpy(codes))).numpy()
    np.testing.assert_allclose(run(module, codes, strand="forward"), wanted, rtol=1e-6)


def test_both_strands_are_the_mean_and_strand_blind(module, codes):
    both = run(module, codes)
    other = reverse_complement(codes)
    one, two = run(module, codes, strand="forward"), run(module, other, strand="forward")
    np.testing.assert_allclose(both, (one + two) / 2, rtol=1e-6)
    np.testing.assert_allclose(run(module, other), both, rtol=1e-6)


def test_batch_size_changes_nothing_beyond_rounding(module, codes):
    whole = run(module, codes)
    for size in (1, 4, 22):
        np.testing.assert_allclose(run(module, codes, batch_size=size), whole, atol=1e-6)


def test_module_is_given_back_as_it_was(module, codes):
    module.train()
    run(module, codes)
    assert module.training
    stream = predict_blocks(module, iter([codes]), FP32)
    next(stream)
    stream.close()
    assert module.training
    module.eval()


def test_no_windows(module):
    assert run(module, np.empty((0, 150), np.uint8)).shape == (0, 3)


def test_bf16_is_near(module, codes):
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
