"""The workflow runs, is killed twice, continues, and gives what single commands give."""

from __future__ import annotations

import contextlib
import gzip
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from danq.simulation import simulate
from danq_cli.main import run

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = ROOT / "data" / "workflows"
FOLDS, SHARDS, EPOCHS = 3, 2, 5
VCFS = {"first sample": "first sample.vcf", "second": "second.vcf.gz"}
SETTINGS: dict[str, Any] = {
    "out": "the results",
    "genome": "demo data/genome.fa",
    "dataset": {"tracks": "demo data/tracks", "options": {"window": 200, "bin": 50}},
    "train": {
        "folds": FOLDS,
        "options": {"config": "small model.toml", "epochs": EPOCHS, "device": "cpu"},
    },
    "predict": {"tile": 200, "shards": SHARDS, "options": {"device": "cpu"}},
    "variants": {
        "folder": "variant files",
        "shards": SHARDS,
        "options": {"scores": "logit,diff", "device": "cpu"},
    },
    "resources": {"train": {"threads": 1}},
}
MODEL = """\
[model]
filters = 8
width = 9
pool = 5
hidden = 4
dense = [6]
[recipe]
initial_motifs = "none"
[run]
evaluate = false
"""
LIMIT = 300.0
"""Seconds after which a run of Snakemake counts as hanging."""


@pytest.fixture(autouse=True, scope="module")
def _snakemake() -> None:
    if importlib.util.find_spec("snakemake") is None:
        pytest.skip("snakemake is not installed")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a simulated genome, peaks, variants in two files, and settings."""
    folder = tmp_path_factory.mktemp("workflow of danq")
    simulate(
        folder / "demo data", genome_size=60_000, contigs=6, tracks=["CTCF", "REST"], variants=40
    )
    files = folder / "variant files"
    files.mkdir()
    text = (folder / "demo data" / "variants.vcf").read_text()
    (files / VCFS["first sample"]).write_text(text)
    lines = text.splitlines(keepends=True)
    header = [line for line in lines if line.startswith("#")]
    with gzip.open(files / VCFS["second"], "wt") as target:
        target.writelines([*header, *lines[len(header) :: 2]])
    (folder / "small model.toml").write_text(MODEL)
    write_settings(folder)
    return folder


def write_settings(folder: Path, **changes: Any) -> None:
    # Every JSON file is a YAML file.
    (folder / "settings.yaml").write_text(json.dumps(SETTINGS | changes))


def environment() -> dict[str, str]:
    """Environment in which jobs run the danq of this folder."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path}


def command(*options: str) -> list[str]:
    files = ["--snakefile", str(WORKFLOWS / "Snakefile"), "--configfile", "settings.yaml"]
    return [sys.executable, "-m", "snakemake", *files, *options]


