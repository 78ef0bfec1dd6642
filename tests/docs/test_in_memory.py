"""The script docs/in_memory.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from danq.models import architecture, save_model, untrained

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "in_memory.py"


def test_the_script_runs_and_writes_no_file(tmp_path: Path):
    shape = {"filters": 8, "width": 5, "pool": 3, "hidden": 4, "dense": (6,)}
    made = untrained("danq-small", architecture("danq-small", **shape), ("Reb1", "Abf1"), 40, 10)
    save_model(tmp_path / "model.safetensors", made.module, made.spec)
    process = subprocess.run(
        [sys.executable, str(SCRIPT), "model.safetensors"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert "2 tracks, window of 40 bp: Reb1, Abf1" in process.stdout
    assert "insertion" in process.stdout
    assert "largest effect: " in process.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
