"""The switch between fused layers and torch's, with a CPU in the place of a card."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from danq.core import Classes, CnnRnn, ColumnEncoder, Last, Mlp, Recurrent, conv_encoder
from danq.gpu import accelerate, accelerate_training, acceleration, triton_cache, twin
from danq.gpu.batch_graph import BatchGraph
from tests.gpu.small_models import codes, small_model

CPU = torch.device("cpu")


@pytest.fixture
def as_card(device, monkeypatch, tmp_path, caplog) -> torch.device:
    """The CPU counts as a card; nothing was compared or said before."""
    if device.type == "cuda":
        pytest.skip("there is a card")
    monkeypatch.setattr(acceleration, "_is_card", lambda _: True)
    monkeypatch.setattr(acceleration, "_compared", set())
    monkeypatch.delenv(triton_cache.VARIABLE, raising=False)
    monkeypatch.setenv("DANQ_CACHE", str(tmp_path))
    acceleration._notice.cache_clear()
    caplog.set_level(logging.INFO, "danq")
    yield device
    acceleration._notice.cache_clear()
    os.environ.pop(triton_cache.VARIABLE, None)


def test_on_a_cpu_the_module_itself_is_used(caplog):
    caplog.set_level(logging.INFO, "danq")
    model = small_model()
    assert accelerate(model, CPU, "fp32") is model
    assert accelerate_training(model, CPU, "bf16") is model
    assert caplog.messages == []


def test_a_cpu_loads_no_kernels():
    code = (
        "import sys, torch; from danq.gpu import accelerate; from danq.models import build\n"
        "accelerate(build('danq-small', tracks=2, window=200), torch.device('cpu'), 'fp32')\n"
        "sys.exit(any('_kernels' in name for name in sys.modules if name.startswith('danq.gpu')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_both_switches_give_fused_layers(as_card, caplog, tmp_path):
    model = small_model().eval()
    fast = accelerate(model, as_card, "fp32")
    assert isinstance(fast, BatchGraph)
    x = codes(4)
    with torch.no_grad():
        torch.testing.assert_close(fast(x), model(x), rtol=1e-4, atol=1e-5)
    model.train()
    trained = accelerate_training(model, as_card, "fp32")
    assert trained is not model
    assert trained.training
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    trained(x).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert caplog.messages == [
        "compiling kernels for this GPU; this takes a minute and is done once"
    ]
    assert os.environ["TRITON_CACHE_DIR"] == str(tmp_path / "triton")


def test_a_model_is_compared_once(as_card, monkeypatch):
    calls = []
    original = twin.difference_of_values
    monkeypatch.setattr(
        twin, "difference_of_values", lambda *given: calls.append(1) or original(*given)
    )
    for seed in (0, 1):
        accelerate(small_model(seed=seed).eval(), as_card, "fp32")
    accelerate(small_model(hidden=5).eval(), as_card, "fp32")
    assert len(calls) == 2


def test_without_triton_torch_s_layers_are_used_and_named_once(as_card, caplog, monkeypatch):
    monkeypatch.setattr(triton_cache, "is_installed", lambda: False)
    model = small_model().eval()
    for _ in range(2):
        assert accelerate(model, as_card, "fp32") is model
        assert accelerate_training(model, as_card, "fp32") is model
    assert caplog.messages == [
        "torch's layers run on cpu, because Triton is not installed; install danq with the extra "
        "'gpu'"
    ]


def test_other_models_and_models_with_hooks_stay_as_they_are(as_card, caplog):
    other = nn.Linear(3, 2)
    assert accelerate(other, as_card, "fp32") is other
    columns = ColumnEncoder(conv_encoder(2, 1, (3,), pool=1), 4)
    temporal = Recurrent(columns.out_features, 5)
    images = CnnRnn(columns, temporal, Last(10), Classes(Mlp(10, ()), 2))
    assert accelerate_training(images, as_card, "fp32") is images
    model = small_model().eval()
    model.encoder.register_forward_hook(lambda *_: None)
    assert accelerate(model, as_card, "fp32") is model
    assert caplog.messages == [
        "torch's layers run on cpu, because there are no fused layers for a Linear",
        "torch's layers run on cpu, because the model does not read DNA",
        "torch's layers run on cpu, because the model has hooks",
    ]


def test_a_part_that_cannot_be_fused_is_named(as_card, caplog):
    for _ in range(2):
        assert isinstance(accelerate(small_model("gru").eval(), as_card, "fp32"), BatchGraph)
    assert caplog.messages[1:] == [
        "torch's layers run on cpu for a part of the model: its recurrent cell is a GRU"
    ]


def test_kernels_that_fail_are_not_used(as_card, caplog, monkeypatch):
    def fail(*_):
        raise OSError("no C compiler")

    monkeypatch.setattr(twin, "difference_of_values", fail)
    model = small_model().eval()
    assert accelerate(model, as_card, "fp32") is model
    assert caplog.records[-1].levelname == "WARNING"
    assert caplog.messages[-1] == (
        "torch's layers run on cpu, because a fused layer failed (OSError: no C compiler)"
    )


def test_memory_that_is_exhausted_is_an_error(as_card, monkeypatch):
    def fail(*_):
        raise torch.cuda.OutOfMemoryError("out of memory")

    monkeypatch.setattr(twin, "difference_of_values", fail)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        accelerate(small_model().eval(), as_card, "fp32")


def test_wrong_logits_and_gradients_are_not_used(as_card, caplog, monkeypatch):
    from danq.gpu.padded_dense import PaddedDense

    original = PaddedDense.forward
    monkeypatch.setattr(PaddedDense, "forward", lambda self, x: 1.5 * original(self, x))
    model = small_model().eval()
    assert accelerate(model, as_card, "fp32") is model
    assert "compute other results: logits differ by 0.5 of their norm" in caplog.messages[-1]
    assert accelerate_training(model, as_card, "fp32") is model
    assert "compute other results: the gradient of encoder.weight differs" in caplog.messages[-1]
    assert caplog.records[-1].levelname == "WARNING"


def test_a_cache_folder_of_the_user_is_kept(as_card, monkeypatch, tmp_path):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "mine"))
    assert triton_cache.use_cache_folder()
    assert os.environ["TRITON_CACHE_DIR"] == str(tmp_path / "mine")
    (tmp_path / "mine" / "kernel").mkdir(parents=True)
    (tmp_path / "file").touch()
    monkeypatch.setenv("DANQ_CACHE", str(tmp_path / "file"))  # not a folder, and not needed
    assert not triton_cache.use_cache_folder()
