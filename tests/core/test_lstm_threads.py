"""Threads of an LSTM layer in training: few for small steps, and as before after each pass."""

from __future__ import annotations

from collections.abc import Iterator

import numba
import pytest
import torch

from danq.core import Recurrent, _training_lstm
from danq.device import set_threads

UNITS = 8


@pytest.fixture
def threads() -> Iterator[list[tuple[int, int]]]:
    """Two threads for torch and numba, and what each step of a scan saw of them."""
    before, kernels = torch.get_num_threads(), numba.get_num_threads()
    set_threads(2)
    yield []
    numba.set_num_threads(kernels)
    torch.set_num_threads(before)


@pytest.mark.parametrize(("rows", "seen"), [(16, 1), (_training_lstm.MANY // (4 * UNITS), 2)])
def test_small_steps_run_on_one_thread(rows, seen, threads, monkeypatch):
    if numba.config.NUMBA_NUM_THREADS < 2:  # pyright: ignore[reportAttributeAccessIssue]
        pytest.skip("one core")
    for name in ("step_forward", "step_backward"):
        step = getattr(_training_lstm.kernels, name)

        def observed(*arguments, step=step):
            threads.append((torch.get_num_threads(), numba.get_num_threads()))
            step(*arguments)

        monkeypatch.setattr(_training_lstm.kernels, name, observed)
    layer = Recurrent(5, UNITS).train()
    layer(torch.randn(rows, 3, 5)).sum().backward()
    assert set(threads) == {(seen, seen)}
    assert len(threads) == 2 * 2 * 3
    assert (torch.get_num_threads(), numba.get_num_threads()) == (2, 2)
