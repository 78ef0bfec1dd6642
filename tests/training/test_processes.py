"""Several processes train one model; a killed training goes on."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from lightning.fabric import Fabric

from danq.errors import InputError, Stopped
from danq.models.targets import TargetGroup
from danq.training import ModelSettings, Recipe, RunSettings, train, window_problem
from danq.training.amount_problem import AmountProblem
from danq.training.child_processes import GRACE, ChildProcesses
from danq.training.config import write_config
from danq.training.launches import was_restarted
from danq.training.process_layout import ProcessLayout, find_layout, started_layout
from danq.training.processes import as_rows
from danq.training.restarts import continued
from danq.training.segment_problem import SegmentProblem
from tests.amount_dataset import amount_dataset
from tests.several_contigs import TINY

STEPS, EPOCHS = 50, 10
RECIPE = {
    "epochs": EPOCHS,
    "lr": 1e-3,
    "batch_size": 731,
    "initial_motifs": "none",
    "frozen_epochs": 1,
}
CPU = RunSettings(device="cpu", precision="fp32", threads=1)

SCRIPT = """
import os, signal, sys
from danq.training.fit import Fit
rank, step, number = (int(text) for text in sys.argv.pop(1).split(","))
whole = Fit._step
def acts(self, *batch):
    first = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0"
    if first and int(os.environ.get("RANK", 0)) == rank and self.progress.step == step:
        os.kill(os.getpid(), number)
    return whole(self, *batch)
Fit._step = acts
from danq_cli.start import main
main()
"""
"""The command line, in which one process gets a signal before a step."""

DEVICES = ("-c", SCRIPT)
TORCHRUN = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--max-restarts", "1")


def command(*args: str) -> subprocess.CompletedProcess[str]:
    """Run Python; a process that hangs fails the test."""
    environment = {n: v for n, v in os.environ.items() if not n.startswith(("SLURM", "TORCHEL"))}
    return subprocess.run(
        [sys.executable, *args],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment | {"OMP_NUM_THREADS": "1"},
        check=False,
    )


def processes_of(run: Path) -> list[str]:
    """Command lines of running processes that name a run directory."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(run) in line and "pytest" not in line:
            found.append(line)
    return found


def state(run: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(run / "last.ckpt")


def metrics(run: Path) -> np.ndarray:
    rows = list(csv.DictReader((run / "metrics.csv").read_text().splitlines()))
    return np.array([[float(value) for value in row.values()] for row in rows])


def assert_equal_runs(run: Path, other: Path) -> None:
    """The states of two runs differ by rounding alone."""
    ours, theirs = state(run), state(other)
    assert set(ours) == set(theirs)
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-6, atol=1e-6, msg=name)
    assert metrics(run).shape == (EPOCHS, metrics(run).shape[1])
    np.testing.assert_allclose(metrics(run), metrics(other), rtol=2e-5, atol=2e-6)


@pytest.fixture(scope="module")
def dataset_file(tmp_path_factory) -> Path:
    """Peaks and amounts with weights and masked values; batches that two cannot share equally."""
    file = tmp_path_factory.mktemp("processes") / "data.h5"
    amount_dataset(6000, peaks=True, weights=True).save(file)
    return file


def settings(**run) -> dict:
    return {
        "model": ModelSettings(**TINY),
        "recipe": Recipe(**RECIPE),
        "run": CPU.replaced(RunSettings(**run)),
    }


@pytest.fixture(scope="module")
def alone(dataset_file) -> Path:
    """Run directory of a training by one process."""
    run = dataset_file.with_name("alone")
    train(dataset_file, out=run, **settings())
    assert metrics(run)[-1, 1] == STEPS
    return run


