"""Benchmarks run completely at small sizes and compute what they describe."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.bfloat16 import needs_bf16, skip_without_bf16

ROOT = Path(__file__).resolve().parents[2]

# llvmlite is a part of numba.
PRESENT = {"torch", "lightning", "numba", "pydantic", "llvmlite", "numpy", "h5py", "click"}
MODULE = {"biopython": "Bio", "scikit-learn": "sklearn"}


def missing() -> list[str]:
    """Import names of dependencies that are not in `PRESENT`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.split(r"[<>=!~\[ ;]", line)[0] for line in project["dependencies"]}
    assert names > PRESENT
    return sorted(MODULE.get(name, name) for name in names - PRESENT)


GPU_WITHOUT = """
import sys, runpy
missing = set({missing!r})

class Without:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        absent = name.split(".")[0] in missing
        return None if absent else self.finder.find_spec(name, path, target)

sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
runpy.run_module("benchmarks.speed.gpu", run_name="__main__", alter_sys=True)
"""


def run(*words: str, data: str = "") -> str:
    """Run Python in the repository's root, and return its output."""
    environment = {**os.environ, "DANQ_SHARED_DATA": data}
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> dict:
    skip_without_bf16()
    path = tmp_path_factory.mktemp("benchmarks") / "all.json"
    words = ["--quick", "--repeats", "2", "--threads", "1", "--out", str(path)]
    table = run("-m", "benchmarks", *words, data=str(path.parent / "nowhere"))
    return {**json.loads(path.read_text()), "table": table}


def rows(report: dict) -> dict[tuple[str, str], dict]:
    return {(row["benchmark"], row["metric"]): row for row in report["measurements"]}


def test_one_run_prints_and_stores_every_measurement(report: dict):
    targets = {key: (row["target"], row["at_most"]) for key, row in rows(report).items()}
    labels = ("labels", "peak files to labels, against bedtools")
    expected = {
        ("inference", "fp32 against reference model in fp32"): (1.45, False),
        ("inference", "bf16 against reference model in fp32"): (2.6, False),
        ("inference", "fp32, percentage of limit"): (80, False),
        ("inference", "bf16, percentage of limit"): (65, False),
        ("training_step", "fp32 against reference model in fp32"): (1.7, False),
        ("training_step", "bf16 against reference model in fp32"): (3.2, False),
        ("convolution", "forward"): (12, False),
        ("convolution", "forward and backward"): (15, False),
        ("ranking_metrics", "AUROC and average precision"): (20, False),
        ("ranking_metrics", "largest difference"): (1e-12, True),
        ("ranking_metrics", "memory relative to score matrix"): (3, True),
        labels: (20, False),
        ("labels", "letters in memory to codes"): (1, False),
        ("labels", "FASTA file to codes"): (1, False),
    }
    if shutil.which("bedtools") is None:
        expected[labels] = (None, False)
    assert expected.items() <= targets.items()
    for row in report["measurements"]:
        assert row["metric"] in report["table"]
        if row["note"].startswith("skipped"):
            assert row["value"] is None
            continue
        assert math.isfinite(row["value"])
        assert row["value"] >= 0
        if row["low"] is not None:
            assert 0 <= row["low"] <= row["value"] <= row["high"]
    assert {"processor", "cores", "torch_threads", "versions"} <= set(report["machine"])
    assert report["quick"] is True


def test_compared_programs_compute_the_same(report: dict):
    measured = rows(report)

    def detail(benchmark: str, metric: str, name: str) -> float:
        return measured[benchmark, metric]["details"][name]

    fp32, bf16 = (f"{name} against reference model in fp32" for name in ("fp32", "bf16"))
    assert detail("inference", fp32, "largest_difference") < 2e-6
    assert detail("inference", bf16, "largest_difference") < 0.01
    for metric, loss, gradient in ((fp32, 1e-6, 1e-4), (bf16, 1e-3, 0.1)):
        assert detail("training_step", metric, "loss_difference") < loss
        assert detail("training_step", metric, "largest_gradient_difference") < gradient
    assert detail("convolution", "forward", "largest_difference") < 1e-5
    backward = detail("convolution", "forward and backward", "largest_gradient_difference")
    assert backward < 1e-5
    assert measured["ranking_metrics", "largest difference"]["value"] < 1e-12
    assert detail("labels", "FASTA file to codes", "correct_codes") is True


