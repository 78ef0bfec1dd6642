"""Run directories: what is refused before anything is lost, and what resuming needs."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.summary.writer.record_writer import RecordWriter

import danq.training.fit as fit_module
import danq.training.run_log as run_log
from danq.errors import InputError
from danq.genome.nucleotide_codes import decode
from danq.output import MARKER
from danq.output.temporary_names import temporary_name
from danq.training import DataSettings, ModelSettings, Recipe, RunSettings, read_config, train
from danq.training.checkpoint import Checkpoints
from danq.training.run_directory import check_run_directory, prepare_run_directory
from danq.training.window_problem import WindowProblem

MODEL = {"filters": 12, "width": 11, "pool": 10, "hidden": 6, "dense": (8,)}
CPU = RunSettings(evaluate=False, device="cpu", precision="fp32", threads=1)
SMALL = {
    "model": ModelSettings(**MODEL),
    "recipe": Recipe(epochs=2, batch_size=32, initial_motifs="none"),
    "run": CPU,
}
WINDOWS = {"window": 200, "bin": 100, "valid": "b", "test": "c"}


class Killed(Exception):
    pass


def dies_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fit_module.Fit._step

    def dies(self, codes, labels):
        if self.progress.step == step:
            raise Killed
        return whole(self, codes, labels)

    monkeypatch.setattr(fit_module.Fit, "_step", dies)


@pytest.fixture
def peaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with g.fa and tracks/one.bed."""
    rng = np.random.default_rng(0)
    sizes = {"a": 9000, "b": 3000, "c": 3000}
    contigs = {name: rng.integers(0, 4, size, np.uint8) for name, size in sizes.items()}
    (tmp_path / "g.fa").write_text("".join(f">{k}\n{decode(v)}\n" for k, v in contigs.items()))
    (tmp_path / "tracks").mkdir()
    rows = [f"{k}\t{at}\t{at + 100}\n" for k, v in contigs.items() for at in range(0, v.size, 700)]
    (tmp_path / "tracks" / "one.bed").write_text("".join(rows))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def weights(run: str | Path) -> bytes:
    return Path(run, "model.safetensors").read_bytes()


def test_run_from_relative_peaks_resumes_from_its_directory_alone(peaks, monkeypatch):
    source = DataSettings("g.fa", "tracks", **WINDOWS)
    train(source, out="whole", **SMALL)
    often = SMALL | {"run": CPU.replaced(RunSettings(checkpoint_steps=2))}
    with monkeypatch.context() as patch:
        dies_at(4, patch)
        with pytest.raises(Killed):
            train(source, out="runs/cut", **often)
    data = read_config(peaks / "runs" / "cut" / "config.toml").data.table
    assert data == {"genome": str(peaks / "g.fa"), "tracks": str(peaks / "tracks"), **WINDOWS}
    temporary_name(peaks / "runs" / "cut" / "last.ckpt").touch()
    torch.set_num_threads(2)
    train(out=peaks / "runs" / "cut", resume=True)
    assert torch.get_num_threads() == 1, "the setting of the run"
    assert weights("runs/cut") == weights("whole")
    assert not list(Path("runs/cut").glob(".*"))
    with pytest.raises(InputError, match=r"dataset\.h5: was built with window = 200, not 300"):
        train(DataSettings(window=300), out="runs/cut", resume=True)


def test_configuration_names_the_data(peaks):
    config = peaks / "deep" / "run.toml"
    config.parent.mkdir()
    config.write_text(
        '[data]\ngenome = "../g.fa"\ntracks = ["../tracks"]\nwindow = 200\nbin = 100\n'
        'valid = ["b"]\ntest = ["c"]\n'
    )
    train(out="run", config="deep/run.toml", **SMALL)
    table = tomllib.loads(Path("run/config.toml").read_text())
    assert table["data"]["tracks"] == [str(peaks / "tracks")]
    assert table["run"]["threads"] == 1
    assert table["recipe"]["base"] == "default"
    config.write_text('[data]\nfile = "d.h5"\nwindow = 200\n')
    with pytest.raises(InputError, match=r"deep/d\.h5: a dataset file.* but so was 'window'"):
        train(out="other", config=config, **SMALL)
    config.write_text("[data]\nwindwo = 200\n")
    with pytest.raises(InputError, match="'windwo' is not an option of a dataset"):
        train(out="other", config=config, **SMALL)
    assert not Path("other").exists()


