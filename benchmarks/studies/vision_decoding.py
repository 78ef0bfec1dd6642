"""Images per second of own image files, and memory of a training on them.

    python -m benchmarks.studies.vision_decoding [--only rates|memory] [--images 20000]
                                                 [--workers 2] [--out FILE.json]

JPEG files are generated: photographs of noise, gradients and discs. Their decoding by danq's worker
processes is compared with that of Pillow in a plain torch DataLoader with as many processes, in
turns, in one run. Both decode, resize and make batches of uint8. "training" has danq's variations
as well, "whole" the resizing of evaluation alone. Memory is the sum of the proportional set sizes
of the process and of its workers, sampled while one epoch is trained.
"""

from __future__ import annotations

import io
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from benchmarks.harness.arguments import make_parser
from benchmarks.harness.report import markdown_table, write_json
from danq import vision
from danq.vision.own_data import InputSettings, own_examples

BATCH = 64
DISTINCT = 200
"""Different images; the files add a different end to each."""


def photographs(size: tuple[int, int], count: int) -> list[bytes]:
    """JPEG files of images of a size (height, width)."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[: size[0], : size[1]]
    files = []
    for _ in range(count):
        start, slopes = rng.integers(0, 200, 3), rng.normal(0, 0.3, (3, 2))
        image = start + rows[..., None] * slopes[:, 0] + columns[..., None] * slopes[:, 1]
        for _ in range(6):
            at, radius = rng.random(2) * size, rng.integers(10, 80)
            disc = (rows - at[0]) ** 2 + (columns - at[1]) ** 2 < radius**2
            image[disc] = rng.integers(0, 255, 3)
        image = image + rng.normal(0, 6, image.shape)
        buffer = io.BytesIO()
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=85)
        files.append(buffer.getvalue())
    return files


def write_images(folder: Path, size: tuple[int, int], count: int) -> None:
    """Write JPEG files to folders of four classes; no two files are equal."""
    distinct = photographs(size, min(count, DISTINCT))
    for number in range(count):
        path = folder / f"class{number % 4}" / f"{number:05}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(distinct[number % len(distinct)] + number.to_bytes(4, "little"))


class Plain(TorchDataset):
    """Pillow in a DataLoader, as in a script without danq."""

    def __init__(self, paths: list[str], size: tuple[int, int]) -> None:
        self.paths, self.size = paths, size

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> torch.Tensor:
        height, width = self.size
        with Image.open(self.paths[row]) as image:
            shown = image.convert("RGB").resize((width, height), Image.Resampling.BILINEAR)
        return torch.from_numpy(np.array(shown).transpose(2, 0, 1))


def seconds(batches: Callable[[], Iterator]) -> float:
    """Seconds until all batches were made."""
    start = time.perf_counter()
    for _ in batches():
        pass
    return time.perf_counter() - start


def rates(folder: Path, workers: int, repeats: int) -> dict[str, float]:
    """Medians of images per second, and of the ratios to the DataLoader."""
    _, data = own_examples("images", folder, InputSettings(workers=workers))
    train, count = data.train, len(data.train)
    _, height, width = data.metadata["shape"]
    order = np.random.default_rng(0).permutation(count)
    parts = [order[at : at + BATCH] for at in range(0, count, BATCH)]
    loader = DataLoader(
        Plain([train.sources[i] for i in order], (height, width)),  # type: ignore[attr-defined]
        batch_size=BATCH,
        num_workers=workers,
        persistent_workers=True,
    )
    ways: dict[str, Callable[[], Iterator]] = {
        "DataLoader": lambda: iter(loader),
        "training": lambda: train.selected(parts, (0, 0)),
        "whole": lambda: train.selected(parts, None),
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    for name in ways:
        next(iter(ways[name]()))  # starts the processes
    for _ in range(repeats):
        for name, batches in ways.items():
            found[name].append(count / seconds(batches))
    values = {f"images/s, {name}": median(each) for name, each in found.items()}
    for name in ("training", "whole"):
        pairs = zip(found[name], found["DataLoader"], strict=True)
        values[f"ratio, {name}"] = median(a / b for a, b in pairs)
    return values


def training_memory(folder: Path, workers: int, run: Path) -> dict[str, float]:
    """Peak memory of reading and training one epoch, in GB, and seconds of both."""
    peak, done = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.2):
            peak = max(peak, family_bytes())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        start = time.perf_counter()
        _, data = own_examples("images", folder, InputSettings(workers=workers, size=(32, 32)))
        read = time.perf_counter() - start
        recipe = vision.Recipe(epochs=1, batch_size=BATCH)
        result = vision.train("image-classes", data=data, out=run, recipe=recipe)
    finally:
        done.set()
        thread.join()
    return {
        "images": float(sum(len(getattr(data, split)) for split in ("train", "valid", "test"))),
        "peak GB": peak / 1e9,
        "seconds to check all files": read,
        "seconds of training": result.seconds,
    }


def family_bytes() -> int:
    """Proportional set sizes of this process and its children."""
    total = 0
    for pid in [os.getpid(), *children(os.getpid())]:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
        except OSError:
            continue
        total += sum(
            1024 * int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")
        )
    return total


def children(pid: int) -> list[int]:
    """Processes that a process started."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += map(int, (task / "children").read_text(encoding="ascii").split())
    return found


def report(files: str, values: dict[str, float]) -> None:
    """Print the values of some files."""
    rows = [
        (metric, f"{value:,.3g}" if value < 1000 else f"{value:,.0f}")
        for metric, value in values.items()
    ]
    print(markdown_table((files, "value"), rows), end="\n\n", flush=True)


def main() -> None:
    """Measure, print and write."""
    parser = make_parser(__doc__, "quick", "repeats", "out", repeats=3)
    parser.add_argument("--images", type=int, default=20_000, help="files of the training")
    parser.add_argument("--workers", type=int, default=2, help="worker processes")
    parser.add_argument("--rate-images", type=int, default=2_000, help="files of each rate")
    parser.add_argument("--only", choices=("rates", "memory"), help="what to measure")
    arguments = parser.parse_args()
    images, rate_images = arguments.images, arguments.rate_images
    if arguments.quick:
        images, rate_images = 400, 200
    values: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        for height, width in () if arguments.only == "memory" else ((240, 320), (480, 640)):
            folder = Path(name) / f"{width}x{height}"
            folder.mkdir()
            write_images(folder, (height, width), rate_images)
            found = rates(folder, arguments.workers, arguments.repeats)
            values[f"{width} x {height}"] = found
            report(f"{width} x {height}", found)
        if arguments.only != "rates":
            folder = Path(name) / "training"
            folder.mkdir()
            write_images(folder, (240, 320), images)
            values["training"] = training_memory(folder, arguments.workers, Path(name) / "run")
            report("training", values["training"])
    write_json(arguments.out, {"values": values})


if __name__ == "__main__":
    main()
