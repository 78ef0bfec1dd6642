"""Measure danq on one GPU, from the limits of the card to its commands, in under 8 minutes.

    python -m benchmarks.gpu [--out FILE.json] [--only PART ...] [--quick --device cpu]

A part that fails is reported with its traceback, and the next one starts, in a new process if the
GPU can no longer be used. At the time limit, the parts that are left are skipped. ``--quick`` uses
small sizes: it shows that everything runs, and its values do not describe danq's speed.
"""

from __future__ import annotations

import argparse
import gc
import json
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.harness.process_group import run_alone

ROOT = Path(__file__).resolve().parents[2]
PARTS = {
    "limits": "model_rows.limits",
    "training": "model_rows.training",
    "inference": "model_rows.inference",
    "variants": "command_rows.variants",
    "predict": "command_rows.predict",
    "mutate": "command_rows.mutate",
    "epoch": "model_rows.epoch",
    "step_profile": "model_rows.step_profile",
    "yeast": "trained_rows.yeast",
    "effects": "trained_rows.effects",
    "gpu_tests": "tests_row.gpu_tests",
}
"""Parts, and the functions of this package that measure them, in the order of their importance."""

MINUTES = 7.5

LOST = 3
"""Exit status of a process after a part, with its line, in which the GPU was lost."""


def main() -> None:
    """Run the parts, print their tables and write the JSON file."""
    from benchmarks.harness.arguments import make_parser

    # So that the processes of the benchmark end with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    parser = make_parser(__doc__, "quick", "out", out=None)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="time limit of all parts")
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=f"of {PARTS}"
    )
    parser.add_argument("--rows", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.rows is not None:
        measure_parts(arguments)
        return
    with tempfile.TemporaryDirectory(prefix="danq-gpu-") as folder:
        parts = run_in_processes(arguments, Path(folder))
    write(arguments, parts)


def run_in_processes(arguments: argparse.Namespace, folder: Path) -> dict[str, dict[str, Any]]:
    """Results of all parts; each process measures until it ends or the time is over."""
    end = time.monotonic() + 60 * arguments.minutes
    rows, done = folder / "rows.jsonl", dict[str, dict[str, Any]]()
    rows.touch()
    while left := [part for part in arguments.only if part not in done]:
        words = ["-m", "benchmarks.gpu", "--device", arguments.device, "--only", *left]
        words += ["--rows", str(rows), "--folder", str(folder), *["--quick"] * arguments.quick]
        timeout = max(1.0, end - time.monotonic())
        try:
            code = run_alone([sys.executable, *words], ROOT, timeout)
            problem = f"the process ended with {code}"
        except subprocess.TimeoutExpired:
            code, problem = None, f"the limit of {arguments.minutes:g} minutes was reached"
        lines = [json.loads(line) for line in rows.read_text().splitlines()]
        done = {line["part"]: line for line in lines}
        left = [part for part in arguments.only if part not in done]
        if time.monotonic() < end:
            # The part in which the process ended, if it did not end after one.
            left = [] if code == LOST else left[:1]
        for part in left:
            with rows.open("a") as file:
                line = {"part": part, "rows": [], "failed": problem, "seconds": None}
                file.write(json.dumps(line) + "\n")
            done[part] = line
    return {part: done[part] for part in arguments.only}


def measure_parts(arguments: argparse.Namespace) -> None:
    """Measure parts one after the other, and add a line to a file for each of them."""
    from benchmarks.gpu.setting import Setting
    from benchmarks.harness.report import table
    from benchmarks.speed.gpu import is_lost
    from danq.device import resolve_device

    setting = Setting(resolve_device(arguments.device), arguments.quick, arguments.folder)
    for part in arguments.only:
        start, rows, failed, lost = time.perf_counter(), [], None, False
        print(f"\n== {part}", flush=True)
        try:
            for row in _rows(part, setting):
                rows.append(row)
        except Exception as error:
            failed, lost = traceback.format_exc(), is_lost(error)
            print(failed, flush=True)
        if rows:
            print(table(rows), flush=True)
        seconds = time.perf_counter() - start
        print(f"{part}: {seconds:.1f} s", flush=True)
        line = {
            "part": part,
            "rows": [asdict(row) for row in rows],
            "failed": failed,
            "seconds": seconds,
        }
        with arguments.rows.open("a") as file:
            file.write(json.dumps(line, default=str) + "\n")
        if lost:
            sys.exit(LOST)
        _free(setting)


def _rows(part: str, setting: Any) -> Iterator[Any]:
    module, _, name = PARTS[part].partition(".")
    measure: Callable[[Any], Iterator[Any]] = getattr(
        import_module(f"benchmarks.gpu.{module}"), name
    )
    for row in measure(setting):
        row.benchmark = part
        yield row


def _free(setting: Any) -> None:
    gc.collect()
    if setting.device.type == "cuda":
        import torch

        torch.cuda.empty_cache()


def write(arguments: argparse.Namespace, parts: dict[str, dict[str, Any]]) -> None:
    """Print what failed, and write the JSON file."""
    import torch

    from benchmarks.harness.report import write_json
    from danq.device import resolve_device

    device = resolve_device(arguments.device)
    cuda = device.type == "cuda"
    name = torch.cuda.get_device_name(device) if cuda else "CPU"
    failed = [part for part, line in parts.items() if line["failed"]]
    seconds = sum(line["seconds"] or 0 for line in parts.values())
    print(f"\n{name}: {len(parts) - len(failed)} of {len(parts)} parts in {seconds:.0f} s")
    for part in failed:
        print(f"failed: {part}: {parts[part]['failed'].strip().splitlines()[-1]}")
    out = arguments.out
    if out is None and not arguments.quick:
        out = ROOT / "benchmarks/results" / f"gpu-{name.replace(' ', '-').lower()}.json"
    if out is None:
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    about = {"name": name, "torch": torch.__version__, "cuda": torch.version.cuda}
    if cuda:
        about["memory_gbytes"] = torch.cuda.get_device_properties(device).total_memory / 1e9
    write_json(out, {"device": about, "quick": arguments.quick, "parts": parts})
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
