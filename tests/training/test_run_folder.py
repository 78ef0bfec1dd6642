"""Run folders: what is refused before anything is lost, and what resuming needs."""

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
from danq.training import read_config, train

MODEL = {"filters": 12, "width": 11, "pool": 10, "hidden": 6, "dense": (8,)}
LAST = {"evaluate": False, "device": "cpu", "precision": "fp32"}
SMALL = {
    "model_changes": MODEL,
    "recipe_changes": {"epochs": 2, "batch_size": 32, "seed_filters": "none"},
    "threads": 1,
    **LAST,
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
    """The working folder, with g.fa and tracks/one.bed."""
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


def test_run_from_relative_peaks_resumes_from_its_folder_alone(peaks, monkeypatch):
    source = {"genome": "g.fa", "tracks": "tracks", "data_options": WINDOWS}
    train(out="whole", **source, **SMALL)
    with monkeypatch.context() as patch:
        dies_at(4, patch)
        with pytest.raises(Killed):
            train(out="runs/cut", checkpoint_steps=2, **source, **SMALL)
    data = read_config(peaks / "runs" / "cut" / "config.toml").data
    assert data == {"genome": str(peaks / "g.fa"), "tracks": str(peaks / "tracks"), **WINDOWS}
    (peaks / "runs" / "cut" / ".last.ckpt.0123abcd.part").touch()
    torch.set_num_threads(2)
    train(out=peaks / "runs" / "cut", resume=True, **LAST)
    assert torch.get_num_threads() == 1, "as the run began"
    assert weights("runs/cut") == weights("whole")
    assert not list(Path("runs/cut").glob(".*"))
    with pytest.raises(InputError, match=r"dataset\.h5: was built with window = 200, not 300"):
        train(out="runs/cut", resume=True, data_options={"window": 300}, **LAST)


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
    assert table["training"]["recipe"] == "default"
    config.write_text('[data]\nfile = "d.h5"\nwindow = 200\n')
    with pytest.raises(InputError, match=r"deep/d\.h5: a dataset file.* but so was 'window'"):
        train(out="other", config=config, **SMALL)
    config.write_text("[data]\nwindwo = 200\n")
    with pytest.raises(InputError, match="'windwo' is not an option of a dataset"):
        train(out="other", config=config, **SMALL)
    assert not Path("other").exists()


def test_data_of_a_configuration_gives_way_with_a_word(planted_set, tmp_path, caplog):
    (tmp_path / "run.toml").write_text('[data]\ngenome = "g.fa"\ntracks = "tracks"\n')
    planted_set.save(tmp_path / "d.h5")
    small = SMALL | {"recipe_changes": SMALL["recipe_changes"] | {"epochs": 1}}
    train(tmp_path / "d.h5", out=tmp_path / "run", config=tmp_path / "run.toml", **small)
    assert f"is not used: genome = {tmp_path / 'g.fa'}, tracks = " in caplog.text
    caplog.clear()
    train(tmp_path / "d.h5", out=tmp_path / "run", resume=True, **LAST)
    assert "is not used" not in caplog.text


def test_nothing_is_lost_to_an_input_that_cannot_be_used(peaks, planted_set):
    planted_set.save("data.h5")
    train("data.h5", out="run", **SMALL)
    before = weights("run")
    Path("bad.bed").write_text("a\t5\t1\n")
    Path("bad.h5").write_bytes(b"no HDF5")
    bad_filters = SMALL | {"recipe_changes": {"seed_filters": "missing.meme"}}
    too_wide = SMALL | {"model_changes": MODEL | {"width": 250}}
    for message, call in (
        (
            "leaves no step after filters of 250 bp",
            lambda: train("data.h5", out="run", overwrite=True, **too_wide),
        ),
        (
            "seed: Input should be less than",
            lambda: train("data.h5", out="run", overwrite=True, seed=2**63, **SMALL),
        ),
        (
            "a dataset was given, and a genome",
            lambda: train("data.h5", out="run", overwrite=True, genome="g.fa", **SMALL),
        ),
        (
            "data options besides",
            lambda: train("data.h5", out="run", overwrite=True, data_options=WINDOWS, **SMALL),
        ),
        ("not an HDF5 file", lambda: train("bad.h5", out="run", overwrite=True, **SMALL)),
        (
            "the end, 1, is not",
            lambda: train(genome="g.fa", tracks="bad.bed", out="run", overwrite=True, **SMALL),
        ),
        (
            "no recipe is named",
            lambda: train("data.h5", out="run", overwrite=True, recipe="fast", **SMALL),
        ),
        ("missing.meme", lambda: train("data.h5", out="run", overwrite=True, **bad_filters)),
    ):
        with pytest.raises(InputError, match=message):
            call()
    planted_set.save("run/inside.h5")
    with pytest.raises(InputError, match="lies in the run folder run, which would be emptied"):
        train("run/inside.h5", out="run", overwrite=True, **SMALL)
    assert weights("run") == before


def test_what_a_kill_left_alone_is_no_hindrance(planted_set, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / ".config.toml.0123abcd.part").touch()
    train(planted_set, out=run, resume=True, **SMALL)
    assert not list(run.glob(".*"))


def test_finished_run_is_not_measured_again(planted_set, tmp_path):
    settings = SMALL | {"evaluate": True}
    train(planted_set, out=tmp_path / "run", **settings)
    summary = tmp_path / "run" / "evaluation" / "summary.json"
    summary.write_text("{}")
    train(planted_set, out=tmp_path / "run", resume=True, **settings)
    assert summary.read_text() == "{}"


def test_checkpoint_knows_every_loss_before_it(planted_set, tmp_path, monkeypatch):
    flags = iter([False, True] * 10_000)
    monkeypatch.setattr(fit_module.Fit, "_checkpoint_due", lambda self: next(flags))
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


def test_time_spent_waiting_outlives_an_interruption(planted_set, tmp_path, monkeypatch):
    dies_at(20, monkeypatch)
    with pytest.raises(Killed):
        train(planted_set, out=tmp_path / "run", **SMALL)
    monkeypatch.undo()
    waited = []
    step = fit_module.Fit._step
    monkeypatch.setattr(
        fit_module.Fit,
        "_step",
        lambda self, *batch: waited.append(self.progress.waited) or step(self, *batch),
    )
    result = train(planted_set, out=tmp_path / "run", resume=True, **SMALL)
    assert waited[0] > 0
    assert 0 < result.waited < 1