def snakemake(folder: Path, *options: str, code: int = 0) -> str:
    """Output of a run of Snakemake."""
    done = subprocess.run(
        command(*options),
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


LOCAL = ("--profile", str(WORKFLOWS / "profiles" / "local"), "--cores", "2")


def finished(text: str) -> list[str]:
    """Rules of the jobs that ended, in the output of Snakemake."""
    return re.findall(r"Finished jobid: \d+ \(Rule: (\w+)\)", text)


def run_until(folder: Path, reached: Callable[[str], bool]) -> list[str]:
    """Run the workflow, and kill Snakemake and its jobs as soon as a state is reached.

    The state is a function of the output so far. Returns the rules of the jobs that ended.
    """
    messages = folder / "messages.txt"
    with open(messages, "wb") as output:
        process = subprocess.Popen(
            command(*LOCAL),
            cwd=folder,
            env=environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    end = time.monotonic() + LIMIT
    try:
        while not reached(messages.read_text()):
            assert process.poll() is None, f"it ended before the kill: {messages.read_text()}"
            assert time.monotonic() < end, "the state was not reached"
            time.sleep(0.005)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return finished(messages.read_text())


def counts(output: str) -> dict[str, int]:
    """Number of jobs of each rule, from the table that Snakemake prints."""
    table = output.partition("Job stats:\n")[2].partition("\n\n")[0].splitlines()[2:]
    return {rule: int(number) for rule, number in (line.split() for line in table)}


def missing_jobs(folder: Path) -> dict[str, int]:
    """Number of jobs of each rule whose outputs are missing."""
    out = folder / "the results"
    effects = [out / "variants" / name / "effects.tsv" for name in VCFS]
    outputs = {
        "dataset": [out / "dataset.h5"],
        "train": [out / "training.done"],
        "predict_shard": [out / "prediction" / f"shard-{i}-of-2.done" for i in (1, 2)],
        "merge_prediction": [out / "prediction" / "tracks"],
        "variants_shard": [
            out / "variants" / name / f"shard-{i}-of-2.done" for name in VCFS for i in (1, 2)
        ],
        "merge_variants": effects,
        "write_report": [out / "report.html"],
    }
    found = {rule: sum(not path.exists() for path in paths) for rule, paths in outputs.items()}
    found = {rule: number for rule, number in found.items() if number}
    number = {"all": 1, **found}
    return {**number, "total": sum(number.values())}


@dataclass(frozen=True)
class Killed:
    """A workflow that was killed in the training, again among the shards, and then ended.

    Attributes
    ----------
    folder
        Where it ran.
    locked
        Output of Snakemake after the first kill.
    after
        Missing jobs at the start, after each kill and at the end.
    before
        Rules of the jobs that ended before the second kill.
    last
        Number of jobs of each rule that the last run ran.
    """

    folder: Path
    locked: str
    after: list[dict[str, int]]
    before: list[str]
    last: dict[str, int]


@pytest.fixture(scope="module")
def killed(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Killed:
    folder = tmp_path_factory.mktemp("killed") / "killed twice"
    shutil.copytree(inputs, folder)
    write_settings(folder)
    out = folder / "the results"
    after = [missing_jobs(folder)]
    before = run_until(folder, lambda _: (out / "models" / "fold2" / "last.ckpt").exists())
    after.append(missing_jobs(folder))
    locked = snakemake(folder, *LOCAL, code=1)
    snakemake(folder, *LOCAL, "--unlock")
    before += run_until(folder, lambda text: "_shard" in "".join(finished(text)))
    after.append(missing_jobs(folder))
    snakemake(folder, *LOCAL, "--unlock")
    last = counts(snakemake(folder, *LOCAL))
    after.append(missing_jobs(folder))
    return Killed(folder, locked, after, before, last)


def test_a_killed_workflow_runs_only_what_is_missing(killed):
    start, first, second, end = killed.after
    assert start["total"] == 13
    assert first["total"] == 12
    assert killed.before[:2] == ["dataset", "train"]
    assert len(killed.before) > 2
    # A job whose output exists, and whose end Snakemake had not noted, runs again.
    assert second["total"] <= killed.last["total"] <= start["total"] - len(killed.before)
    assert second.keys() <= killed.last.keys()
    assert not {"dataset", "train"} & killed.last.keys()
    assert end == {"all": 1, "total": 1}
    assert "--unlock" in killed.locked


def test_a_killed_training_continues(killed):
    models = killed.folder / "the results" / "models"
    # Snakemake keeps the log of the last attempt only, and danq that of all attempts.
    last = (killed.folder / "the results" / "logs" / "train.log").read_text()
    assert "the training is finished; no epoch remains" in last.partition("fold 2 of 3")[0]
    logs = [(models / f"fold{fold}" / "log.txt").read_text() for fold in (1, 2, 3)]
    epochs = [re.findall(r"INFO epoch (\d+):", log) for log in logs]
    every = [str(epoch) for epoch in range(1, EPOCHS + 1)]
    assert epochs[0] == epochs[2] == every
    assert sorted({*epochs[1]}) == every
    assert epochs[1].count("1") == 1
    assert "resuming at epoch" in logs[1]


def test_outputs_equal_those_of_single_commands(killed, inputs, tmp_path, monkeypatch):
    shutil.copytree(inputs, tmp_path / "single")
    monkeypatch.chdir(tmp_path / "single")
    models, genome = "the results/models", "demo data/genome.fa"
    out = Path("the results")
    for path in ("prediction", *(f"variants/{name}" for name in VCFS)):
        (out / path).mkdir(parents=True)

    def danq(*words: str) -> None:
        assert run([word for text in words for word in text.split(";")]) == 0

    tracks, tile = str(out / "prediction" / "tracks"), str(SETTINGS["predict"]["tile"])
    source = f"--genome;{genome};--tracks;demo data/tracks;--window;200;--bin;50"
    danq(f"data;build;{out}/dataset.h5", source)
    options = f"--folds;{FOLDS};--config;small model.toml;--epochs;{EPOCHS};--device;cpu"
    danq(f"train;{out}/dataset.h5;--out;{models};--threads;1", options)
    danq(f"predict;{models};{genome};--tile;{tile};--out;{tracks};--device;cpu;--threads;1")
    for name, file in VCFS.items():
        danq(
            f"variants;{models};variant files/{file};--genome;{genome};--device;cpu;--threads;1",
            f"--scores;logit,diff;--out;{out}/variants/{name}/effects.tsv",
        )
    expected = contents(out)
    # Mean and standard deviation of two tracks, and two files that describe the folder.
    assert len(expected) == 4 + 2 + 2 * len(VCFS)
    assert contents(killed.folder / out) == expected


def contents(out: Path) -> dict[str, bytes]:
    """Tracks and effects by name; files whose name begins with a dot are Snakemake's."""
    files = [*out.glob("prediction/tracks/[!.]*"), *out.glob("variants/*/effects*")]
    return {str(path.relative_to(out)): path.read_bytes() for path in files if path.is_file()}


def test_one_model_of_signals_is_evaluated(inputs):
    write_settings(
        inputs,
        dataset={"signal": "demo data/tracks", "options": {"value-column": 5, "gaps": "zero"}},
        train={"options": {"epochs": 2}},
        evaluate={"options": {"split": "valid", "baseline": True}},
        predict={"tile": 50, "format": "tsv.gz", "options": {"track": ["CTCF", "REST"]}},
        variants=None,
    )
    output = snakemake(inputs, *LOCAL, "--dry-run")
    assert counts(output) == {
        **dict.fromkeys(["all", "dataset", "train", "evaluate", "predict_shard"], 1),
        "merge_prediction": 1,
        "write_report": 1,
        "total": 7,
    }
    commands = re.findall("(danq .*) > ", output)
    out = "'the results/"
    expected = [
        f"data build {out}dataset.h5' --genome 'demo data/genome.fa' --signal 'demo data/tracks' "
        "--value-column 5 --gaps zero",
        f"train {out}dataset.h5' --out {out}models' --epochs 2 --threads 1 --resume",
        f"evaluate {out}models' {out}dataset.h5' --out {out}evaluation' --split valid --baseline "
        "--threads 2",
        f"predict {out}models' 'demo data/genome.fa' --tile 50 --out "
        f"{out}prediction/windows.tsv.gz' --shard 1/1 --resume --track CTCF --track REST "
        "--threads 1",
        f"merge {out}prediction/windows.tsv.gz' --overwrite",
        f"report {out}models' {out}evaluation' {out}prediction/windows.tsv.gz' --out "
        f"{out}report.html'",
    ]
    assert sorted(" ".join(one.split()) for one in commands) == sorted(
        f"danq {one}" for one in expected
    )


def test_settings_are_refused_before_any_job(inputs):
    write_settings(inputs, train={"options": {"epoch": 2}})
    output = snakemake(inputs, *LOCAL, code=1)
    assert "train.options.epoch: the command does not have this option" in output
    assert "Job stats" not in output


def test_the_rules_have_no_lint(inputs):
    write_settings(inputs, evaluate=None)
    titles = set(re.findall(r"^ *\* (.*?):$", snakemake(inputs, "--lint", code=1), re.MULTILINE))
    # Jobs run the danq of the environment in which Snakemake runs.
    assert titles == {"Specify a conda environment or container for each rule."}


def test_a_cluster_gets_the_limits_of_each_step(inputs):
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        pytest.skip("snakemake-executor-plugin-slurm is not installed")
    write_settings(inputs, resources={"train": {"gpu": 1, "runtime": "8h"}})
    output = snakemake(inputs, "--profile", str(WORKFLOWS / "profiles" / "slurm"), "--dry-run")
    assert counts(output)["total"] == 13
    limits = re.findall(r"^rule (\w+):.*?resources: (.*?)$", output, re.DOTALL | re.MULTILINE)
    assert {"mem_mb=16000", "runtime=480", "gpu=1"} <= {*dict(limits)["train"].split(", ")}
    assert {"mem_mb=8000", "runtime=60", "gpu=0"} <= {*dict(limits)["merge_variants"].split(", ")}