def test_two_processes_that_stop_die_and_start_again_equal_one(alone, dataset_file, tmp_path):
    run = tmp_path / "two"
    toml = tmp_path / "run.toml"
    model = "\n".join(f"{name} = {list(v) if name == 'dense' else v}" for name, v in TINY.items())
    recipe = "\n".join(f"{name} = {v!r}" for name, v in RECIPE.items())
    toml.write_text(
        f"[model]\n{model}\n[recipe]\n{recipe}\n"
        "[run]\ndevice = 'cpu'\nprecision = 'fp32'\nthreads = 1\ncheckpoint_steps = 3\n"
    )
    begin = ("train", str(dataset_file), "--out", str(run), "--config", str(toml))
    again = ("train", "--out", str(run), "--resume")

    stopped = command(*DEVICES, f"1,7,{int(signal.SIGUSR1)}", *begin, "--devices", "2")
    assert stopped.returncode == 75, stopped.stderr
    assert stopped.stderr.count("stopped at step") == 1
    assert "(--resume)" in stopped.stderr
    assert 7 < int(stopped.stderr.partition("stopped at step ")[2].split()[0]) <= STEPS
    shutil.copytree(run, tmp_path / "one")

    # With the number of processes of its configuration.
    killed = command(*DEVICES, f"1,25,{int(signal.SIGKILL)}", *again)
    assert killed.returncode == 2, killed.stderr
    assert killed.stderr.count("process 2 of 2 was killed by signal 9 (SIGKILL)") == 1
    assert f"Resume the training of {run} (--resume)" in killed.stderr
    assert "Traceback" not in killed.stderr
    assert processes_of(run) == []
    *_, last = (run / "log.txt").read_text().splitlines()
    assert "ERROR process 2 of 2 was killed by signal 9 (SIGKILL)" in last

    script = tmp_path / "danq_with_a_signal.py"
    script.write_text(SCRIPT)
    restarted = command(*TORCHRUN, str(script), f"1,40,{int(signal.SIGKILL)}", *again)
    assert restarted.returncode == 0, restarted.stderr
    message = f"another process of the training ended. Resume the training of {run} (--resume)"
    assert restarted.stderr.count(message) == 1
    assert restarted.stderr.count("resuming at epoch") == 2
    assert restarted.stdout.count("best of 10 epochs") == 1
    assert_equal_runs(run, alone)

    # The rest of the training by one process.
    train(out=tmp_path / "one", resume=True, run=RunSettings(devices=1))
    assert_equal_runs(tmp_path / "one", alone)


@pytest.mark.slow
def test_processes_end_with_the_first_and_show_an_error_once(dataset_file, tmp_path):
    run = tmp_path / "run"
    begin = ("train", str(dataset_file), "--out", str(run), "--epochs", "40", "--devices", "2")
    begin += ("--device", "cpu", "--threads", "1")
    killed = command(*DEVICES, f"0,25,{int(signal.SIGKILL)}", *begin)
    assert killed.returncode == -signal.SIGKILL
    assert killed.stderr.count("(--resume)") == 1
    refused = command(*DEVICES, "0,99999,9", *begin)
    assert refused.returncode == 2
    assert refused.stderr.count("exists already and is not empty") == 1
    assert processes_of(run) == []
    script = tmp_path / "danq_with_a_signal.py"
    script.write_text(SCRIPT)
    started = (*TORCHRUN, str(script), f"0,25,{int(signal.SIGKILL)}", *begin[:2])
    new = tmp_path / "new"
    ended = command(*started, "--out", str(new), "--epochs", "2", *begin[6:])
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count(f"Resume the training of {new} (--resume)") == 1
    assert ended.stderr.count("the training resumes") == 1
    # A second attempt does not resume a run of another start.
    ended = command(*started, "--out", str(new), "--epochs", "2", *begin[6:])
    assert ended.returncode == 1
    assert ended.stderr.count("exists already and is not empty") == 2
    assert len(metrics(new)) == 2
    interrupted = command(
        *DEVICES, f"0,25,{int(signal.SIGINT)}", *begin[:4], "--resume", *begin[4:]
    )
    assert interrupted.returncode == 130, interrupted.stderr
    assert interrupted.stderr.count("danq: interrupted") == 1
    assert processes_of(run) == []


