"""The tests that need a GPU."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.gpu.setting import Setting
from benchmarks.harness.timing import Measurement

ROOT = Path(__file__).resolve().parents[2]
MARK = "mark.gpu"
LIMIT = 150
"""Seconds after which the tests are ended."""


def gpu_tests(setting: Setting) -> Iterator[Measurement]:
    """Run the tests that are marked ``gpu``; without a GPU they are skipped."""
    files = [
        str(file.relative_to(ROOT))
        for file in sorted((ROOT / "tests").rglob("test_*.py"))
        if MARK in file.read_text()
    ]
    words = ["-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider"]
    if setting.quick:
        files = files[:1]
    done = subprocess.run(
        [sys.executable, *words, *files], cwd=ROOT, capture_output=True, text=True, timeout=LIMIT
    )
    last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr[-300:]
    counts = {word: int(count) for count, word in re.findall(r"(\d+) (passed|failed|error)", last)}
    row = Measurement("gpu tests", counts.get("passed", 0), unit="passed", note=last)
    row.details = {"code": done.returncode, "output": done.stdout[-6000:]}
    yield row
