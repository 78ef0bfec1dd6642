"""The benchmark of a GPU runs completely on a CPU, and continues after failures."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.gpu.__main__ import PARTS
from benchmarks.gpu.model_rows import part_of
from benchmarks.harness.process_group import run_alone
from tests.bfloat16 import needs_bf16

ROOT = Path(__file__).resolve().parents[2]


def run(*words: str, data: str, code: int = 0) -> str:
    environment = {**os.environ, "DANQ_SHARED_DATA": data, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == code, done.stderr
    return done.stdout


@needs_bf16
def test_all_parts_run_and_are_stored(tmp_path: Path):
    out = tmp_path / "results" / "gpu.json"
    words = ["-m", "benchmarks.gpu", "--quick", "--device", "cpu", "--out", str(out)]
    printed = run(*words, data=str(tmp_path))
    report = json.loads(out.read_text())
    parts = report["parts"]
    assert list(parts) == list(PARTS)
    assert [part for part, line in parts.items() if line["failed"]] == [], printed
    rows = {row["metric"]: row for line in parts.values() for row in line["rows"]}
    for row in rows.values():
        assert row["metric"][:40] in printed
        assert "failed" not in row["note"] or row["benchmark"] == "gpu_tests"
        if not row["note"].startswith("skipped"):
            assert math.isfinite(row["value"])
    models = ["reference fp32", "reference bf16", "danq"]
    assert {row["metric"] for row in parts["training"]["rows"]} == {
        f"{name}, batch {batch}" for name in models for batch in (4, 8)
    }
    assert len(parts["inference"]["rows"]) == 8
    for name in ("variants, one score, TSV", "variants, all scores, HDF5"):
        assert rows[name]["value"] > 0
        assert "of the model alone" in rows[name]["note"]
    assert rows["predict, both strands, HDF5"]["details"]["bytes"] > 40 * 11 * 4
    assert rows["mutate, 2 sequences"]["details"]["bases"] == 60
    assert "extrapolated from 400 windows" in rows["epoch of 4,400,000 windows, training"]["note"]
    assert rows["yeast"]["note"].startswith("skipped: DANQ_SHARED_DATA")
    assert 0 <= rows["effects, fp32"]["value"] < 1e-6
    assert rows["effects, fp32"]["value"] < rows["effects, bf16"]["value"] < 0.1
    assert not rows["effects, fp32"]["details"]["trained"]
    shares = [row for row in parts["step_profile"]["rows"] if row["metric"].startswith("part ")]
    total = sum(row["value"] for row in shares)
    assert {"part LSTM", "part convolution"} <= {row["metric"] for row in shares}
    assert total == pytest.approx(sum(row["value"] for row in shares))
    assert parts["gpu_tests"]["rows"][0]["details"]["code"] in (0, 5)


BROKEN = """
import sys
from benchmarks.gpu import model_rows
def broken(setting):
    yield model_rows.Measurement("before", 1.0)
    {problem}
