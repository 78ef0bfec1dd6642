"""Checkpoints that were damaged, or made to do harm although their checksum is right."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from danq.errors import InputError
from danq.training import ModelSettings, Recipe, RunSettings, train
from tests.reseal import change_fields, reseal, split

MODEL = {"filters": 4, "width": 5, "pool": 20, "hidden": 2, "dense": (3,)}
SMALL = {
    "model": ModelSettings(**MODEL),
    "recipe": Recipe(epochs=2, batch_size=64, initial_motifs="none"),
    "run": RunSettings(evaluate=False, device="cpu", precision="fp32", threads=1),
}


@pytest.fixture(scope="module")
def trained(planted_set, tmp_path_factory) -> tuple[Path, bytes]:
    """A finished run, and its checkpoint."""
    run = tmp_path_factory.mktemp("hostile") / "run"
    train(planted_set, out=run, **SMALL)
    return run, (run / "last.ckpt").read_bytes()


@pytest.fixture
def run(trained) -> Path:
    run, checkpoint = trained
    (run / "last.ckpt").write_bytes(checkpoint)
    return run


def resume(planted_set, run: Path) -> None:
    train(planted_set, out=run, resume=True, **SMALL)


def test_a_flipped_bit_in_a_byte_is_detected(run, trained, planted_set):
    rng = np.random.default_rng(2)
    for index in rng.choice(len(trained[1]), 200, replace=False):
        changed = bytearray(trained[1])
        changed[index] ^= 1 << int(rng.integers(8))
        (run / "last.ckpt").write_bytes(changed)
        with pytest.raises(InputError, match=r"last\.ckpt: .*overwrite this run"):
            resume(planted_set, run)


def progress(**changes):
    return lambda path: change_fields(path, "progress", **changes)


def row(**changes):
    def change(path: Path) -> None:
        header, _ = split(path)
        history = json.loads(header["__metadata__"]["progress"])["history"]
        change_fields(path, "progress", history=[history[0] | changes, history[1]])

    return change


def text(name: str, value: str | None):
    def change(header, _):
        if value is None:
            del header["__metadata__"][name]
        else:
            header["__metadata__"][name] = value

    return lambda path: reseal(path, change)


def removed(section: str):
    """Remove the tensors of a section, and their data."""

    def change(header, data):
        parts, at = [], 0
        for name in [name for name in header if name != "__metadata__"]:
            start, end = header[name]["data_offsets"]
            if name.startswith(section):
                del header[name]
                continue
            parts.append(data[start:end])
            header[name]["data_offsets"] = [at, at + end - start]
            at += end - start
        return b"".join(parts)

    return lambda path: reseal(path, change)


def renamed(before: str, after: str):
    def change(header, _):
        entries = {name: header.pop(name) for name in list(header)}
        assert before in entries
        for name, value in entries.items():
            header[after if name == before else name] = value

    return lambda path: reseal(path, change)


def values(name: str, number: float):
    def change(header, data):
        start, end = header[name]["data_offsets"]
        new = np.frombuffer(data[start:end], np.float32).copy()
        new.reshape(-1)[0] = number
        return data[:start] + new.tobytes() + data[end:]

    return lambda path: reseal(path, change)


def entry(name: str, **changes):
    return lambda path: reseal(path, lambda header, _: header[name].update(changes))


IMPOSSIBLE = "no run has such a progress"
HOSTILE = {
    "negative step": (progress(step=-1), f"{IMPOSSIBLE} .step is -1"),
    "step beyond": (progress(step=10**9), f"{IMPOSSIBLE} .step is 1000000000 in epoch 2"),
    "step that is a fraction": (progress(step=1.5), f"{IMPOSSIBLE} .step is 1.5"),
    "step that is true": (progress(step=True), f"{IMPOSSIBLE} .step is True"),
    "epoch beyond": (progress(epoch=9), f"{IMPOSSIBLE} .the metrics are not those of 9 epochs"),
    "batch beyond": (progress(batch=99), f"{IMPOSSIBLE} .batch is 99"),
    "not finished": (progress(finished=False), f"{IMPOSSIBLE} .it is not finished after 2 epochs"),
    "NaN loss": (progress(loss_sum=float("nan")), f"{IMPOSSIBLE} .loss_sum is nan"),
    "endless time": (progress(seconds=float("inf")), f"{IMPOSSIBLE} .seconds is inf"),
    "negative time": (progress(seconds=-1.0), f"{IMPOSSIBLE} .a time is negative"),
    "best epoch beyond": (progress(best_epoch=5), f"{IMPOSSIBLE} .the best of 2 epochs is 5"),
    "best that is text": (progress(best="0.5"), f"{IMPOSSIBLE} .best is '0.5'"),
    "no history": (progress(history=[]), f"{IMPOSSIBLE} .the metrics are not those of 2 epochs"),
    "history of others": (row(epoch=3), f"{IMPOSSIBLE} .the metrics of epoch 1 are damaged"),
    "history with text": (row(step="x"), f"{IMPOSSIBLE} .the metrics of epoch 1 are damaged"),
    "history with more": (row(more=1), f"{IMPOSSIBLE} .the metrics of epoch 2 are damaged"),
    "unknown count": (progress(steps=1), f"{IMPOSSIBLE} .steps is unknown"),
    "other model": (progress(model_sha256=5), f"{IMPOSSIBLE} .a field has another type"),
    "no progress": (text("progress", None), "damaged checkpoint header"),
    "no identity": (text("identity", None), "damaged checkpoint header"),
    "no moments": (text("moments", None), "damaged checkpoint header"),
    "progress is a list": (text("progress", "[1]"), "damaged checkpoint header"),
    "deep progress": (text("progress", "[" * 10**5 + "]" * 10**5), "damaged checkpoint header"),
    "moments of nothing": (text("moments", "[99]"), "moments are missing"),
    "negative moments": (text("moments", "[-1]"), "moments are missing"),
    "moments as text": (text("moments", '["0"]'), "damaged checkpoint header"),
    "moments not listed": (text("moments", "[0]"), r"'optimizer/1/\w+' has no place in it"),
    "other version": (text("format_version", "9"), "checkpoint format version 9, this danq reads"),
    "no optimizer": (removed("optimizer/"), r"'optimizer/0/\w+' is missing"),
    "a moment removed": (removed("optimizer/1/exp_avg_sq"), "'optimizer/1/exp_avg_sq' is missing"),
    "a parameter removed": (removed("optimizer/1/"), r"'optimizer/1/\w+' is missing"),
    "average removed": (removed("average/"), r"'average/[\w.]+' is missing"),
    "module removed": (removed("module/"), r"'module/[\w.]+' is missing"),
    "moment renamed": (
        renamed("optimizer/0/exp_avg", "optimizer/0/average"),
        "'optimizer/0/exp_avg' is missing",
    ),
    "weight renamed": (
        renamed("module/head.output.bias", "module/head.output.offset"),
        "'module/head.output.bias' is missing",
    ),
    "NaN weight": (values("module/head.output.bias", np.nan), "contains NaN or an infinite number"),
    "infinite average": (values("average/head.output.bias", np.inf), "contains NaN or an infinite"),
    "infinite moment": (values("optimizer/0/exp_avg", -np.inf), "contains NaN or an infinite"),
    "negative square": (values("optimizer/0/exp_avg_sq", -1), "has negative squares"),
    "negative steps": (values("optimizer/0/step", -3), "'optimizer/0/step' is -3 after"),
    "steps beyond": (values("optimizer/0/step", 1e9), "'optimizer/0/step' is 1e.09 after"),
    "other type": (entry("module/head.output.bias", dtype="I32"), "is int32, not float32"),
    "other shape": (
        entry("module/head.output.bias", shape=[1, 2]),
        r"has the shape \(1, 2\), not \(2,\)",
    ),
}


@pytest.mark.parametrize(("change", "message"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_checkpoints_are_refused(change, message, run, planted_set):
    model = (run / "model.safetensors").read_bytes()
    change(run / "last.ckpt")
    hostile = (run / "last.ckpt").read_bytes()
    with pytest.raises(InputError, match=message) as caught:
        resume(planted_set, run)
    assert caught.value.file == str(run / "last.ckpt")
    assert caught.value.remedy
    assert (run / "last.ckpt").read_bytes() == hostile
    assert (run / "model.safetensors").read_bytes() == model


def test_a_checkpoint_of_an_earlier_format_is_refused(run, planted_set):
    import safetensors.torch

    tensors = safetensors.torch.load_file(run / "last.ckpt")
    for version in ("2", "4"):
        safetensors.torch.save_file(tensors, run / "last.ckpt", {"format_version": version})
        with pytest.raises(
            InputError, match="format version 2, this danq reads version 4|no check"
        ):
            resume(planted_set, run)


COMMAND = [str(Path(sys.executable).with_name("danq")), "train"]
OPTIONS = ["--initial-motifs", "none", "--device", "cpu", "--precision", "fp32", "--threads", "1"]


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM], ids=lambda one: one.name)
def test_two_trainings_in_one_directory(ending, planted_set, tmp_path):
    data, run = tmp_path / "data.h5", tmp_path / "run"
    planted_set.save(data)
    long = [str(data), "--out", str(run), "--epochs", "4000", "--lr", "1e-5", *OPTIONS]
    first = start(*long)
    try:
        while not (run / "last.ckpt").is_file() and first.poll() is None:
            time.sleep(0.05)
        assert first.poll() is None
        for choice in ("--resume", "--overwrite"):
            second = start(*long, choice)
            _, errors = second.communicate(timeout=120)
            assert second.returncode == 2
            assert f"{run}: another process is writing this output" in errors
        assert first.poll() is None
    finally:
        first.send_signal(ending)
        first.communicate(timeout=60)
    # The lock ended with its process.
    again = start(*long, "--resume")
    try:
        checkpoint = (run / "last.ckpt").stat().st_mtime_ns
        while (run / "last.ckpt").stat().st_mtime_ns == checkpoint and again.poll() is None:
            time.sleep(0.05)
        assert again.poll() is None
    finally:
        again.kill()
        again.communicate(timeout=60)
