"""Kernels compile for cards; the interpreter accepts more than the compiler does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = 227 << 10
"""Bytes of shared memory that a program may have on an H200."""


def test_kernels_compile_for_a_card_that_is_not_here(device, tmp_path):
    settings = {"TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    # An H200, and the first layer and the LSTM of DanQ.
    command = [sys.executable, "tests/gpu/compile_kernels.py", *["90", "26", "13", "320", "320"]]
    environment = {**os.environ, **settings, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    # Two types of three kernels of the first layer and of six of an LSTM step.
    assert len(rows) == 18
    assert all(row["shared"] <= SHARED for row in rows)
    conv = [row for row in rows if row["kernel"] in ("forward", "weight_gradient")]
    assert len(conv) == 6
    assert all(row["products"] for row in conv)
