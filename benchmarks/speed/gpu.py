"""DanQ on a GPU: plain PyTorch in eager fp32 and bf16 against danq, and one epoch with its data.

    python -m benchmarks.speed.gpu [--out FILE.json] [--device cuda] [--quick]

Runs unattended; it needs torch, lightning, numba, h5py and click. A measurement that fails (too
little memory, say) becomes a line that says so, and the others go on. All models have the same
weights; the plain ones read one-hot floats that lie on the device, danq reads codes.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.harness.optional_imports import REPLACED  # before anything of danq
from benchmarks.harness.reference_model import (
    QUICK,
    Size,
    danq_module,
    matched,
    one_hot,
    random_codes,
)
from benchmarks.harness.synthetic_data import random_dataset
from benchmarks.harness.timing import machine, write
from benchmarks.speed.device_peaks import abilities, least_bytes, parameters, repeat, synchronize
from danq.datasets.batches import Batches
from danq.datasets.dataset import Dataset
from danq.device import Precision, autocast, resolve_device, set_threads
from danq.training.device_batches import DeviceBatches, device_bytes

BATCHES = (100, 1024, 4096)
PLAIN: dict[str, Precision] = {"eager fp32": "fp32", "eager bf16": "bf16"}
EPOCH_WINDOWS, EPOCH_BASES = 4_400_000, 3_000_000_000
BATCH_OF_EPOCH = 4096
COMPARED = 64


@dataclasses.dataclass
class Line:
    """One line of the table.

    Attributes
    ----------
    work
        "inference" or "training".
    variant
        Which model, in which arithmetic.
    batch
        Windows in a batch.
    windows_per_second
        The figure; None where ``failed`` says why there is none.
    matrix_share, memory_share
        Parts of the bf16 matrix rate and of the copy rate that this run measured. Memory counts
        the bytes that must cross it at the least.
    against_bf16
        Times the eager bf16 model's speed.
    """

    work: str
    variant: str
    batch: int
    windows_per_second: float | None = None
    matrix_share: float | None = None
    memory_share: float | None = None
    against_bf16: float | None = None
    failed: str = ""


def variants(device: torch.device, also: list[str]) -> list[str]:
    """Names of what is measured; compiled and graphed models need a CUDA device."""
    extra = [f"danq {name}" for name in also] if device.type == "cuda" else []
    return [*PLAIN, "danq", *extra]


def model(variant: str, size: Size, x: Tensor, *, training: bool) -> tuple[nn.Module, Precision]:
    """A variant on the device of its input ``x``, and the arithmetic it computes in."""
    plain, ours = matched(size)
    module: nn.Module = plain if variant in PLAIN else ours
    module.to(x.device).train(training)
    if variant == "danq compiled":
        module = torch.compile(module)  # pyright: ignore[reportAssignmentType]
    if variant == "danq graph":
        # Graphs must not refer to weights that autocast keeps only as long as its block.
        with torch.autocast(x.device.type, dtype=torch.bfloat16, cache_enabled=False):
            module = torch.cuda.make_graphed_callables(module, (x,))  # pyright: ignore
    return module, PLAIN.get(variant, "bf16")


def forward(module: nn.Module, x: Tensor, precision: Precision) -> Callable[[], Tensor]:
    """A call that gives the probabilities of one batch."""

    @torch.inference_mode()
    def call() -> Tensor:
        with autocast(x.device, precision):
            return torch.sigmoid(module(x).float())

    return call


def optimizer_of(module: nn.Module, *, fused: bool) -> torch.optim.Optimizer:
    """AdamW; the plain models take torch's default kind, danq the fused one."""
    return torch.optim.AdamW(module.parameters(), lr=1e-4, fused=fused or None)


def step(
    module: nn.Module, optimizer: torch.optim.Optimizer, precision: Precision
) -> Callable[[Tensor, Tensor], Tensor]:
    """A call that trains on one batch of inputs and uint8 labels; it gives the loss."""

    def call(x: Tensor, labels: Tensor) -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        with autocast(x.device, precision):
            logits = module(x)
        loss = F.binary_cross_entropy_with_logits(logits.float(), labels.float())
        loss.backward()
        optimizer.step()
        return loss.detach()

    return call


