"""The processes that train one model together, and the values that they exchange."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from danq.device import resolve_device, resolve_threads
from danq.errors import DanqError, InputError
from danq.training.child_processes import ChildProcesses, watch_parent
from danq.training.config import RunSettings
from danq.training.process_layout import (
    ProcessLayout,
    find_layout,
    is_first_on_node,
    set_address,
)
from danq.training.stop_signal import StopSignal

START = timedelta(minutes=30)
"""Time in which all processes must have started."""

FOREVER = timedelta(days=365)
"""Time that processes wait while the first one works alone."""

T = TypeVar("T")

log = logging.getLogger("danq")


class TrainingInterrupted(DanqError):
    """Another process of the training ended before its end."""


class Processes:
    """The processes of a training, of which this is one.

    Without others, every function returns at once.

    Parameters
    ----------
    layout
        The processes.
    store
        A store of torch that all processes share, where there are several.
    device
        Device of this process.
    children
        Processes that this one started.
    """

    def __init__(
        self,
        layout: ProcessLayout | None = None,
        store: dist.Store | None = None,
        device: torch.device | None = None,
        children: ChildProcesses | None = None,
    ) -> None:
        self.layout = layout or ProcessLayout()
        self.rank, self.world = self.layout.rank, self.layout.world
        self.device = device or torch.device("cpu")
        self.stop = StopSignal()
        self._store, self._children = store, children
        self._group: Any = None
        self._failure: BaseException | None = None
        if store is not None:
            self._make_group(store)

    @property
    def is_first(self) -> bool:
        """Whether this process writes the outputs."""
        return self.rank == 0

    def _make_group(self, store: dist.Store) -> None:
        _wait_for_all(self.layout, store)
        cuda = self.device.type == "cuda"
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if cuda else "gloo",
            store=dist.PrefixStore("group", store),
            rank=self.rank,
            world_size=self.world,
            timeout=START if cuda else FOREVER,
        )
        # Waiting for the first process may take hours, a step may not.
        self._group = dist.new_group(backend="gloo", timeout=FOREVER) if cuda else dist.group.WORLD

    def wait(self) -> None:
        """Wait until all processes call this."""
        self.gather(None)

    def gather(self, value: T) -> list[T]:
        """The values of all processes, in all processes."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        dist.all_gather_object(values, value, self._group)
        return values

    def collect(self, value: T) -> list[T]:
        """The values of all processes in the first one; an empty list in the others."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world if self.is_first else []
        dist.gather_object(value, values or None, 0, self._group)
        return values

    def first(self, compute: Callable[[], T]) -> T:
        """What a function returns in the first process; the others wait for it."""
        if self.world == 1:
            return compute()
        values = [compute() if self.is_first else None]
        dist.broadcast_object_list(values, 0, self._group)
        return values[0]  # type: ignore[return-value]

    def total(self, value: Tensor) -> Tensor:
        """Sum of a value over all processes, in all processes."""
        return torch.stack(self.gather(value)).sum(dim=0)

    @torch.no_grad()
    def copy_from_first(self, module: nn.Module, *, parameters: bool = True) -> None:
        """Give a module the parameters and buffers that it has in the first process."""
        if self.world == 1:
            return
        tensors: list[Tensor] = [*module.buffers()]
        for tensor in [*module.parameters(), *tensors] if parameters else tensors:
            value = tensor.detach().cpu().contiguous()
            dist.broadcast(value, 0, self._group)
            tensor.copy_(value)

    def own_threads(self) -> int | None:
        """CPU threads of this process, if processes share cores; None if they share none."""
        if self.world == 1:
            return None
        try:
            cores = frozenset(os.sched_getaffinity(0))
        except AttributeError:  # not available on this system
            cores = frozenset(range(resolve_threads()))
        own = (socket.gethostname(), cores)
        sharing = [one for one in self.gather(own) if one[0] == own[0] and one[1] & cores]
        return max(1, len(cores) // len(sharing))

    def check_alike(self, what: str, value: str) -> None:
        """Check that all processes have the same value.

        Raises
        ------
        InputError
            When they have not.
        """
        values = self.gather(value)
        for rank, other in enumerate(values):
            if other != values[0]:
                raise InputError(
                    f"process {rank + 1} of {self.world} has another {what} ({other}) than the "
                    f"first one ({values[0]})",
                    remedy="Start each training separately: the processes of one srun or torchrun "
                    "train one model",
                )

    def check_devices(self) -> None:
        """Check that no two processes have the same CUDA device.

        Raises
        ------
        InputError
            When two have.
        """
        if self.device.type != "cuda" or self.world == 1:
            return
        card = str(torch.cuda.get_device_properties(self.device).uuid)
        cards = self.gather((socket.gethostname(), card))
        if len(set(cards)) < len(cards):
            raise InputError(
                f"{self.world} processes have only {len(set(cards))} different CUDA devices",
                remedy="Start one process per device",
            )

    @contextmanager
    def failing_together(self, directory: Path) -> Iterator[None]:
        """Context whose first error ends the training in all processes; one of them shows it.

        Raises
        ------
        TrainingInterrupted
            When another process ended before its end.
        """
        try:
            yield
        except BaseException as error:
            if self.world == 1 or error is self._failure:
                raise
            self._failure = self._described(error, directory)
            if self._failure is error:
                raise
            raise self._failure from error

    def _described(self, error: BaseException, directory: Path) -> BaseException:
        """The error to raise in place of one that ends the training in this process."""
        lost = isinstance(error, RuntimeError) and _is_lost_connection(error)
        if lost and threading.current_thread() is threading.main_thread():
            # The process ends anyway. The signal, which torchrun sends to it, would hide why.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        what = None
        if self._children is not None:
            what = self._children.describe_failure(1.0) if lost else None
        shown = self._is_first_to_report()
        if self._children is not None:
            self._children.stop(wait=not shown)
        if lost:
            what = what or "another process of the training ended"
            error = TrainingInterrupted(
                f"{what}. Resume the training of {directory} (resume) to go on from its last "
                "checkpoint."
            )
        elif isinstance(error, KeyboardInterrupt) and shown:
            log.error(
                "the training of %s ended before its end; resume it to go on from its last "
                "checkpoint",
                directory,
            )
        if isinstance(error, DanqError):
            error.reported = not shown
        return error

    def _is_first_to_report(self) -> bool:
        assert self._store is not None
        try:
            return self._store.add("reported", 1) == 1
        except (RuntimeError, ValueError):
            # The process with the store, which is the first one, has ended.
            return self.rank == 1


_joined: Processes | None = None


@contextmanager
def one_voice() -> Iterator[None]:
    """Context in which one process of those on a node shows notices, warnings and errors."""
    if is_first_on_node():
        yield
        return
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    except DanqError as error:
        if "reported" not in vars(error):
            error.reported = True
        raise
    finally:
        log.setLevel(level)


@contextmanager
def training_processes(run: RunSettings, directory: Path) -> Iterator[Processes]:
    """Context with the processes that train one model together; starts them where needed.

    Processes stay together for all trainings of a script.

    Parameters
    ----------
    run
        Device and number of processes.
    directory
        Run directory.

    Raises
    ------
    InputError
        As `find_layout`; when the device is not available to every process; or when processes do
        not start or do not train in the same directory.
    TrainingInterrupted
        When another process ended before its end.
    """
    processes = _join(run)
    if processes.world == 1:
        yield processes
        return
    with processes.failing_together(directory):
        processes.check_alike("run directory", str(directory.absolute()))
        processes.check_devices()
        yield processes
        processes.wait()


def _join(run: RunSettings) -> Processes:
    global _joined
    layout = find_layout(run)
    if layout.world == 1:
        return Processes(device=resolve_device(run.device))
    if _joined is not None:
        if _joined.layout.world != layout.world:
            raise InputError(
                f"{layout.world} processes are to train, but this program has {_joined.world}",
                remedy="Use the same number in all trainings of a program",
            )
        return _joined
    device = _own_device(run, layout)
    set_address(layout)
    children = None
    if layout.starter is None and layout.nodes == 1:
        store: dist.Store = dist.TCPStore(
            "127.0.0.1", 0, layout.world, is_master=True, timeout=START, wait_for_workers=False
        )
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port)}  # type: ignore[attr-defined]
        children = ChildProcesses(layout, address)
    else:
        if layout.starter is None:
            children = ChildProcesses(layout, {})
        elif layout.starter == "danq":
            watch_parent()
        store, *_ = next(
            dist.rendezvous("env://", rank=layout.rank, world_size=layout.world, timeout=START)
        )
    # The store of torchrun may be that of an earlier attempt, with the addresses of dead processes.
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    _joined = Processes(layout, dist.PrefixStore(f"danq/{attempt}", store), device, children)
    return _joined


def _own_device(run: RunSettings, layout: ProcessLayout) -> torch.device:
    device = resolve_device(run.device)
    if device.type == "mps":
        raise InputError(
            "several processes cannot train on the device 'mps'", remedy="Use one process, or cpu"
        )
    if device.type != "cuda":
        return device
    if ":" in run.device:
        raise InputError(
            f"the device is {run.device}, but {layout.world} processes train, each on its own",
            remedy="Use the device cuda",
        )
    count = torch.cuda.device_count()
    # Where a process sees one device alone, SLURM has given each its own.
    if layout.starter != "srun" or count != 1:
        if count < layout.local_world:
            raise InputError(
                f"{layout.local_world} processes on one node, but torch sees {count} CUDA devices",
                remedy="Use at most one process per device",
            )
        return torch.device("cuda", layout.local_rank)
    return device


def _wait_for_all(layout: ProcessLayout, store: dist.Store) -> None:
    store.set(f"started/{layout.rank}", "")
    try:
        store.wait([f"started/{rank}" for rank in range(layout.world)], START)
    except dist.DistStoreError as error:
        minutes = START.total_seconds() / 60
        raise InputError(
            f"not all of {layout.world} processes started within {minutes:.0f} minutes",
            remedy="Start one training on every node, and check that the nodes reach the first one",
        ) from error


def _is_lost_connection(error: RuntimeError) -> bool:
    if isinstance(error, dist.DistError):
        return True
    text = str(error).lower()
    return any(word in text for word in ("gloo", "connection", "nccl", "socket"))


def as_rows(parts: list[np.ndarray | None], rows: list[np.ndarray], axis: int) -> np.ndarray:
    """Results of several processes as those of one.

    Parameters
    ----------
    parts
        Result of each process; None of a process without rows.
    rows
        Indices of the rows of each process.
    axis
        Axis of the rows.
    """
    known = [part for part in parts if part is not None]
    shape = list(known[0].shape)
    shape[axis] = sum(map(len, rows))
    whole = np.empty(shape, known[0].dtype)
    for part, own in zip(parts, rows, strict=True):
        if part is not None:
            np.moveaxis(whole, axis, 0)[own] = np.moveaxis(part, axis, 0)
    return whole
