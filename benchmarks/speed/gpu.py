"""DanQ on a GPU: the reference model in fp32 and bf16 against danq, and one training epoch.

    python -m benchmarks.speed.gpu [--out FILE.json] [--device cuda] [--quick]

It needs torch, lightning, numba, h5py, pydantic and click. A measurement that fails, for example if
memory is too small, is reported in the table, and the next one starts. All models have the same
weights. The reference model reads one-hot floats on the device; danq reads codes.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.harness.arguments import make_parser
from benchmarks.harness.optional_imports import REPLACED  # before any module of danq
from benchmarks.harness.reference_model import (
    QUICK,
    ModelSize,
    danq_module,
    matched_models,
    one_hot,
    random_codes,
)
from benchmarks.harness.report import table, write_json
from benchmarks.harness.synthetic_data import random_dataset
from benchmarks.harness.timing import Measurement
from benchmarks.speed.device_peaks import device_peaks, mean_seconds, minimum_traffic, synchronize
from benchmarks.speed.training_step import train_step
from danq.datasets.batches import Batches
from danq.datasets.dataset import Dataset
from danq.device import Precision, autocast, resolve_device, set_threads
from danq.gpu import accelerate, accelerate_training
from danq.training.device_batches import DeviceBatches, device_bytes

BATCHES = (100, 1024, 4096)
REFERENCE: dict[str, Precision] = {"reference fp32": "fp32", "reference bf16": "bf16"}
EPOCH_WINDOWS, EPOCH_BASES, EPOCH_BATCH = 4_400_000, 3_000_000_000, 4096
COMPARED_WINDOWS = 64


def build_model(name: str, size: ModelSize, x: Tensor, *, training: bool) -> nn.Module:
    """A model on the device of its input ``x``."""
    reference, danq = matched_models(size)
    module: nn.Module = reference if name in REFERENCE else danq
    module.to(x.device).train(training)
    if not training and name.startswith("danq") and name not in ("danq compiled", "danq graph"):
        return accelerate(module, x.device, precision_of(name))
    if name == "danq compiled":
        return torch.compile(module)  # pyright: ignore[reportReturnType]
    if name == "danq graph":
        # A CUDA graph must not use weights that autocast's cache frees at the end of its block.
        with torch.autocast(x.device.type, dtype=torch.bfloat16, cache_enabled=False):
            return torch.cuda.make_graphed_callables(module, (x,))  # pyright: ignore
    return module


def precision_of(name: str) -> Precision:
    """Precision of a model by its name."""
    return "fp32" if name == "danq fp32" else REFERENCE.get(name, "bf16")


def predict_call(module: nn.Module, x: Tensor, precision: Precision) -> Callable[[], Tensor]:
    """A call that returns the probabilities of one batch."""

    @torch.inference_mode()
    def call() -> Tensor:
        with autocast(x.device, precision):
            return torch.sigmoid(module(x).float())

    return call


def train_call(
    module: nn.Module, precision: Precision, *, fused: bool = True, twin: nn.Module | None = None
) -> Callable[[Tensor, Tensor], Tensor]:
    """A call that trains on one batch of inputs and labels, and returns the loss.

    The optimiser is AdamW: fused for danq, torch's default implementation for the reference model.
    The fused form of the module, ``twin``, computes where it is given.
    """
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-4, fused=fused or None)
    return lambda x, labels: train_step(twin or module, optimizer, x, labels, precision)


def measure(
    task: str, name: str, size: ModelSize, batch: int, device: torch.device, seconds: float
) -> float:
    """Windows per second."""
    training = task == "training"
    codes = random_codes(size, batch)
    x = (one_hot(codes) if name in REFERENCE else torch.from_numpy(codes)).to(device)
    module = build_model(name, size, x, training=training)
    precision = precision_of(name)
    if not training:
        return batch / mean_seconds(predict_call(module, x, precision), device, seconds)
    labels = (torch.rand(batch, size.tracks, device=device) < 0.02).to(torch.uint8)
    twin = accelerate_training(module, device, precision) if name == "danq" else None
    train = train_call(module, precision, fused=name not in REFERENCE, twin=twin)
    return batch / mean_seconds(lambda: train(x, labels), device, seconds)


def measure_all(
    size: ModelSize,
    batches: tuple[int, ...],
    device: torch.device,
    peaks: dict[str, Any],
    models: list[str],
    seconds: float,
) -> Iterator[Measurement]:
    """Windows per second of every task, batch size and model, in the order of the table.

    The fractions in the details refer to the bf16 matrix rate and the copy rate in ``peaks``. The
    memory traffic is the minimum that any implementation needs.
    """
    for task, batch in ((task, batch) for task in ("inference", "training") for batch in batches):
        yield from measure_task(task, size, batch, device, peaks, models, seconds)


def measure_task(
    task: str,
    size: ModelSize,
    batch: int,
    device: torch.device,
    peaks: dict[str, Any] | None,
    models: list[str],
    seconds: float,
) -> Iterator[Measurement]:
    """Rows of one task and batch size; without ``peaks``, they have no shares of these."""
    training = task == "training"
    bf16 = None
    for name in models:
        row = Measurement(f"{name}, batch {batch}", unit="windows/s", benchmark=task)
        row.details = {"model": name, "batch": batch}
        try:
            speed = measure(task, name, size, batch, device, seconds)
        except RuntimeError as error:  # for example, out of memory
            if is_lost(error):
                raise
            row.note = f"failed: {str(error).splitlines()[0][:120]}"
            yield row
            continue
        finally:
            if device.type == "cuda":
                torch.cuda.empty_cache()
        bf16 = speed if name == "reference bf16" else bf16
        row.value = speed
        notes = []
        if peaks is not None:
            itemsize = 4 if precision_of(name) == "fp32" else 2
            traffic = minimum_traffic(size, batch, itemsize, training=training)
            flop = size.flop * (3 if training else 1)
            matrix = speed * flop / peaks["bf16_tflops"] / 1e12
            memory = speed / batch * traffic / peaks["copy_gbytes"] / 1e9
            notes.append(f"{matrix:.1%} of matrix rate, {memory:.1%} of copy rate")
            row.details |= {"matrix_fraction": matrix, "memory_fraction": memory}
        if bf16:
            notes.append(f"{speed / bf16:.2f} x reference bf16")
            row.details["speedup_over_reference_bf16"] = speed / bf16
        row.note = ", ".join(notes)
        yield row


def is_lost(error: BaseException) -> bool:
    """Whether the process can no longer use its GPU."""
    return "CUDA error" in str(error) or type(error).__name__ == "AcceleratorError"


def differences_from_reference(size: ModelSize, device: torch.device) -> dict[str, float]:
    """Largest difference of danq's probabilities from the reference model's in fp32."""
    codes = random_codes(size, COMPARED_WINDOWS, seed=1)
    hot, x = one_hot(codes).to(device), torch.from_numpy(codes).to(device)
    reference, danq = (module.to(device).eval() for module in matched_models(size))
    expected = predict_call(reference, hot, "fp32")()
    precisions: tuple[Precision, ...] = ("fp32", "bf16")
    return {
        name: float((predict_call(danq, x, name)() - expected).abs().max()) for name in precisions
    }


def measure_epoch(
    dataset: Dataset, size: ModelSize, batch: int, device: torch.device
) -> dict[str, Any]:
    """Time of one training epoch with batches from the device, and of these batches alone."""
    result: dict[str, Any] = {
        "windows": len(dataset),
        "batch": batch,
        "gbytes_on_device": device_bytes(dataset) / 1e9,
    }

    @contextlib.contextmanager
    def timed(name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        synchronize(device)
        result[name] = time.perf_counter() - start

    with timed("upload_seconds"):
        every = np.arange(len(dataset))
        augmented = Batches(
            dataset, every, batch, shuffle=True, reverse_complement=True, max_shift=20, seed=1
        )
        batches = DeviceBatches(augmented, device)
    with timed("batches_seconds"):
        for _ in batches.epoch(1):
            pass
    module = danq_module(size).to(device).train()
    train = train_call(module, "bf16", twin=accelerate_training(module, device, "bf16"))
    for codes, labels in _first(batches.epoch(2), 3):
        train(codes, labels)
    synchronize(device)
    loss = None
    with timed("epoch_seconds"):
        for codes, labels in batches.epoch(0):
            loss = train(codes, labels)
    result["last_loss"] = None if loss is None else float(loss)
    result["host_windows_per_second"] = host_rate(dataset, batch, device)
    return result


def host_rate(dataset: Dataset, batch: int, device: torch.device) -> float:
    """Windows per second that the host's batch loader copies to the device."""
    loader = Batches(
        dataset, np.arange(len(dataset)), batch, shuffle=True, reverse_complement=True, max_shift=20
    )
    start, windows = None, 0
    for codes, labels in _first(loader.epoch(0), 200):
        for array in (codes, labels):
            tensor = torch.from_numpy(array)
            tensor = tensor.pin_memory() if device.type == "cuda" else tensor
            tensor.to(device, non_blocking=True)
        if start is None:  # the first batch includes compilation
            start = time.perf_counter()
            continue
        windows += len(codes)
    synchronize(device)
    seconds = time.perf_counter() - (start or 0.0)
    return windows / seconds if windows else 0.0