def inputs(variant: str, size: Size, batch: int, device: torch.device) -> Tensor:
    """One batch as a variant reads it: one-hot floats, or codes."""
    codes = random_codes(size, batch)
    return (one_hot(codes) if variant in PLAIN else torch.from_numpy(codes)).to(device)


def measure(
    work: str, variant: str, size: Size, batch: int, device: torch.device, seconds: float
) -> float:
    """Windows a second."""
    training = work == "training"
    x = inputs(variant, size, batch, device)
    module, precision = model(variant, size, x, training=training)
    if not training:
        return batch / repeat(forward(module, x, precision), device, seconds)
    labels = (torch.rand(batch, size.tracks, device=device) < 0.02).to(torch.uint8)
    fused = variant not in PLAIN
    train = step(module, optimizer_of(module, fused=fused), precision)
    return batch / repeat(lambda: train(x, labels), device, seconds)


def table(
    size: Size,
    batches: tuple[int, ...],
    device: torch.device,
    card: dict[str, Any],
    also: list[str],
    seconds: float,
) -> Iterator[Line]:
    """Every variant, batch and kind of work, each line as it is done."""
    for work in ("inference", "training"):
        for batch in batches:
            eager_bf16 = None
            for variant in variants(device, also):
                line = Line(work, variant, batch)
                try:
                    speed = measure(work, variant, size, batch, device, seconds)
                except RuntimeError as error:  # torch's own, out of memory among them
                    line.failed = str(error).splitlines()[0][:120]
                    yield line
                    continue
                finally:
                    if device.type == "cuda":
                        torch.cuda.empty_cache()
                training = work == "training"
                itemsize = 4 if PLAIN.get(variant) == "fp32" else 2
                eager_bf16 = speed if variant == "eager bf16" else eager_bf16
                line.windows_per_second = speed
                flop = size.flop * (3 if training else 1)
                line.matrix_share = speed * flop / card["bf16_tflops"] / 1e12
                moved = least_bytes(size, batch, itemsize, training=training)
                line.memory_share = speed / batch * moved / card["copy_gbytes"] / 1e9
                line.against_bf16 = speed / eager_bf16 if eager_bf16 else None
                yield line


def agreement(size: Size, device: torch.device) -> dict[str, float]:
    """Largest difference of danq's probabilities from the eager fp32 model's, by arithmetic."""
    codes = random_codes(size, COMPARED, seed=1)
    plain, ours = matched(size)
    hot, x = one_hot(codes).to(device), torch.from_numpy(codes).to(device)
    plain.to(device).eval()
    ours.to(device).eval()
    expected = forward(plain, hot, "fp32")()
    precisions: tuple[Precision, ...] = ("fp32", "bf16")
    return {name: float((forward(ours, x, name)() - expected).abs().max()) for name in precisions}


def epoch(dataset: Dataset, size: Size, batch: int, device: torch.device) -> dict[str, Any]:
    """Train on every window once, data gathered on the device; and the feeding by itself."""
    begun = time.perf_counter()
    indices = np.arange(len(dataset))
    feed = DeviceBatches(
        dataset,
        indices,
        batch,
        shuffle=True,
        reverse_complement=True,
        max_shift=20,
        seed=1,
        device=device,
    )
    synchronize(device)
    told: dict[str, Any] = {
        "windows": len(dataset),
        "batch": batch,
        "gbytes_on_device": device_bytes(dataset) / 1e9,
        "upload_s": time.perf_counter() - begun,
    }
    begun = time.perf_counter()
    for _ in feed.epoch(1):
        pass
    synchronize(device)
    told["feeding_alone_s"] = time.perf_counter() - begun
    module = danq_module(size).to(device).train()
    optimizer = optimizer_of(module, fused=True)
    train = step(module, optimizer, "bf16")
    for codes, labels in _first(feed.epoch(2), 3):
        train(codes, labels)
    synchronize(device)
    begun, loss = time.perf_counter(), None
    for codes, labels in feed.epoch(0):
        loss = train(codes, labels)
    synchronize(device)
    told["epoch_s"] = time.perf_counter() - begun
    told["last_loss"] = None if loss is None else float(loss)
    told["host_fed"] = host_fed(dataset, batch, device)
    return told


