"""How a model runs: refused values, and what is decided late."""

from __future__ import annotations

import math

import pytest
import torch

import danq
from danq.errors import InputError
from danq.models import RunOptions


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"batch_size": 0}, "batch_size is 0, the minimum is 1"),
        ({"batch_size": 2.5}, "batch_size is 2.5, not a whole number"),
        ({"batch_size": True}, "batch_size is True, not a whole number"),
        ({"threads": "2"}, "threads is '2', not a whole number"),
        ({"strand": None}, "strand is None.*'both' or 'forward'"),
        ({"strand": "reverse"}, "strand is 'reverse'"),
        ({"tolerance": -1e-6}, "tolerance is -1e-06, the minimum is 0"),
        ({"tolerance": math.nan}, "tolerance is nan"),
        ({"tolerance": "1e-6"}, "tolerance is '1e-6'"),
        ({"precision": "fp8"}, "fp8"),
        ({"device": "tpu"}, "tpu"),
    ],
)
def test_refused_values(options, problem):
    with pytest.raises(InputError, match=problem):
        RunOptions(**options)


def test_an_option_that_does_not_exist_is_named(small_model):
    with pytest.raises(InputError, match="no option 'strands'.*strand"):
        small_model().with_options(strands="both")


def test_the_device_is_not_asked_before_the_model_runs(monkeypatch):
    def asked() -> bool:
        raise AssertionError("the GPU was asked for")

    monkeypatch.setattr(torch.cuda, "is_available", asked)
    assert RunOptions().device == "auto"


def test_models_whose_options_mean_the_same_run_together(small_model):
    left = small_model().with_options(device="auto", precision="auto")
    device, precision = str(left.options.torch_device), left.options.resolved_precision
    named = small_model(seed=1).with_options(device=device, precision=precision)
    assert danq.predict([left, named], "ACGT").columns[-1].endswith("_sd")