def test_data_of_a_configuration_is_replaced_with_a_warning(planted_set, tmp_path, caplog):
    (tmp_path / "run.toml").write_text('[data]\ngenome = "g.fa"\ntracks = "tracks"\n')
    planted_set.save(tmp_path / "d.h5")
    small = SMALL | {"recipe": Recipe(epochs=1, initial_motifs="none")}
    train(tmp_path / "d.h5", out=tmp_path / "run", config=tmp_path / "run.toml", **small)
    assert f"is not used: genome = {tmp_path / 'g.fa'}, tracks = " in caplog.text
    caplog.clear()
    train(tmp_path / "d.h5", out=tmp_path / "run", resume=True)
    assert "is not used" not in caplog.text


def test_nothing_is_lost_to_an_input_that_cannot_be_used(peaks, planted_set):
    planted_set.save("data.h5")
    train("data.h5", out="run", **SMALL)
    before = weights("run")
    Path("bad.bed").write_text("a\t5\t1\n")
    Path("bad.h5").write_bytes(b"no HDF5")
    bad_filters = SMALL | {"recipe": Recipe(initial_motifs="missing.meme")}
    too_wide = SMALL | {"model": ModelSettings(**MODEL | {"width": 250})}
    for message, call in (
        (
            "is too short for filters of 250 bp",
            lambda: train("data.h5", out="run", overwrite=True, **too_wide),
        ),
        (
            "seed: Input should be less than",
            lambda: train("data.h5", out="run", overwrite=True, run=RunSettings(seed=2**63)),
        ),
        (
            "a dataset file was given, but so was 'genome'",
            lambda: train(DataSettings("g.fa", file="data.h5"), out="run", overwrite=True, **SMALL),
        ),
        (
            "is a text file, not a dataset",
            lambda: train("bad.h5", out="run", overwrite=True, **SMALL),
        ),
        (
            "the end, 1, is below",
            lambda: train(DataSettings("g.fa", "bad.bed"), out="run", overwrite=True, **SMALL),
        ),
        (
            "no recipe is named",
            lambda: train("data.h5", out="run", overwrite=True, recipe="fast"),
        ),
        ("missing.meme", lambda: train("data.h5", out="run", overwrite=True, **bad_filters)),
    ):
        with pytest.raises(InputError, match=message):
            call()
    planted_set.save("run/dataset.h5")
    with pytest.raises(InputError, match="in the run directory run, which would be emptied"):
        train("run/dataset.h5", out="run", overwrite=True, **SMALL)
    assert weights("run") == before