def host_fed(dataset: Dataset, batch: int, device: torch.device) -> dict[str, float]:
    """Windows a second that the host's loader brings to the device through pinned memory."""
    loader = Batches(
        dataset, np.arange(len(dataset)), batch, shuffle=True, reverse_complement=True, max_shift=20
    )
    begun, windows = None, 0
    for codes, labels in _first(loader.epoch(0), 200):
        for array in (codes, labels):
            tensor = torch.from_numpy(array)
            tensor = tensor.pin_memory() if device.type == "cuda" else tensor
            tensor.to(device, non_blocking=True)
        if begun is None:  # the first batch waits for kernels to compile
            begun = time.perf_counter()
            continue
        windows += len(codes)
    synchronize(device)
    seconds = time.perf_counter() - (begun or 0.0)
    return {"windows_per_second": windows / seconds if windows else 0.0}


def _first(batches: Iterator[Any], count: int) -> Iterator[Any]:
    """The first few batches; the thread behind them ends."""
    with contextlib.closing(batches) as opened:  # pyright: ignore[reportArgumentType]
        for _, batch in zip(range(count), opened, strict=False):
            yield batch


def show(line: Line) -> str:
    """A line of the table as text."""
    start = f"{line.work:<10} {line.variant:<14} {line.batch:>6}"
    if line.windows_per_second is None:
        return f"{start}  failed: {line.failed}"
    against = "" if line.against_bf16 is None else f"{line.against_bf16:8.2f} x"
    return (
        f"{start} {line.windows_per_second:>12,.0f} {100 * (line.matrix_share or 0):>8.1f} %"
        f" {100 * (line.memory_share or 0):>8.1f} % {against}"
    )


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--quick", action="store_true", help="small sizes: seconds, no figures")
    parser.add_argument("--seconds", type=float, default=2.0, help="time for each measurement")
    parser.add_argument(
        "--also", nargs="*", choices=("compiled", "graph"), default=[], help="more forms of danq"
    )
    parser.add_argument("--epoch-windows", type=int, default=EPOCH_WINDOWS, help="0 for no epoch")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--out", type=Path, help="JSON file to write")
    return parser


def main() -> None:
    chosen = options().parse_args()
    set_threads(chosen.threads)
    device = resolve_device(chosen.device)
    size, batches = (QUICK, (4, 8)) if chosen.quick else (Size(), BATCHES)
    card = abilities(device, quick=chosen.quick)
    told: dict[str, Any] = {"machine": machine(), "card": card, "quick": chosen.quick}
    told["parameters"] = parameters(size)
    told["stood_in_for"] = REPLACED
    told["largest_difference"] = agreement(size, device)
    print(
        f"{card['name']}: {card['bf16_tflops']:,.3g} TFLOP/s in bf16, "
        f"{card['copy_gbytes']:,.3g} GB/s; torch {card['torch']}\n"
        f"{'':10} {'':14} {'batch':>6} {'windows/s':>12} {'of matrix':>10} {'of memory':>10}"
        f" {'to eager bf16':>10}"
    )
    lines = []
    seconds = 0.05 if chosen.quick else chosen.seconds
    for line in table(size, batches, device, card, chosen.also, seconds):
        print(show(line), flush=True)
        lines.append(line)
    windows = min(chosen.epoch_windows, 400) if chosen.quick else chosen.epoch_windows
    if windows:
        bases = 100_000 if chosen.quick else EPOCH_BASES
        dataset = random_dataset(bases, windows, size.tracks, window=size.length)
        told["epoch"] = epoch(dataset, size, 64 if chosen.quick else BATCH_OF_EPOCH, device)
        print(", ".join(f"{name} {value}" for name, value in told["epoch"].items()))
    if chosen.out:
        write(chosen.out, [], **told, lines=[dataclasses.asdict(line) for line in lines])


if __name__ == "__main__":
    main()