model_rows.inference = broken
sys.argv[0] = "gpu"
from benchmarks.gpu.__main__ import main
main()
"""


@pytest.mark.parametrize(
    ("problem", "code", "last"),
    [
        ("raise ValueError('not today')", 0, "ValueError: not today"),
        ("raise RuntimeError('CUDA error: an illegal memory access')", 3, "illegal memory access"),
    ],
)
def test_a_failed_part_keeps_its_rows_and_its_traceback(tmp_path, problem, code, last):
    rows = tmp_path / "rows.jsonl"
    words = ["--quick", "--device", "cpu", "--only", "inference", "limits"]
    words += ["--rows", str(rows), "--folder", str(tmp_path)]
    run("-c", BROKEN.format(problem=problem), *words, data=str(tmp_path), code=code)
    lines = [json.loads(line) for line in rows.read_text().splitlines()]
    assert lines[0]["part"] == "inference"
    assert [row["metric"] for row in lines[0]["rows"]] == ["before"]
    assert lines[0]["failed"].startswith("Traceback")
    assert lines[0]["failed"].strip().splitlines()[-1].endswith(last)
    # After the loss of the GPU, the other parts need a new process.
    assert [line["part"] for line in lines[1:]] == ([] if code else ["limits"])


def results_of_processes(tmp_path, monkeypatch, code, *, has_line):
    """Results of three parts, and the parts that each process was to measure.

    A process ends with a code after its first part, or during it where ``has_line`` is false.
    """
    import argparse

    from benchmarks.gpu import __main__ as benchmark

    calls = []

    def process(words, *_):
        parts = words[words.index("--only") + 1 : words.index("--rows")]
        calls.append(parts)
        rows = Path(words[words.index("--rows") + 1])
        done = {"failed": None, "rows": [], "seconds": 1.0}
        with rows.open("a") as file:
            if has_line(parts[0]):
                file.write(json.dumps({"part": parts[0], **done}) + "\n")
        return code

    monkeypatch.setattr(benchmark, "run_alone", process)
    names = ["limits", "training", "inference"]
    arguments = argparse.Namespace(only=names, device="cpu", quick=True, minutes=1.0)
    found = benchmark.run_in_processes(arguments, tmp_path)
    assert list(found) == names
    assert calls[0] == names
    return found, calls


def test_parts_after_a_lost_process_run_in_another_one(tmp_path, monkeypatch):
    found, _ = results_of_processes(
        tmp_path, monkeypatch, 139, has_line=lambda part: part != "training"
    )
    assert found["training"]["failed"] == "the process ended with 139"
    assert found["limits"]["failed"] is None


def test_parts_after_a_lost_gpu_all_run(tmp_path, monkeypatch):
    found, calls = results_of_processes(tmp_path, monkeypatch, 3, has_line=lambda _: True)
    assert [one["failed"] for one in found.values()] == [None, None, None]
    assert calls[1:] == [["training", "inference"], ["inference"]]


def test_parts_are_skipped_at_the_time_limit(tmp_path: Path):
    out = tmp_path / "gpu.json"
    words = ["-m", "benchmarks.gpu", "--quick", "--device", "cpu", "--out", str(out)]
    run(*words, "--minutes", "0.001", "--only", "limits", "epoch", data=str(tmp_path))
    parts = json.loads(out.read_text())["parts"]
    for line in parts.values():
        assert line["failed"] == "the limit of 0.001 minutes was reached"


@pytest.mark.slow
def test_a_yeast_model_is_trained_and_its_effects_are_compared(shared_data: Path, tmp_path: Path):
    out = tmp_path / "gpu.json"
    words = ["-m", "benchmarks.gpu", "--quick", "--device", "cpu", "--out", str(out)]
    run(*words, "--only", "yeast", "effects", data=str(shared_data))
    parts = json.loads(out.read_text())["parts"]
    assert [line["failed"] for line in parts.values()] == [None, None]
    values = {row["metric"]: row["value"] for row in parts["yeast"]["rows"]}
    assert 0 < values["yeast, test AUPR"] < values["yeast, test AUROC"] < 1
    assert all(row["details"]["trained"] for row in parts["effects"]["rows"])


@pytest.mark.parametrize(
    ("operation", "part"),
    [
        ("_ZN_implicit_convolve_sgemm", "convolution"),
        ("elementWise_bp2", "LSTM"),
        ("_lstm_gates_kernel", "LSTM"),
        ("nvjet_hsh_128x256", "products"),
        ("aten::mm", "products"),
        ("multi_tensor_apply_kernel<FusedAdam>", "optimizer"),
        ("Memcpy DtoD", "copies and conversions"),
        ("anything", "other"),
    ],
)
def test_operations_belong_to_parts(operation: str, part: str):
    assert part_of(operation) == part


TREE = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
{end}
"""

OUTER = """
import sys
from pathlib import Path
from benchmarks.gpu import __main__ as benchmark
words = [sys.executable, "-c", sys.argv.pop()]
benchmark.run_in_processes = lambda *_: benchmark.run_alone(words, Path.cwd(), 600)
benchmark.main()
"""


def has_ended(number: int) -> bool:
    """Whether a process ends within some seconds; nobody may wait for a child of a dead one."""
    for _ in range(600):
        state = Path(f"/proc/{number}/stat")
        try:
            if state.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("end", ["time.sleep(600)", "sys.exit(5)"])
def test_processes_of_a_process_end_with_it(tmp_path, capfd, end):
    words = [sys.executable, "-c", TREE.format(end=end)]
    if "sleep" in end:
        with pytest.raises(subprocess.TimeoutExpired):
            run_alone(words, tmp_path, 3)
    else:
        assert run_alone(words, tmp_path, 60) == 5
    assert has_ended(int(capfd.readouterr().out))


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_processes_of_the_benchmark_end_with_it(name):
    code = TREE.format(end="time.sleep(600)")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    outer = subprocess.Popen(
        [sys.executable, "-c", OUTER, code], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert outer.stdout is not None
    with outer:
        number = int(outer.stdout.readline())
        outer.send_signal(signal.Signals[name])
        assert outer.wait(60) != 0
    assert has_ended(number)
