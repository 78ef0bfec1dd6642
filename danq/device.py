"""Where a model runs, in which arithmetic, on how many threads: the one resolver."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from danq.errors import InputError

if TYPE_CHECKING:
    import torch

Precision = Literal["fp32", "bf16"]
Item = TypeVar("Item")
Done = TypeVar("Done")

MOST_THREADS = 1024
"""So many threads at most: OpenMP ends the whole process when it cannot start them all."""

_DEVICE = re.compile(r"cpu|mps|cuda(?::(\d+))?")
_BF16_FLAGS = {"avx512_bf16", "amx_bf16"}
_CPUINFO = Path("/proc/cpuinfo")


def resolve_device(name: str | torch.device = "auto") -> torch.device:
    """Turn a word into a device that is there.

    Parameters
    ----------
    name
        ``auto`` (the first CUDA device, else the CPU), ``cpu``, ``cuda``, ``cuda:N`` or
        ``mps``; or a device, which is checked in the same way.

    Returns
    -------
    torch.device
        ``cuda`` comes back with its number.

    Raises
    ------
    InputError
        When the word is none of these, or this machine has no such device.
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
            least = f"cuda:0 to cuda:{count - 1}, or " if count else ""
            raise InputError(
                f"device '{name}' is not there: {found}", remedy=f"Choose {least}auto or cpu"
            )
        return torch.device("cuda", number)
    if word == "mps" and not torch.backends.mps.is_available():
        raise InputError(
            "device 'mps' is not there: this is no Mac with Metal, or torch lacks it",
            remedy="Choose auto or cpu",
        )
    return torch.device(word)


def resolve_precision(name: str, device: torch.device) -> Precision:
    """Turn a word into the arithmetic that suits a device.

    Parameters
    ----------
    name
        ``fp32``, ``bf16`` (bfloat16 products summed in fp32; weights stay fp32) or ``auto``:
        bf16 on CUDA devices of capability 8.0 and up and on CPUs with AVX512-BF16 or AMX,
        fp32 elsewhere.
    device
        Where the model is to run.

    Raises
    ------
    InputError
        When the word is none of these.
    """
    if name == "fp32":
        return "fp32"
    if name == "bf16":
        return "bf16"
    if name != "auto":
        raise InputError(f"precision is '{name}'", remedy="Choose fp32, bf16 or auto")
    return "bf16" if _fast_bf16(device) else "fp32"


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """Context in which a model computes in a precision; in fp32 it changes nothing.

    Parameters
    ----------
    device, precision
        As the two resolvers give them.
    """
    import torch

    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def resolve_threads(count: int | None = None) -> int:
    """Threads to compute with on the CPU.

    Parameters
    ----------
    count
        A number, or None for all cores that this process may run on.

    Raises
    ------
    InputError
        When the number is below 1 or above `MOST_THREADS`.
    """
    if count is None:
        return _own_cores()
    if count < 1:
        raise InputError(f"{count} threads were asked for, below 1")
    if count > MOST_THREADS:
        raise InputError(
            f"{count} threads were asked for, above {MOST_THREADS}",
            remedy=f"Ask for as many as there are cores, {_own_cores()} here",
        )
    return count


def set_threads(count: int | None = None) -> int:
    """Make torch's operators and danq's own kernels use that many threads, and say how many.

    Parameters
    ----------
    count
        As :func:`resolve_threads` takes it.

    Raises
    ------
    InputError
        As :func:`resolve_threads`.
    """
    import numba
    import torch

    threads = resolve_threads(count)
    # Both share one OpenMP pool, and each parallel kernel sets its size for those that follow.
    # torch comes last: numba's first call starts its own threads, and sets the pool to all cores.
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))  # pyright: ignore[reportAttributeAccessIssue]
    torch.set_num_threads(threads)
    return threads


def side_by_side(work: Callable[[Item], Done], items: Sequence[Item]) -> list[Done]:
    """Do the same work on every item, several at a time, each on its share of the CPU's threads.

    Products of a few hundred rows take less time one beside the other, each on a thread of its
    own, than one after the other on all threads: nobody waits for another at the end of each. They
    are done one after the other where numba has but its own "workqueue" to start threads with.

    Parameters
    ----------
    work
        Is called in threads that start in torch's default modes (gradients on, no autocast).
    items
        What it is called with.

    Returns
    -------
    list
        What it gave, item by item.
    """
    import numba
    import torch

    threads = torch.get_num_threads()
    workers = min(threads, len(items))
    if workers < 2:
        return [work(item) for item in items]
    kernel_threads = numba.get_num_threads()
    # It ends the whole process when two threads call a parallel kernel at once.
    if numba.threading_layer() == "workqueue":
        return [work(item) for item in items]
    try:
        with ThreadPoolExecutor(
            workers, initializer=set_threads, initargs=(threads // workers,)
        ) as pool:
            return list(pool.map(work, items))
    finally:
        set_threads(threads)
        numba.set_num_threads(kernel_threads)


def _own_cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        return os.cpu_count() or 1


def _fast_bf16(device: torch.device) -> bool:
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and not _BF16_FLAGS.isdisjoint(_cpu_flags())


@lru_cache(maxsize=1)
def _cpu_flags() -> frozenset[str]:
    try:
        text = _CPUINFO.read_text()
    except OSError:
        return frozenset()
    line = re.search(r"^flags\s*:(.*)$", text, re.MULTILINE)
    return frozenset(line[1].split()) if line else frozenset()
