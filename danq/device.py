"""Resolve the device, precision and threads of a model."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from danq.errors import InputError

if TYPE_CHECKING:
    import torch

Precision = Literal["fp32", "bf16"]
Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_THREADS = 1024
"""Maximum number of threads; OpenMP ends the process when it cannot start all threads."""

BATCH_SIZES = {"cpu": 512, "cuda": 2048, "mps": 512}
"""Windows per batch, by kind of device.

They do not depend on free memory: results depend on the batch size in their last bits.
"""

_DEVICE = re.compile(r"cpu|mps|cuda(?::(\d+))?")
_BF16_FLAGS = {"avx512_bf16", "amx_bf16"}
_CPUINFO = Path("/proc/cpuinfo")


def resolve_device(name: str | torch.device = "auto") -> torch.device:
    """Find the device of a name, and check that this machine has it.

    Parameters
    ----------
    name
        ``auto`` (the first CUDA device, else the CPU), ``cpu``, ``cuda``, ``cuda:N`` or
        ``mps``; or a device.

    Returns
    -------
    torch.device
        ``cuda`` becomes ``cuda:0``.

    Raises
    ------
    InputError
        When the name is none of these, or this machine has no such device.
    """
    import torch

    word = str(name).strip().lower()
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if word == "auto":
        return torch.device("cuda", 0) if count else torch.device("cpu")
    match = _DEVICE.fullmatch(word)
    if match is None:
        raise InputError(
            f"no device is named '{name}'", remedy="Choose auto, cpu, cuda, cuda:N or mps"
        )
    if word.startswith("cuda"):
        number = int(match[1] or 0)
        if number >= count:
            found = f"torch sees {count} CUDA device{'' if count == 1 else 's'}"
            choices = f"cuda:0 to cuda:{count - 1}, or " if count else ""
            raise InputError(
                f"device '{name}' is not available: {found}", remedy=f"Choose {choices}auto or cpu"
            )
        return torch.device("cuda", number)
    if word == "mps" and not torch.backends.mps.is_available():
        raise InputError(
            "device 'mps' is not available: it requires a Mac with Metal and a torch build for it",
            remedy="Choose auto or cpu",
        )
    return torch.device(word)


def resolve_precision(name: str, device: torch.device) -> Precision:
    """Find the precision of a name on a device.

    Parameters
    ----------
    name
        ``fp32``, ``bf16`` (bfloat16 products summed in fp32; weights stay fp32) or ``auto``:
        bf16 on CUDA devices of capability 8.0 and up and on CPUs with AVX512-BF16 or AMX,
        fp32 elsewhere.
    device
        Where the model runs.

    Raises
    ------
    InputError
        When the name is none of these, or bf16 is chosen and `computes_bf16` is False.
    """
    check_precision(name)
    if name == "fp32":
        return "fp32"
    if name == "auto":
        return "bf16" if _fast_bf16(device) else "fp32"
    if not computes_bf16(device):
        raise InputError(
            "the precision is bf16, and this processor has no LSTM in bfloat16: "
            "torch requires AVX-512 for it",
            remedy="Choose fp32 or auto, or a GPU",
        )
    return "bf16"


def check_precision(name: str) -> None:
    """Check the name of a precision, without a device.

    Raises
    ------
    InputError
        When the name is not fp32, bf16 or auto.
    """
    if name not in ("fp32", "bf16", "auto"):
        raise InputError(f"precision is '{name}'", remedy="Choose fp32, bf16 or auto")


def computes_bf16(device: torch.device) -> bool:
    """Whether torch runs recurrent layers in bfloat16 on a device: not on x86 without AVX-512."""
    return device.type != "cpu" or _cpu_lstm_in_bf16()


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """Context in which a model on a device computes in a precision; fp32 changes nothing."""
    import torch

    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


@contextmanager
def memory_errors(windows: int | None = None) -> Iterator[None]:
    """Name a smaller batch when a device has not enough memory.

    Parameters
    ----------
    windows
        Windows of the batch that is computed in the block; None if it is not known.

    Raises
    ------
    InputError
        When the memory of a device is exhausted.
    """
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        batch = "the model or a batch" if windows is None else f"a batch of {windows:,} windows"
        half = "" if windows is None else f", such as {windows // 2:,}"
        remedy = f"Use a smaller batch size{half}, end other programs on the device, or use the CPU"
        if windows == 1:
            remedy = "End other programs on the device, or use the CPU"
        raise InputError(f"the device has not enough memory for {batch}", remedy=remedy) from error


def resolve_threads(count: int | None = None) -> int:
    """Number of CPU threads.

    Parameters
    ----------
    count
        A number, or None for all cores that this process may run on.

    Raises
    ------
    InputError
        When the number is below 1 or above `MAX_THREADS`.
    """
    if count is None:
        return _own_cores()
    if count < 1:
        raise InputError(f"threads is {count}, the minimum is 1", remedy="Use 1 or more")
    if count > MAX_THREADS:
        raise InputError(
            f"threads is {count}, the maximum is {MAX_THREADS}",
            remedy=f"Use the number of cores, {_own_cores()} here",
        )
    return count


def set_threads(count: int | None = None) -> int:
    """Set the number of threads of torch's operators and danq's kernels, for the whole process.

    Parameters
    ----------
    count
        A number, or None for all cores that this process may run on.

    Returns
    -------
    int
        The number that is set.

    Raises
    ------
    InputError
        When the number is below 1 or above `MAX_THREADS`.
    """
    import numba
    import torch

    threads = resolve_threads(count)
    # Both use one OpenMP pool, and a parallel kernel sets its size for all later calls. torch comes
    # last because numba's first call starts its threads and sets the pool to all cores.
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))  # pyright: ignore[reportAttributeAccessIssue]
    torch.set_num_threads(threads)
    return threads


def map_in_threads(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Call a function on every item, several at a time, each with its share of the CPU threads.

    Products of a few hundred rows take less time when several run at once, each on one thread,
    than one after the other on all threads, which wait for each other after every product. Where
    numba has only its own threading layer "workqueue", the calls run one after the other.

    Parameters
    ----------
    function
        Called in threads that start in torch's default modes (gradients on, no autocast).
    items
        Its arguments.

    Returns
    -------
    list
        The results, in the order of the items.
    """
    import numba
    import torch

    threads = torch.get_num_threads()
    workers = min(threads, len(items))
    if workers < 2:
        return [function(item) for item in items]
    kernel_threads = numba.get_num_threads()
    # "workqueue" ends the process when two threads call a parallel kernel at the same time.
    if numba.threading_layer() == "workqueue":
        return [function(item) for item in items]
    try:
        with ThreadPoolExecutor(
            workers, initializer=set_threads, initargs=(threads // workers,)
        ) as pool:
            return list(pool.map(function, items))
    finally:
        set_threads(threads)
        numba.set_num_threads(kernel_threads)


@lru_cache(maxsize=1)
def cpu_flags() -> frozenset[str]:
    """Names of the CPU's instruction sets, as Linux shows them; empty on other systems."""
    try:
        text = _CPUINFO.read_text()
    except OSError:
        return frozenset()
    line = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return frozenset(line[1].split()) if line else frozenset()


@lru_cache(maxsize=1)
def _cpu_lstm_in_bf16() -> bool:
    import torch

    with torch.random.fork_rng(devices=[]):
        layer = torch.nn.LSTM(1, 1)
    try:
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            layer(torch.zeros(1, 1, 1))
    except RuntimeError:
        return False
    return True


def _own_cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not available on this system
        return os.cpu_count() or 1


def _fast_bf16(device: torch.device) -> bool:
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and not _BF16_FLAGS.isdisjoint(cpu_flags())
