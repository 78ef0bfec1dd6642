"""Benchmarks run whole at small sizes and compute what they claim to; their times mean nothing."""

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

ROOT = Path(__file__).resolve().parents[2]

# llvmlite is a part of numba.
PRESENT = {"torch", "lightning", "numba", "llvmlite", "numpy", "h5py", "click"}
MODULE = {"biopython": "Bio", "scikit-learn": "sklearn"}


def lacking() -> list[str]:
    """What danq and its benchmarks need beyond `PRESENT`, by the name it is imported by."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.split(r"[<>=!~\[ ;]", line)[0] for line in project["dependencies"]}
    assert names > PRESENT
    return sorted(MODULE.get(name, name) for name in names - PRESENT)


BARE = """
import sys, runpy
lacking = set({lacking!r})

class Without:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        absent = name.split(".")[0] in lacking
        return None if absent else self.finder.find_spec(name, path, target)

sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
runpy.run_module("benchmarks.speed.gpu", run_name="__main__", alter_sys=True)
"""


def run(*words: str, data: str = "") -> str:
    """Run Python in the repository's root; what it printed."""
    environment = {**os.environ, "DANQ_SHARED_DATA": data}
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> dict:
    path = tmp_path_factory.mktemp("benchmarks") / "all.json"
    words = ["--quick", "--rounds", "2", "--threads", "1", "--out", str(path)]
    table = run("-m", "benchmarks", *words, data=str(path.parent / "nowhere"))
    told = json.loads(path.read_text())
    told["table"] = table
    return told


def rows(report: dict) -> dict[tuple[str, str], dict]:
    return {(row["part"], row["name"]): row for row in report["rows"]}


def test_one_run_prints_and_stores_every_figure(report: dict):
    asked = {key: (row["target"], row["at_most"]) for key, row in rows(report).items()}
    labels = ("labels", "peak files to labels, against bedtools")
    expected = {
        ("inference", "fp32"): (1.45, False),
        ("inference", "bf16"): (2.6, False),
        ("inference", "fp32, of the limit"): (80, False),
        ("inference", "bf16, of the limit"): (65, False),
        ("training step", "fp32"): (1.7, False),
        ("training step", "bf16"): (3.2, False),
        ("conv + ReLU + pool", "forward"): (12, False),
        ("conv + ReLU + pool", "forward + backward"): (15, False),
        ("ranking", "AUROC + average precision"): (20, False),
        ("ranking", "largest difference"): (1e-12, True),
        ("ranking", "memory over the score matrix"): (3, True),
        labels: (20, False),
        ("labels", "letters in memory to codes"): (1, False),
        ("labels", "FASTA file to codes"): (1, False),
    }
    if shutil.which("bedtools") is None:
        expected[labels] = (None, False)
    assert expected.items() <= asked.items()
    for row in report["rows"]:
        assert row["name"] in report["table"]
        if row["note"].startswith("skipped"):
            assert row["value"] is None
            continue
        assert math.isfinite(row["value"])
        assert row["value"] >= 0
        if row["low"] is not None:
            assert 0 <= row["low"] <= row["value"] <= row["high"]
    assert {"processor", "cores", "torch_threads", "versions"} <= set(report["machine"])
    assert report["quick"] is True


def test_what_is_compared_gives_the_same(report: dict):
    found = rows(report)

    def detail(part: str, name: str, what: str) -> float:
        return found[part, name]["details"][what]

    assert detail("inference", "fp32", "largest_difference") < 2e-6
    assert detail("inference", "bf16", "largest_difference") < 0.01
    for precision, loss, gradient in (("fp32", 1e-6, 1e-4), ("bf16", 1e-3, 0.1)):
        assert detail("training step", precision, "loss_difference") < loss
        assert detail("training step", precision, "largest_gradient_difference") < gradient
    assert detail("conv + ReLU + pool", "forward", "largest_difference") < 1e-5
    back = detail("conv + ReLU + pool", "forward + backward", "largest_gradient_difference")
    assert back < 1e-5
    assert found["ranking", "largest difference"]["value"] < 1e-12
    assert detail("labels", "FASTA file to codes", "codes_right") is True


