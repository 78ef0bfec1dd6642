from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numba
import pytest
import torch

from danq import device as resolver
from danq.device import (
    autocast,
    map_in_threads,
    resolve_device,
    resolve_precision,
    resolve_threads,
    set_threads,
)
from danq.errors import InputError

CPU = torch.device("cpu")


@pytest.fixture
def gpus(monkeypatch):
    """Emulate a number of CUDA devices of one capability."""

    def pretend(count: int, capability: tuple[int, int] = (9, 0)) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)

    return pretend


@pytest.fixture
def flags(monkeypatch, tmp_path):
    """Emulate a processor with these flags."""

    def pretend(words: str | None) -> None:
        file = tmp_path / "cpuinfo"
        if words is not None:
            file.write_text(f"processor\t: 0\nflags\t\t: {words}\nbugs\t: none\n")
        monkeypatch.setattr(resolver, "_CPUINFO", file)
        resolver.cpu_flags.cache_clear()

    yield pretend
    resolver.cpu_flags.cache_clear()


def test_auto_selects_the_first_gpu_or_the_cpu(gpus):
    gpus(0)
    assert resolve_device() == CPU
    gpus(2)
    assert resolve_device("auto") == torch.device("cuda", 0)


def test_named_devices(gpus):
    gpus(2)
    assert resolve_device("cpu") == CPU
    assert resolve_device("cuda") == torch.device("cuda", 0)
    assert resolve_device("CUDA:1") == torch.device("cuda", 1)
    assert resolve_device(torch.device("cuda", 1)) == torch.device("cuda", 1)


@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_a_gpu_that_is_not_available(gpus, name):
    gpus(0)
    with pytest.raises(InputError, match=f"'{name}' is not available: torch sees 0 CUDA devices"):
        resolve_device(name)


def test_a_gpu_beyond_the_last(gpus):
    gpus(2)
    with pytest.raises(InputError, match=r"'cuda:2'.*2 CUDA devices.*cuda:0 to cuda:1"):
        resolve_device("cuda:2")


def test_no_metal(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InputError, match="'mps' is not available"):
        resolve_device("mps")


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "", "meta"])
def test_names_of_no_device(name):
    with pytest.raises(InputError, match=f"no device is named '{name}'"):
        resolve_device(name)


@pytest.mark.parametrize(
    ("capability", "expected"), [((7, 5), "fp32"), ((8, 0), "bf16"), ((9, 0), "bf16")]
)
def test_auto_precision_on_gpus(gpus, capability, expected):
    gpus(1, capability)
    assert resolve_precision("auto", torch.device("cuda", 0)) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("fpu avx2 avx512f", "fp32"),
        ("fpu avx512f avx512_bf16", "bf16"),
        ("fpu amx_tile amx_bf16", "bf16"),
        (None, "fp32"),
    ],
)
def test_auto_precision_on_cpus(flags, words, expected):
    flags(words)
    assert resolve_precision("auto", CPU) == expected


def test_precision_by_name(monkeypatch):
    monkeypatch.setattr(resolver, "_cpu_lstm_in_bf16", lambda: True)
    assert resolve_precision("bf16", CPU) == "bf16"
    assert resolve_precision("fp32", CPU) == "fp32"
    with pytest.raises(InputError, match="precision is 'fp16'"):
        resolve_precision("fp16", CPU)


@pytest.fixture
def no_bf16(monkeypatch):
    """Emulate a processor without AVX-512, for which oneDNN has no LSTM in bfloat16."""

    def refuse(*_):
        raise RuntimeError("could not create a primitive descriptor for the LSTM")

    monkeypatch.setattr(torch.nn.LSTM, "forward", refuse)
    resolver._cpu_lstm_in_bf16.cache_clear()
    yield
    resolver._cpu_lstm_in_bf16.cache_clear()


def test_bf16_on_a_processor_without_an_lstm_for_it(no_bf16):
    random = torch.get_rng_state()
    with pytest.raises(InputError, match="no LSTM in bfloat16.*AVX-512.*Choose fp32 or auto"):
        resolve_precision("bf16", CPU)
    assert resolve_precision("bf16", torch.device("cuda", 0)) == "bf16"
    assert torch.equal(torch.get_rng_state(), random)


def test_autocast_computes_in_the_given_precision():
    a = torch.ones(2, 2)
    with autocast(CPU, "bf16"):
        assert (a @ a).dtype == torch.bfloat16
    with autocast(CPU, "fp32"):
        assert (a @ a).dtype == torch.float32


def test_threads_are_set_after_torch_has_computed():
    code = (
        "import torch; from danq.device import set_threads; a = torch.ones(300, 300); a @ a;"
        "set_threads(1); print(torch.get_num_threads())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


def test_threads():
    before = torch.get_num_threads()
    try:
        assert set_threads(1) == 1
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
    assert resolve_threads() >= 1
    with pytest.raises(InputError, match="threads is 0, the minimum is 1"):
        resolve_threads(0)
    with pytest.raises(InputError, match="threads is 100000, the maximum is 1024"):
        set_threads(100_000)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    set_threads(2)
    yield
    set_threads(before)


def threads() -> tuple[int, int]:
    return torch.get_num_threads(), numba.get_num_threads()


def test_calls_run_in_threads_and_results_keep_their_order(two_threads):
    both, before = threading.Barrier(2), threads()

    def work(item: int) -> tuple[int, tuple[int, int]]:
        if item < 2:
            both.wait(timeout=60)  # until another thread is here too
        return item**2, threads()

    assert map_in_threads(work, range(9)) == [(item**2, (1, 1)) for item in range(9)]
    assert threads() == before
    assert map_in_threads(work, [7]) == [(49, before)]
    assert map_in_threads(work, []) == []


def test_an_error_of_one_item_is_raised_and_the_threads_are_restored(two_threads):
    done, before = [], threads()

    def work(item: int) -> None:
        if item == 1:
            raise ZeroDivisionError(f"item {item}")
        time.sleep(0.001)
        done.append(item)

    with pytest.raises(ZeroDivisionError, match="item 1"):
        map_in_threads(work, range(1000))
    assert threads() == before
    assert len(done) < 999


def test_nested_calls(two_threads):
    def inner(item: int) -> list[int]:
        return map_in_threads(lambda other: 10 * item + other, range(3))

    before = threads()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(map_in_threads, inner, range(2)).result() == [[0, 1, 2], [10, 11, 12]]
    assert threads() == before


@pytest.mark.parametrize("layer", ["workqueue", "default"])
def test_parallel_kernels_in_threads_do_not_end_the_process(layer):
    code = """
import numpy as np
from danq.device import set_threads, map_in_threads
from danq.inference.engine.pass_planning import changed_bases
set_threads(2)
rows = np.zeros((400, 1000), np.uint8)
owner = np.arange(400)
def work(item):
    span = np.empty((2, 400), np.int64)
    changed_bases(rows, rows, owner, span)
    return int(span.sum())
print(set(map_in_threads(work, range(50))))
"""
    env = os.environ | {"NUMBA_THREADING_LAYER": layer, "NUMBA_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{{{2 * 400 * 1000}}}\n"