def _first(batches: Iterator[Any], count: int) -> Iterator[Any]:
    """The first batches of an epoch; then its thread is closed."""
    with contextlib.closing(batches) as opened:  # pyright: ignore[reportArgumentType]
        for _, batch in zip(range(count), opened, strict=False):
            yield batch


def main() -> None:
    """Measure the device and the models, print the table and write the JSON file."""
    parser = make_parser(__doc__, "quick", "threads", "out", threads=None)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seconds", type=float, default=2.0, help="time of each measurement")
    parser.add_argument(
        "--also", nargs="*", choices=("compiled", "graph"), default=[], help="further danq models"
    )
    parser.add_argument("--epoch-windows", type=int, default=EPOCH_WINDOWS, help="0: no epoch")
    args = parser.parse_args()
    set_threads(args.threads)
    device = resolve_device(args.device)
    size, batches = (QUICK, (4, 8)) if args.quick else (ModelSize(), BATCHES)
    peaks = device_peaks(device, quick=args.quick)
    content: dict[str, Any] = {
        "device": peaks,
        "quick": args.quick,
        "parameters": size.parameters,
        "replaced_imports": REPLACED,
        "largest_difference": differences_from_reference(size, device),
    }
    print(
        f"{peaks['name']}: {peaks['bf16_tflops']:,.3g} TFLOP/s in bf16, "
        f"{peaks['copy_gbytes']:,.3g} GB/s; torch {peaks['torch']}"
    )
    also = args.also if device.type == "cuda" else []
    models = [*REFERENCE, "danq", *(f"danq {name}" for name in also)]
    seconds = 0.05 if args.quick else args.seconds
    rows = list(measure_all(size, batches, device, peaks, models, seconds))
    print(table(rows), flush=True)
    content["measurements"] = rows
    windows = min(args.epoch_windows, 400) if args.quick else args.epoch_windows
    if windows:
        bases = 100_000 if args.quick else EPOCH_BASES
        dataset = random_dataset(bases, windows, size.tracks, window=size.length)
        batch = 64 if args.quick else EPOCH_BATCH
        content["epoch"] = measure_epoch(dataset, size, batch, device)
        print(", ".join(f"{name} {value}" for name, value in content["epoch"].items()))
    write_json(args.out, content)


if __name__ == "__main__":
    main()
