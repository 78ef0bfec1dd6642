"""Logits of whole windows in batches, on CPU tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from danq.errors import InputError
from danq.inference.engine import whole_windows
from danq.inference.engine.whole_windows import (
    BATCH,
    WholeWindows,
    effect_options,
    evaluates_whole_windows,
    float32_products,
    padded_size,
)
from danq.models.architecture import Architecture, build_module
from danq.models.run_options import RunOptions

WINDOW = 120


def module() -> nn.Module:
    torch.manual_seed(1)
    hyperparameters = {"filters": 9, "width": 8, "pool": 5, "hidden": 6, "dense": (7,)}
    return build_module(Architecture(**hyperparameters), 3, WINDOW).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize(("windows", "batch"), [(1, None), (130, 64), (100, 100), (70, 7)])
def test_logits_equal_those_of_the_module(windows: int, batch: int | None):
    codes = torch.randint(0, 5, (windows, WINDOW), dtype=torch.uint8)
    plain = module()
    engine = WholeWindows(plain, RunOptions("cpu", "fp32", batch_size=batch))
    assert engine.batch == (BATCH if batch is None else batch)
    found = engine.logits(codes)
    with torch.inference_mode():
        expected = plain(codes)
    assert found.shape == (windows, 3)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=0, atol=1e-6)


def test_batches_have_few_sizes(monkeypatch):
    sizes = []
    plain = module()
    forward = plain.forward
    monkeypatch.setattr(plain, "forward", lambda codes: sizes.append(len(codes)) or forward(codes))
    engine = WholeWindows(plain, RunOptions("cpu", "fp32", batch_size=200))
    engine._module = plain
    engine.logits(torch.zeros(401, WINDOW, dtype=torch.uint8))
    assert sizes == [200, 200, 200]
    engine.logits(torch.zeros(101, WINDOW, dtype=torch.uint8))
    assert sizes[3:] == [125]
    every = {padded_size(windows, BATCH) for windows in range(1, BATCH + 1)}
    assert every == {64, 128, 256, 512, *range(1024, 4097, 512)}
    assert all(padded_size(windows, 100) >= windows for windows in range(1, 101))
    assert {padded_size(windows, 3) for windows in (1, 2, 3)} == {3}


def test_only_cpus_evaluate_incrementally():
    assert not evaluates_whole_windows(torch.device("cpu"))
    assert evaluates_whole_windows(torch.device("cuda", 0))
    assert evaluates_whole_windows(torch.device("mps"))


def test_effects_are_computed_in_fp32_on_a_gpu_unless_a_precision_is_set(monkeypatch):
    auto, bf16 = RunOptions("cpu"), RunOptions("cpu", "bf16")
    assert effect_options(auto) is auto
    monkeypatch.setattr(whole_windows, "evaluates_whole_windows", lambda device: True)
    assert effect_options(auto).precision == "fp32"
    assert effect_options(bf16) is bf16


@pytest.mark.parametrize("tf32", [False, True])
def test_products_of_float32_use_tf32_where_it_is_set(tf32: bool, monkeypatch):
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    seen = []
    assert not whole_windows.TF32
    options = RunOptions("cpu", "fp32")
    engine = WholeWindows(module(), options, tf32=True) if tf32 else WholeWindows(module(), options)
    forward = engine._module.forward

    def watched(codes: torch.Tensor) -> torch.Tensor:
        seen.append((cudnn.allow_tf32, matmul.allow_tf32))
        return forward(codes)

    monkeypatch.setattr(engine._module, "forward", watched)
    engine.logits(torch.zeros(3, WINDOW, dtype=torch.uint8))
    assert seen == [(tf32, tf32)]
    assert (cudnn.allow_tf32, matmul.allow_tf32) == (True, False)


def test_settings_of_tf32_by_their_newer_names_are_restored():
    backends: Any = torch.backends
    if not hasattr(backends.cudnn, "conv"):
        assert not hasattr(backends, "fp32_precision")
        return
    owners = [backends.cudnn.conv, backends.cudnn.rnn]
    before = [owner.fp32_precision for owner in owners]
    try:
        owners[1].fp32_precision = "ieee"
        for _ in range(2):
            with float32_products(tf32=False):
                assert [owner.fp32_precision for owner in owners] == ["ieee", "ieee"]
            assert [owner.fp32_precision for owner in owners] == ["tf32", "ieee"]
    finally:
        for owner, value in zip(owners, before, strict=True):
            owner.fp32_precision = value


def test_exhausted_memory_names_a_smaller_batch(monkeypatch):
    engine = WholeWindows(module(), RunOptions("cpu", "fp32", batch_size=600))

    def full(codes: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(engine._module, "forward", full)
    with pytest.raises(InputError, match=r"600 windows.*such as 300"):
        engine.logits(torch.zeros(900, WINDOW, dtype=torch.uint8))