@pytest.mark.slow
def test_a_vision_model_trains_with_two_processes(tmp_path):
    args = ("-m", "danq_cli", "vision", "train", "adding", "--model", "gru", "--quick")
    args += ("--device", "cpu", "--threads", "1")
    done = command(*TORCHRUN, *args, "--out", str(tmp_path / "two"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("best epoch") == 1
    assert command(*args, "--out", str(tmp_path / "one")).returncode == 0
    np.testing.assert_allclose(
        metrics(tmp_path / "one"), metrics(tmp_path / "two"), rtol=1e-4, atol=1e-5
    )


def test_a_signal_in_the_validation_ends_the_training_after_a_checkpoint(
    dataset_file, alone, tmp_path, monkeypatch
):
    from danq.training import amount_problem

    run, whole = tmp_path / "run", amount_problem.dataset_outputs
    calls = []

    def signals(*args):
        calls.append(args)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGUSR1)
        return whole(*args)

    before = signal.getsignal(signal.SIGUSR1)
    monkeypatch.setattr(amount_problem, "dataset_outputs", signals)
    with pytest.raises(Stopped, match="stopped at step 15 by SIGUSR1"):
        train(dataset_file, out=run, **settings())
    assert signal.getsignal(signal.SIGUSR1) is before
    assert len(metrics(run)) == 2
    monkeypatch.undo()
    train(out=run, resume=True)
    assert (run / "metrics.csv").read_bytes() == (alone / "metrics.csv").read_bytes()


@pytest.mark.parametrize("wait", [False, True])
def test_a_process_that_shows_an_error_has_the_time_for_it(tmp_path, monkeypatch, wait):
    begun, shown = tmp_path / "begun", tmp_path / "shown"
    script = f"import pathlib, time; pathlib.Path({str(begun)!r}).touch(); time.sleep(0.5)"
    script += f"; pathlib.Path({str(shown)!r}).touch(); raise SystemExit(3)"
    monkeypatch.setattr(sys, "orig_argv", [sys.executable, "-c", script])
    children = ChildProcesses(ProcessLayout(world=2, local_world=2), {})
    while not begun.exists():
        assert children.describe_failure() is None
    children.stop(wait=wait)
    assert shown.exists() is wait
    how = "ended with exit code 3" if wait else "was killed by signal 15 (SIGTERM)"
    assert children.describe_failure() == f"process 2 of 2 {how}"


@pytest.mark.parametrize("name", ["", "-"])
def test_an_interactive_process_starts_no_others(tmp_path, monkeypatch, dataset_file, name):
    monkeypatch.setattr(sys, "argv", [name])
    with pytest.raises(InputError, match="but this one is interactive"):
        train(dataset_file, out=tmp_path / "run", **settings(devices=2))
    assert not (tmp_path / "run").exists()


def test_the_grace_of_a_process_ends_all_within_half_a_minute():
    assert 5 * GRACE < 30


TORCHELASTIC = {
    "TORCHELASTIC_RUN_ID": "none",
    "RANK": "5",
    "WORLD_SIZE": "8",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "4",
}
SLURM = {
    "SLURM_STEP_NUM_TASKS": "7",
    "SLURM_STEP_NUM_NODES": "3",
    "SLURM_STEP_TASKS_PER_NODE": "3(x2),1",
    "SLURM_PROCID": "4",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
}


@pytest.fixture
def variables(monkeypatch):
    """Set the variables of a process that torchrun or SLURM starts, and no others."""
    names = (*TORCHELASTIC, *SLURM, "DANQ_PARENT_PROCESS", "NODE_RANK", "MASTER_ADDR")
    names += ("SLURM_JOB_ID", "SLURM_RESTART_COUNT", "GROUP_WORLD_SIZE")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    return lambda values: [monkeypatch.setenv(*one) for one in values.items()]


def test_processes_are_those_that_were_started(variables):
    assert started_layout() is None
    # In a batch script, outside srun.
    variables({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"})
    assert started_layout() is None
    variables(SLURM)
    layout = find_layout(RunSettings())
    assert (layout.rank, layout.world, layout.local_rank) == (4, 7, 1)
    assert (layout.local_world, layout.nodes, layout.starter) == (3, 3, "srun")
    variables(TORCHELASTIC)
    layout = find_layout(RunSettings(devices=4, nodes=2))
    assert (layout.rank, layout.world, layout.local_rank) == (5, 8, 1)
    assert (layout.local_world, layout.nodes, layout.starter) == (4, 2, "torchrun")


@pytest.mark.parametrize("given", [{"devices": 3}, {"nodes": 1}, {"devices": 1}])
def test_other_numbers_than_those_started_are_refused(variables, given):
    variables(TORCHELASTIC)
    (name, value), *_ = given.items()
    message = f"{name} is {value}, but torchrun started 4 processes on each of 2 nodes"
    with pytest.raises(InputError, match=message):
        find_layout(RunSettings(**given))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (SLURM | {"SLURM_PROCID": "x"}, "SLURM_PROCID is 'x', not a number"),
        (SLURM | {"SLURM_STEP_TASKS_PER_NODE": "3,?"}, "'3,\\?', not numbers of processes"),
        ({"TORCHELASTIC_RUN_ID": "none"}, "WORLD_SIZE is missing"),
    ],
)
def test_damaged_variables_are_named(variables, values, message):
    variables(values)
    with pytest.raises(InputError, match=message):
        find_layout(RunSettings())


def test_several_nodes_need_an_address(variables, monkeypatch):
    run = RunSettings(devices=2, nodes=3)
    with pytest.raises(InputError, match="nodes is 3, but the environment variable NODE_RANK is"):
        find_layout(run)
    variables({"NODE_RANK": "1", "MASTER_ADDR": "node1", "MASTER_PORT": "1234"})
    assert find_layout(run).rank == 2
    variables({"NODE_RANK": "3"})
    with pytest.raises(InputError, match="NODE_RANK is 3, but nodes is 3"):
        find_layout(run)


def test_a_process_of_a_dead_one_does_not_train_alone(variables):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    variables({"DANQ_PARENT_PROCESS": str(ended.pid)})
    with pytest.raises(InputError, match="the first process of the training has ended"):
        find_layout(RunSettings())


@pytest.mark.parametrize(
    ("name", "count", "again"),
    [
        ("TORCHELASTIC_RESTART_COUNT", "0", False),
        ("TORCHELASTIC_RESTART_COUNT", "2", True),
        ("SLURM_RESTART_COUNT", "1", True),
        ("OTHER", "1", False),
    ],
)
def test_a_process_that_is_started_again_resumes(name, count, again):
    assert was_restarted({name: count}) is again


@pytest.mark.parametrize(
    ("first", "other"),
    [
        ({"SLURM_JOB_ID": "7"}, {"SLURM_JOB_ID": "8"}),
        (
            TORCHELASTIC | {"GROUP_WORLD_SIZE": "2"},
            TORCHELASTIC | {"GROUP_WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "b"},
        ),
        (TORCHELASTIC, {"SLURM_JOB_ID": "7"}),
    ],
)
def test_only_a_run_that_an_earlier_attempt_began_is_resumed(
    tmp_path, variables, monkeypatch, first, other
):
    variables(first)
    assert continued(tmp_path, False, True) == (False, True)
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert continued(tmp_path, False, True) == (False, True)
    write_config(tmp_path, {"run": {"seed": 1}}, "sha")
    assert continued(tmp_path, False, True) == (True, False)
    for name in first:
        monkeypatch.delenv(name)
    variables(other)
    assert continued(tmp_path, False, True) == (False, True)
    assert continued(tmp_path, True, False) == (True, False)


def amount_batch() -> tuple[AmountProblem, tuple[np.ndarray, ...]]:
    dataset = amount_dataset(300, peaks=True, weights=True, steps=4)
    groups = (
        TargetGroup(loss="binary", tracks=1),
        TargetGroup(loss="profile", tracks=2, steps=4, step_bases=5, weight=0.3),
    )
    problem = AmountProblem(dataset, Recipe(batch_size=35), groups)
    return problem, next(iter(problem.batches(0, torch.device("cpu")).epoch(0)))


def segment_batch(planted_set) -> tuple[SegmentProblem, tuple[np.ndarray, ...]]:
    recipe = Recipe(batch_size=77, segment_bins=7, segment_spacing=100)
    problem = SegmentProblem(planted_set, recipe)
    codes, labels, known = next(iter(problem.batches(0, torch.device("cpu")).epoch(0)))
    known[0] = False
    return problem, (codes, labels, known)


@pytest.mark.parametrize("world", [2, 3])
@pytest.mark.parametrize("kind", ["amounts", "segments"])
def test_the_mean_of_the_losses_of_processes_is_that_of_the_batch(planted_set, kind, world):
    """With weights, masked values and shares of unequal size."""
    problem, batch = amount_batch() if kind == "amounts" else segment_batch(planted_set)
    rows, shape = len(batch[0]), (11,) if kind == "amounts" else batch[1].shape[1:]
    outputs = torch.randn(rows, *shape, generator=torch.Generator().manual_seed(0))

    def loss(share: slice, scale=None) -> torch.Tensor:
        part = tuple(torch.as_tensor(one[share]) for one in batch)
        return problem.loss(lambda _: outputs[share], part, scale)  # type: ignore[arg-type]

    whole = problem.weights(batch)
    parts = []
    for rank in range(world):
        share = slice(rank, None, world)
        own = problem.weights(tuple(one[share] for one in batch))
        parts.append(loss(share, world * (own / whole).float()))
    torch.testing.assert_close(torch.stack(parts).mean(), loss(slice(None)), rtol=1e-6, atol=0)


@pytest.mark.parametrize("world", [1, 2, 5])
def test_predictions_of_processes_are_put_in_order(world):
    whole = np.random.default_rng(0).random((2, 23, 3)).astype(np.float32)
    batch = np.arange(23) // 6
    rows = [np.flatnonzero(batch % world == rank) for rank in range(world)]
    parts = [whole[:, own] if own.size else None for own in rows]
    np.testing.assert_array_equal(as_rows(parts, rows, 1), whole)


def test_a_fabric_of_one_process_starts_no_other(monkeypatch):
    from danq.training.fabric import make_fabric

    monkeypatch.setattr(Fabric, "launch", lambda *_: pytest.fail("launched"))
    assert make_fabric(torch.device("cpu"), CPU).world_size == 1


def test_the_hook_of_a_stop_is_removed(planted_set, monkeypatch):
    from danq.training.processes import Processes
    from danq.training.stop_signal import StopRequested

    problem = window_problem.WindowProblem(planted_set, Recipe())
    module = torch.nn.Linear(1, 1)
    processes = Processes()
    processes.stop.requested = True
    monkeypatch.setattr(
        window_problem, "predict_dataset", lambda module, *_: module(torch.zeros(1, 1))
    )
    with pytest.raises(StopRequested):
        problem.validate(module, torch.device("cpu"), "fp32", processes)
    assert not module._forward_pre_hooks
