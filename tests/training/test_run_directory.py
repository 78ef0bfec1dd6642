"""Run directories: what is refused before anything is lost, and what resuming needs."""

from __future__ import annotations

import threading
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

import danq.training.fit as fit_module
from danq.errors import InputError
from danq.genome.nucleotide_codes import decode
from danq.training import DataSettings, ModelSettings, Recipe, RunSettings, read_config, train
from danq.training.checkpoint import Checkpoints

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


def weights(run: str) -> bytes:
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
    (peaks / "runs" / "cut" / ".last.ckpt.0123abcd.part").touch()
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
    planted_set.save("run/inside.h5")
    with pytest.raises(InputError, match="in the run directory run, which would be emptied"):
        train("run/inside.h5", out="run", overwrite=True, **SMALL)
    assert weights("run") == before


def test_leftovers_of_a_killed_process_do_not_stop_a_run(planted_set, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / ".config.toml.0123abcd.part").touch()
    train(planted_set, out=run, resume=True, **SMALL)
    assert not list(run.glob(".*"))


def test_finished_run_is_not_evaluated_again(planted_set, tmp_path):
    settings = SMALL | {"run": CPU.replaced(RunSettings(evaluate=True))}
    train(planted_set, out=tmp_path / "run", **settings)
    summary = tmp_path / "run" / "evaluation" / "summary.json"
    summary.write_text("{}")
    train(planted_set, out=tmp_path / "run", resume=True, **settings)
    assert summary.read_text() == "{}"


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