@pytest.mark.skipif(shutil.which("bedtools") is None, reason="bedtools is not installed")
def test_labels_equal_those_of_bedtools(report: dict):
    details = rows(report)["labels", "peak files to labels, against bedtools"]["details"]
    assert details["different_labels"] == 0
    assert details["bins"] == 3 * (100_050 // 200)


def test_training_is_skipped_without_the_yeast_data(report: dict):
    row = rows(report)["data_wait", "training on yeast, time spent waiting for data"]
    assert row["note"] == "skipped: DANQ_SHARED_DATA names no folder with yeast data"
    assert row["note"] in report["table"]


@pytest.mark.slow
def test_the_waiting_time_is_measured_on_yeast(shared_data: Path, tmp_path: Path):
    out = tmp_path / "wait.json"
    words = ["--quick", "--only", "data_wait", "--out", str(out)]
    run("-m", "benchmarks", *words, data=str(shared_data))
    (row,) = json.loads(out.read_text())["measurements"]
    assert row["details"]["windows"] == 1_024
    assert 0 <= row["value"] <= 100


@needs_bf16
def test_the_gpu_benchmark_needs_few_libraries_besides_torch(tmp_path: Path):
    out = tmp_path / "gpu.json"
    code = GPU_WITHOUT.format(missing=missing())
    words = ["--device", "cpu", "--quick", "--threads", "1", "--out", str(out)]
    table = run("-c", code, *words)
    report = json.loads(out.read_text())
    assert "jaxtyping" in report["replaced_imports"]
    measured = {
        (row["benchmark"], row["details"]["model"], row["details"]["batch"]): row
        for row in report["measurements"]
    }
    assert set(measured) == {
        (task, model, batch)
        for task in ("inference", "training")
        for model in ("reference fp32", "reference bf16", "danq")
        for batch in (4, 8)
    }
    for row in measured.values():
        assert "failed" not in row["note"]
        assert row["value"] > 0
        assert row["details"]["matrix_fraction"] > 0
        assert row["details"]["memory_fraction"] > 0
    assert report["largest_difference"]["fp32"] < 2e-6
    assert report["largest_difference"]["bf16"] < 0.01
    assert report["epoch"]["windows"] == 400
    assert math.isfinite(report["epoch"]["last_loss"])
    assert "of matrix rate" in table


@needs_bf16
def test_the_gpu_benchmark_continues_after_a_failure():
    code = """
import sys; sys.argv = ["gpu", "--device", "cpu", "--quick", "--epoch-windows", "0"]
import benchmarks.speed.gpu as gpu
original = gpu.measure
def measure(task, model, *rest):
    if model == "reference bf16":
        raise RuntimeError("out of memory\\nand more")
    return original(task, model, *rest)
gpu.measure = measure
gpu.main()
"""
    lines = run("-c", code).splitlines()
    failed = [line for line in lines if line.endswith("failed: out of memory")]
    assert len(failed) == 4
    assert sum("danq" in line for line in lines) >= 4


def test_the_models_have_the_published_size():
    code = """
from benchmarks.harness.reference_model import ModelSize, ReferenceModel, danq_module
from benchmarks.speed.matrix_products import products
size = ModelSize()
for model in (ReferenceModel(size), danq_module(size)):
    assert sum(p.numel() for p in model.parameters()) == size.parameters == 46_929_039
forward = sum(one.flop for one in products(size, training=False))
assert forward == size.batch * (size.lstm_flop + size.dense_flop)
assert sum(one.flop for one in products(size, training=True)) == 3 * forward
print(size.conv_flop, size.lstm_flop, size.dense_flop)
"""
    # 65, 246 and 91 MFLOP per window.
    assert [round(int(word) / 1e6) for word in run("-c", code).split()] == [65, 246, 91]


def test_known_effects_are_compared(tmp_path):
    out = tmp_path / "demo"
    words = ["--size", "300000", "--epochs", "1", "--threads", "1"]
    printed = run("-m", "benchmarks.studies.known_effects", str(out), *words)
    metrics = dict(re.findall(r"^(\S.*?) {2,}(-?\d\.\d+)$", printed, re.MULTILINE))
    assert -1 <= float(metrics["Spearman, all variants"]) <= 1
    known = {name: float(value) for name, value in metrics.items() if name.endswith("known")}
    sizes = {name.split(", ")[1].split(" (")[0]: value for name, value in known.items()}
    assert sizes["breaking"] > 0.2
    assert sizes["neutral-outside"] < 0.01
    # The second run evaluates the model of the first.
    assert run("-m", "benchmarks.studies.known_effects", str(out)) == printed.split("\n", 1)[1]


def test_a_chromosome_is_predicted_and_read(tmp_path):
    pytest.importorskip("pyBigWig")
    words = ["--bases", "30000", "--step", "500", "--tracks", "2", "--threads", "1"]
    printed = run("-m", "benchmarks.studies.whole_genome", str(tmp_path), *words)
    assert "60 windows of 1,000 bases" in printed
    assert "values that pyBigWig reads: 0.0e+00" in printed
    assert re.search(r"model alone / danq predict: \d", printed)


def test_two_checkouts_are_timed_against_each_other(tmp_path):
    out = tmp_path / "compare.json"
    words = ["--quick", "--pairs", "1", "--only", "mutagenesis", "--threads", "1"]
    printed = run("-m", "benchmarks.compare", str(ROOT), str(ROOT), *words, "--out", str(out))
    (row,) = json.loads(out.read_text())["measurements"]
    assert row["benchmark"] == "mutagenesis"
    assert row["value"] == row["baseline_seconds"] / row["seconds"] > 0
    assert row["details"]["old_seconds"] == [row["baseline_seconds"]]
    assert "mutagenesis" in printed


def test_readers_of_two_checkouts_are_timed(tmp_path):
    out = tmp_path / "compare.json"
    words = ["--quick", "--pairs", "1", "--only", "data", "fasta", "vcf", "--threads", "1"]
    run("-m", "benchmarks.compare", str(ROOT), str(ROOT), *words, "--out", str(out))
    rows = json.loads(out.read_text())["measurements"]
    assert [row["benchmark"] for row in rows] == ["data", "fasta", "vcf"]
    assert all(row["seconds"] > 0 for row in rows)


def test_leaked_windows_are_searched(tmp_path):
    words = ["--quick", "--out", str(tmp_path / "leaks.json")]
    run("-m", "benchmarks.studies.leaked_windows", *words)
    written = json.loads((tmp_path / "leaks.json").read_text())
    *rows, summary = written["recall"]
    found = {row["divergence"]: row["recall"] for row in rows}
    assert found[0] == 1
    assert found[0.05] == found[0.1] == 0
    assert summary["precision"] >= 0.99
    assert abs(written["speed"]["leaked"] - written["speed"]["expected"]) <= 2
