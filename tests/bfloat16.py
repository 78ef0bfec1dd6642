"""Which tests a processor cannot run: torch has no LSTM in bfloat16 on x86 without AVX-512."""

from __future__ import annotations

import pytest
import torch

from danq.device import computes_bf16

REASON = "this processor has no LSTM in bfloat16"

needs_bf16 = pytest.mark.skipif(not computes_bf16(torch.device("cpu")), reason=REASON)


def skip_without_bf16() -> None:
    """Skip the tests that use a fixture."""
    if not computes_bf16(torch.device("cpu")):
        pytest.skip(REASON)