@pytest.mark.skipif(shutil.which("bedtools") is None, reason="bedtools is not installed")
def test_labels_are_bedtools_own(report: dict):
    details = rows(report)["labels", "peak files to labels, against bedtools"]["details"]
    assert details["labels_that_differ"] == 0
    assert details["bins"] == 3 * (100_050 // 200)


def test_without_real_data_the_training_is_skipped_with_a_line(report: dict):
    row = rows(report)["training on yeast", "time spent waiting for data"]
    assert row["note"] == "skipped: DANQ_SHARED_DATA names no folder with yeast data"
    assert row["note"] in report["table"]


@pytest.mark.slow
def test_the_share_of_waiting_is_measured_on_yeast(shared_data: Path, tmp_path: Path):
    out = str(tmp_path / "wait.json")
    run(
        "-m",
        "benchmarks",
        "--quick",
        "--only",
        "data_wait",
        "--out",
        str(out),
        data=str(shared_data),
    )
    (row,) = json.loads(Path(out).read_text())["rows"]
    assert row["details"]["windows"] == 1_024
    assert 0 <= row["value"] <= 100


def test_the_gpu_benchmark_runs_with_little_more_than_torch(tmp_path: Path):
    out = tmp_path / "gpu.json"
    code = BARE.format(lacking=lacking())
    words = ["--device", "cpu", "--quick", "--threads", "1", "--out", str(out)]
    table = run("-c", code, *words)
    told = json.loads(out.read_text())
    assert "jaxtyping" in told["stood_in_for"]
    lines = {(line["work"], line["variant"], line["batch"]): line for line in told["lines"]}
    assert set(lines) == {
        (work, variant, batch)
        for work in ("inference", "training")
        for variant in ("eager fp32", "eager bf16", "danq")
        for batch in (4, 8)
    }
    for line in lines.values():
        assert line["failed"] == ""
        assert line["windows_per_second"] > 0
        assert line["matrix_share"] > 0
        assert line["memory_share"] > 0
    assert told["largest_difference"]["fp32"] < 2e-6
    assert told["largest_difference"]["bf16"] < 0.01
    assert told["epoch"]["windows"] == 400
    assert math.isfinite(told["epoch"]["last_loss"])
    assert "of matrix" in table


def test_the_gpu_benchmark_goes_on_after_a_failure():
    code = """
import sys; sys.argv = ["gpu", "--device", "cpu", "--quick", "--epoch-windows", "0"]
import benchmarks.speed.gpu as gpu
whole = gpu.measure
def measure(work, variant, *rest):
    if variant == "eager bf16":
        raise RuntimeError("out of memory\\nand more")
    return whole(work, variant, *rest)
gpu.measure = measure
gpu.main()
"""
    lines = run("-c", code).splitlines()
    failed = [line for line in lines if line.endswith("failed: out of memory")]
    assert len(failed) == 4
    assert sum("danq" in line for line in lines) >= 4


def test_the_model_measured_is_danq_at_its_published_size():
    code = """
from benchmarks.speed.device_peaks import parameters
from benchmarks.speed.matrix_products import products
from benchmarks.harness.reference_model import Size, Yardstick, danq_module
size = Size()
for model in (Yardstick(size), danq_module(size)):
    assert sum(p.numel() for p in model.parameters()) == parameters(size) == 46_929_039
forward = sum(one.flop for one in products(size, training=False))
assert forward == size.batch * (size.lstm_flop + size.dense_flop)
assert sum(one.flop for one in products(size, training=True)) == 3 * forward
print(size.conv_flop, size.lstm_flop, size.dense_flop)
"""
    # 65, 246 and 90 MFLOP a window.
    assert [round(int(word) / 1e6) for word in run("-c", code).split()] == [65, 246, 91]


def test_known_effects_are_ranked(tmp_path):
    out = tmp_path / "demo"
    words = ["--size", "300000", "--epochs", "1", "--threads", "1"]
    printed = run("-m", "benchmarks.studies.known_effects", str(out), *words)
    figures = dict(re.findall(r"^(\S.*?) {2,}(-?\d\.\d+)$", printed, re.MULTILINE))
    assert -1 <= float(figures["Spearman, all variants"]) <= 1
    known = {name: float(value) for name, value in figures.items() if name.endswith("known")}
    sizes = {name.split(", ")[1].split(" (")[0]: value for name, value in known.items()}
    assert sizes["breaking"] > 0.2
    assert sizes["neutral-outside"] < 0.01
    # What is there already is judged as it is.
    assert run("-m", "benchmarks.studies.known_effects", str(out)) == printed.split("\n", 1)[1]
