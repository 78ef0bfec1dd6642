from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from danq.errors import InputError
from danq.genome.nucleotide_codes import reverse_complement
from danq.inference.engine.forward import evaluation_copy, predict_blocks, predict_codes
from danq.models import RunOptions, build
from tests.bfloat16 import needs_bf16

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


def test_the_training_mode_of_every_layer_stays(module, codes):
    module.train()
    module.encoder.eval()
    before = [part.training for part in module.modules()]
    assert len(set(before)) == 2
    run(module, codes)
    assert [part.training for part in module.modules()] == before
    stream = predict_blocks(module, iter([codes]), FP32)
    next(stream)
    assert [part.training for part in module.modules()] == before
    stream.close()
    assert [part.training for part in module.modules()] == before
    module.eval()


def test_a_module_on_other_devices_stays_there():
    module = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3).to("meta"))
    before = dict(module.named_parameters()) | dict(module.named_buffers())
    devices = {name: tensor.device for name, tensor in before.items()}
    copied = evaluation_copy(module, torch.device("meta"))
    assert {tensor.device.type for tensor in copied.state_dict().values()} == {"meta"}
    assert not copied.training
    after = dict(module.named_parameters()) | dict(module.named_buffers())
    assert all(after[name] is tensor for name, tensor in before.items())
    assert {name: tensor.device for name, tensor in after.items()} == devices
    assert module.training


def test_a_copy_on_the_same_device_shares_all_tensors(module):
    copied = evaluation_copy(module, torch.device("cpu"))
    assert copied is not module
    for one, other in (
        (module.parameters(), copied.parameters()),
        (module.buffers(), copied.buffers()),
    ):
        assert [id(tensor) for tensor in one] == [id(tensor) for tensor in other]


@needs_bf16
def test_streams_of_two_precisions_from_one_module_do_not_mix(module, codes):
    blocks = [codes[:8], codes[8:16], codes[16:]]
    options = [FP32, replace(FP32, precision="bf16")]
    expected = [list(predict_blocks(module, iter(blocks), one)) for one in options]
    assert not np.array_equal(expected[0][0], expected[1][0])
    for order in (options, options[::-1]):
        streams = [predict_blocks(module, iter(blocks), one) for one in order]
        rows = zip(*streams, strict=True)
        separate = zip(*(expected[options.index(one)] for one in order), strict=True)
        for row, other in zip(rows, separate, strict=True):
            np.testing.assert_array_equal(row, other)


@needs_bf16
def test_threads_that_predict_in_bf16_do_not_change_the_module(module, codes):
    def state():
        tensors = [(id(p), p.dtype, p.requires_grad) for p in module.parameters()]
        return tensors, [part.training for part in module.modules()]

    module.train()
    before, expected = state(), run(module, codes, precision="bf16", batch_size=4)
    with ThreadPoolExecutor(4) as pool:
        done = [
            pool.submit(run, module, codes, precision="bf16", batch_size=4) for repeat in range(40)
        ]
    for one in done:
        np.testing.assert_array_equal(one.result(), expected)
    assert state() == before
    module.eval()


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_forward_hooks_run_in_the_copy(device):
    class Recorder:
        def __init__(self):
            self.layers = []

        def record(self, layer, *_):
            self.layers.append(layer)

    before, after = Recorder(), Recorder()
    module = nn.Sequential(nn.Linear(2, 3))
    module[0].register_forward_pre_hook(before.record)
    module[0].register_forward_hook(after.record)
    copied = evaluation_copy(module, torch.device(device))
    copied(torch.zeros(1, 2, device=device))
    assert before.layers == after.layers == [copied[0]]


def test_a_module_that_keeps_an_output_is_copied():
    module = nn.Linear(2, 3)
    module.kept = module(torch.zeros(1, 2))
    assert evaluation_copy(module, torch.device("cpu")).kept is module.kept


@needs_bf16
def test_weights_that_a_parametrization_computes_stay(codes):
    torch.manual_seed(0)
    module = build("danq-small", tracks=3, window=150, filters=8, hidden=4, dense=(5,))
    weight_norm(module.head.output)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    run(module, codes, precision="bf16")
    after = module.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert {tensor.dtype for tensor in module.parameters()} == {torch.float32}


def test_no_windows(module):
    assert run(module, np.empty((0, 150), np.uint8)).shape == (0, 3)


@needs_bf16
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
