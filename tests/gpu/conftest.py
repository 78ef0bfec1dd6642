from __future__ import annotations

import importlib.util
import os

import pytest
import torch


@pytest.fixture(scope="session")
def device() -> torch.device:
    """Where kernels run: a card, or the CPU in Triton's interpreter."""
    if importlib.util.find_spec("triton") is None:
        pytest.skip("triton is not installed")
    if torch.cuda.is_available():
        return torch.device("cuda", 0)
    if os.environ.get("TRITON_INTERPRET") != "1":
        pytest.skip("torch cannot use the card; set TRITON_INTERPRET=1")
    return torch.device("cpu")


@pytest.fixture(scope="session")
def card() -> torch.device:
    """A card with bfloat16."""
    if not torch.cuda.is_available() or torch.cuda.get_device_capability() < (8, 0):
        pytest.skip("no CUDA device of compute capability 8.0")
    if importlib.util.find_spec("triton") is None:
        pytest.skip("triton is not installed")
    return torch.device("cuda", 0)
