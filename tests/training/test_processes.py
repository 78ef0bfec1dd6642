"""Two processes on one machine train one model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from danq.models import load_model

MODEL = "[model]\nfilters = 12\nwidth = 11\npool = 10\nhidden = 6\ndense = [8]\n"


@pytest.mark.parametrize("frozen", [0, 1])
def test_two_processes_train_one_model(planted_set, tmp_path, frozen):
    planted_set.save(tmp_path / "data.h5")
    (tmp_path / "small.toml").write_text(MODEL)

    def train(name: str, devices: int) -> str:
        command = [str(Path(sys.executable).with_name("danq")), "train", str(tmp_path / "data.h5")]
        command += ["--out", str(tmp_path / name), "--config", str(tmp_path / "small.toml")]
        command += ["--epochs", "2", "--batch-size", "100", "--devices", str(devices)]
        command += ["--device", "cpu", "--precision", "fp32", "--threads", "1"]
        command += ["--initial-motifs", "none", "--frozen-epochs", str(frozen)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert train("one", 1).count("best of 2 epochs") == 1
    assert train("two", 2).count("best of 2 epochs") == 1
    one, two = (load_model(tmp_path / name).module.state_dict() for name in ("one", "two"))
    for name, value in one.items():
        # With the same dropout, the mean of the gradients of two halves is that of the batch.
        torch.testing.assert_close(two[name], value, rtol=0.02, atol=2e-3)
    assert not all(torch.equal(two[name], value) for name, value in one.items())
    assert np.isfinite(
        [float(v.sum()) for v in safetensors.torch.load_file(tmp_path / "two/last.ckpt").values()]
    ).all()