def test_leftovers_of_a_killed_process_do_not_stop_a_run(planted_set, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    temporary_name(run / "config.toml").touch()
    train(planted_set, out=run, resume=True, **SMALL)
    assert not list(run.glob(".*"))


def test_records_that_cannot_be_written_are_reported(planted_set, tmp_path, monkeypatch, capsys):
    hook, handlers = threading.excepthook, list(run_log.log.handlers)
    with monkeypatch.context() as full:
        full.setattr(run_log, "LOG", "/dev/full")
        with pytest.raises(InputError, match="/dev/full: cannot be written: No space left"):
            train(planted_set, out=tmp_path / "log", **SMALL)

    def refused(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    # TensorBoard writes in a thread.
    monkeypatch.setattr(RecordWriter, "write", refused)
    with pytest.raises(InputError, match="tensorboard: cannot be written: No space left"):
        train(planted_set, out=tmp_path / "board", **SMALL)
    assert "Traceback" not in capsys.readouterr().err
    assert threading.excepthook is hook
    assert run_log.log.handlers == handlers


EMPTYING = """
import os, shutil, sys
from pathlib import Path
from danq.training.run_directory import prepare_run_directory

def dying(event, args):
    global left
    if event in ("os.remove", "os.rmdir", "os.rename"):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), 9)

whole, step, status = Path(sys.argv[1]), 0, 9
while status:
    step += 1
    run = whole.with_name(f"run{step}")
    shutil.copytree(whole, run)
    child = os.fork()
    if not child:
        left = step
        sys.addaudithook(dying)
        prepare_run_directory(run, None, resume=False)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert status in (0, 9), status
print(step)
"""


def test_a_run_that_was_killed_while_it_was_emptied_is_replaced_or_resumed(planted_set, tmp_path):
    train(planted_set, out=tmp_path / "whole", **EVALUATED)
    command = [sys.executable, "-c", EMPTYING, str(tmp_path / "whole")]
    steps = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert steps >= 15
    sizes = []
    for step in range(1, steps + 1):
        run = tmp_path / f"run{step}"
        sizes.append(len(list(run.rglob("*"))))
        check_run_directory(run, resume=True, overwrite=False)
        check_run_directory(run, resume=False, overwrite=True)
        # Without its checkpoint, a run that is partly deleted is not resumed.
        assert (run / "last.ckpt").exists() == (step == 1)
        prepare_run_directory(run, None, resume=False)
        assert [path.name for path in run.iterdir()] == [MARKER]
    assert sizes == sorted(sizes, reverse=True)
    assert step >= 15
    # The one that lost most of its evaluation, but not all, is trained again.
    shutil.copytree(tmp_path / "whole", tmp_path / "half")
    (tmp_path / "half" / "last.ckpt").unlink()
    (tmp_path / "half" / "evaluation" / "summary.json").unlink()
    train(planted_set, out=tmp_path / "half", resume=True, **EVALUATED)
    assert weights(tmp_path / "half") == weights(tmp_path / "whole")
    assert (tmp_path / "half" / "evaluation" / "summary.json").is_file()


EVALUATED = SMALL | {"run": CPU.replaced(RunSettings(evaluate=True))}


def test_finished_run_is_not_evaluated_again(planted_set, tmp_path):
    train(planted_set, out=tmp_path / "run", **EVALUATED)
    summary = tmp_path / "run" / "evaluation" / "summary.json"
    before = summary.stat()
    train(planted_set, out=tmp_path / "run", resume=True, **EVALUATED)
    after = summary.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def whole_run(run: Path) -> dict[str, bytes]:
    """Content of the files of a run that do not depend on the time."""
    files = [path for path in run.rglob("*") if path.is_file()]
    names = [path.relative_to(run).as_posix() for path in files]
    kept = [name for name in names if not name.startswith(("log.txt", "tensorboard", "last.ckpt"))]
    return {name: (run / name).read_bytes() for name in sorted(kept)}


LOSSES = {
    "model missing": lambda run: (run / "model.safetensors").unlink(),
    "model changed": lambda run: (run / "model.safetensors").write_bytes(b"other"),
    "metrics missing": lambda run: (run / "metrics.csv").unlink(),
    "metrics truncated": lambda run: (run / "metrics.csv").write_text("epoch\n"),
    "configuration missing": lambda run: (run / "config.toml").unlink(),
    "evaluation missing": lambda run: shutil.rmtree(run / "evaluation"),
    "evaluation without summary": lambda run: (run / "evaluation" / "summary.json").unlink(),
    "summary emptied": lambda run: (run / "evaluation" / "summary.json").write_text("{}"),
    "table truncated": lambda run: (run / "evaluation" / "metrics.tsv").write_text("x"),
    "plot missing": lambda run: (run / "evaluation" / "roc.png").unlink(),
}


@pytest.mark.parametrize("lose", LOSSES.values(), ids=LOSSES)
def test_a_finished_run_gets_back_what_it_lost(lose, finished, tmp_path):
    data, run = finished
    before = whole_run(run)
    lose(run)
    assert whole_run(run) != before
    train(data, out=run, resume=True, **EVALUATED)
    assert whole_run(run) == before


@pytest.fixture
def finished(planted_set, tmp_path) -> tuple[Path, Path]:
    """A dataset, and a run whose last epoch is the best one."""
    data, run = tmp_path / "data.h5", tmp_path / "run"
    planted_set.save(data)
    result = train(data, out=run, **EVALUATED)
    assert result.best_epoch == result.epochs
    return data, run


def test_a_lost_model_that_the_checkpoint_lacks_is_reported(planted_set, tmp_path, monkeypatch):
    values = iter([0.9, 0.8, 0.7])
    monkeypatch.setattr(
        WindowProblem, "validate", lambda *_: {"loss": 1.0, "aupr": next(values), "auroc": 0.5}
    )
    settings = SMALL | {"recipe": Recipe(epochs=2, batch_size=32, initial_motifs="none")}
    run = tmp_path / "run"
    assert train(planted_set, out=run, **settings).best_epoch == 1
    (run / "model.safetensors").write_bytes(b"other")
    with pytest.raises(InputError, match=r"model\.safetensors: is not the model of epoch 1, the "):
        train(planted_set, out=run, resume=True, **settings)
    (run / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"model\.safetensors: is missing: it had the weights of"):
        train(planted_set, out=run, resume=True, **settings)


def test_a_run_killed_between_model_and_checkpoint_is_resumed(planted_set, tmp_path, monkeypatch):
    settings = SMALL | {"recipe": Recipe(epochs=3, batch_size=32, initial_motifs="none")}
    train(planted_set, out=tmp_path / "whole", **settings)
    save = fit_module.Fit.checkpoint

    def dies(self):
        if self.progress.epoch == 2:
            raise Killed
        save(self)

    # The checkpoint in use is from the middle of epoch 2, and the model that of its end.
    often = settings | {"run": CPU.replaced(RunSettings(checkpoint_steps=5))}
    monkeypatch.setattr(fit_module.Fit, "checkpoint", dies)
    with pytest.raises(Killed):
        train(planted_set, out=tmp_path / "cut", **often)
    monkeypatch.undo()
    train(planted_set, out=tmp_path / "cut", resume=True, **often)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")


def test_a_second_training_in_a_directory_is_refused(planted_set, tmp_path, monkeypatch):
    """By this process, which stands for another one: the lock treats both alike."""
    step, run = fit_module.Fit._step, tmp_path / "run"
    refused = []

    def tries(self, *batch):
        if not refused:
            for choice in ({}, {"resume": True}, {"overwrite": True}):
                with pytest.raises(InputError) as caught:
                    train(planted_set, out=run, **SMALL, **choice)
                refused.append(str(caught.value))
        return step(self, *batch)

    monkeypatch.setattr(fit_module.Fit, "_step", tries)
    train(planted_set, out=run, **SMALL)
    monkeypatch.undo()
    assert "exists already and is not empty" in refused[0]
    for message in refused[1:]:
        assert message.startswith(f"{run}: another process is writing this output")
    train(planted_set, out=tmp_path / "alone", **SMALL)
    assert weights(run) == weights(tmp_path / "alone")


def folders_of_others(folder: Path) -> Iterator[Path]:
    """Folders that are not replaced."""
    for name in ("config.toml", "last.ckpt", "model.safetensors", "danq-folder.json"):
        project = folder / f"with {name}"
        project.mkdir()
        (project / name).write_text('title = "My blog"\n')
        yield project
    linked = folder / "linked"
    linked.symlink_to(folder / "with config.toml")
    yield linked


def test_a_folder_of_somebody_else_is_neither_emptied_nor_resumed(planted_set, tmp_path):
    for project in folders_of_others(tmp_path):
        before = whole_run(project)
        with pytest.raises(InputError, match="holds no run of danq"):
            train(planted_set, out=project, overwrite=True, **SMALL)
        with pytest.raises(InputError, match=r"holds no run of danq|config\.toml: 'title' is not"):
            train(planted_set, out=project, resume=True, **SMALL)
        assert whole_run(project) == before


@pytest.mark.parametrize("name", ["thesis.tex", "tensorboard/thesis.tex", "notes/a.txt", "link"])
def test_a_run_with_a_file_of_somebody_else_is_not_emptied(name, planted_set, tmp_path):
    run, mine = tmp_path / "run", tmp_path / "run" / name
    train(planted_set, out=run, **SMALL)
    mine.parent.mkdir(exist_ok=True)
    if name == "link":
        (tmp_path / "photos").mkdir()
        mine.symlink_to(tmp_path / "photos")
    else:
        mine.write_text("mine")
    before = whole_run(run)
    with pytest.raises(InputError, match=f"contains '{name}', which danq did not write"):
        train(planted_set, out=run, overwrite=True, **SMALL)
    assert whole_run(run) == before
    train(planted_set, out=run, resume=True, **SMALL)
    assert mine.exists()


def test_losses_are_counted_before_each_checkpoint(planted_set, tmp_path, monkeypatch):
    flags = iter([False, True] * 10_000)
    monkeypatch.setattr(Checkpoints, "due", lambda self, step: next(flags))
    seen = []
    monkeypatch.setattr(fit_module.Fit, "checkpoint", lambda self: seen.append(len(self._pending)))
    train(planted_set, out=tmp_path / "run", **SMALL)
    assert len(seen) > 10
    assert set(seen) == {0}


def test_failing_step_ends_the_thread_that_cuts_batches(planted_set, tmp_path, monkeypatch):
    dies_at(3, monkeypatch)
    with pytest.raises(Killed) as kept:
        train(planted_set, out=tmp_path / "run", **SMALL)
    assert kept.value.__traceback__ is not None
    assert not [one for one in threading.enumerate() if one.name == "danq-batches"]


def test_waiting_time_is_kept_over_an_interruption(planted_set, tmp_path, monkeypatch):
    dies_at(20, monkeypatch)
    with pytest.raises(Killed):
        train(planted_set, out=tmp_path / "run", **SMALL)
    monkeypatch.undo()
    waited = []
    step = fit_module.Fit._step
    monkeypatch.setattr(
        fit_module.Fit,
        "_step",
        lambda self, *batch: waited.append(self.progress.seconds_waiting) or step(self, *batch),
    )
    result = train(planted_set, out=tmp_path / "run", resume=True, **SMALL)
    assert waited[0] > 0
    assert 0 < result.wait_fraction < 1
