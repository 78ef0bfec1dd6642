from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import polars as pl
import pytest

import danq
from danq.models import ModelSpec, architecture, save_model
from danq.models import build as build_model
from danq_cli.main import run

SHAPE = {"filters": 8, "width": 5, "pool": 4, "hidden": 4, "dense": (6,)}


@pytest.fixture
def model(tmp_path):
    """Write a small untrained model."""

    def write(name: str = "model.safetensors", tracks=("Reb1", "Abf1"), window: int = 40):
        path = tmp_path / name
        spec = ModelSpec(
            preset="danq-small",
            architecture=architecture("danq-small", **SHAPE),
            tracks=tracks,
            groups=("",) * len(tracks),
            window=window,
            bin=10,
        )
        save_model(path, build_model(tracks=len(tracks), window=window, **SHAPE), spec)
        return path

    return write


def test_the_command_writes_the_predictions_of_the_library(model, genome, tmp_path, capsys):
    path, out = model(), tmp_path / "out.tsv"
    assert run(["predict", str(path), str(genome), "--out", str(out), "--precision", "fp32"]) == 0
    shown = capsys.readouterr()
    assert f"{out}: " in shown.out
    assert "longer than the window of 40 bases: 2, tiled every 10 bases" in shown.err
    table = danq.predict(danq.load(path, precision="fp32"), genome).to_polars()
    assert table.equals(pl.read_csv(out, separator="\t", comment_prefix="#", schema=table.schema))


def test_several_models_and_options_reach_the_library(model, genome, tmp_path, capsys):
    arguments = ["predict", str(model("a.safetensors")), str(model("b.safetensors")), str(genome)]
    out = tmp_path / "tiles.parquet"
    options = ["--tile", "20", "--region", "chrI:11-70", "--track", "Abf1", "--strand", "forward"]
    assert (
        run([*arguments, "--out", str(out), *options, "--batch-size", "2", "--threads", "1"]) == 0
    )
    assert capsys.readouterr().out == f"{out}: 3 rows, 1 track and standard deviations\n"
    table = pl.read_parquet(out)
    assert table.columns == ["chrom", "start", "end", "Abf1", "Abf1_sd"]
    assert table["start"].to_list() == [10, 30, 50]


def test_a_name_with_a_trailing_slash_is_a_folder(model, genome, tmp_path):
    arguments = ["predict", str(model()), str(genome), "--tile", "50"]
    assert run([*arguments, "--out", f"{tmp_path}/run.v2/"]) == 0
    assert (tmp_path / "run.v2" / "Reb1.bw").is_file()
    assert run([*arguments, "--out", f"{tmp_path}/run.v2/"]) == 2
    assert run([*arguments, "--out", f"{tmp_path}/run.v2/", "--overwrite"]) == 0


def test_models_with_different_windows_are_refused(model, genome, tmp_path, capsys):
    a, b = model("a.safetensors"), model("b.safetensors", window=60)
    assert run(["predict", str(a), str(b), str(genome), "--out", f"{tmp_path}/o.tsv"]) == 2
    shown = capsys.readouterr().err
    assert "window 40 and 60" in shown
    assert str(a) in shown
    assert str(b) in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize(
    "arguments", [["genome.fa"], ["missing", "genome.fa"], ["model.safetensors", "missing.fa"]]
)
def test_missing_arguments_and_files_are_refused(model, genome, tmp_path, monkeypatch, arguments):
    model()
    monkeypatch.chdir(tmp_path)
    assert run(["predict", *arguments, "--out", "out.tsv"]) == 2
    assert not (tmp_path / "out.tsv").exists()


def test_hdf5_is_half_as_large_in_float16(model, genome, tmp_path):
    common = ["predict", str(model()), str(genome), "--tile", "5", "--batch-size", "64"]
    for name, more in {
        "whole": [],
        "half": ["--dtype", "float16"],
        "packed": ["--compress", "gzip"],
    }.items():
        assert run([*common, "--out", f"{tmp_path}/{name}.h5", *more]) == 0
    files = {name: h5py.File(tmp_path / f"{name}.h5") for name in ("whole", "half", "packed")}
    values = files["whole"]["predictions"][:]
    np.testing.assert_array_equal(files["packed"]["predictions"][:], values)
    np.testing.assert_array_equal(files["half"]["predictions"][:], values.astype(np.float16))
    notes = {name: json.loads(file.attrs["provenance"]) for name, file in files.items()}
    assert notes["half"]["rounding"] == "values are float16"
    assert "rounding" not in notes["whole"]
    assert notes["whole"]["batch size"] == "64 windows"


def test_storage_of_other_formats_is_refused_before_work(model, genome, tmp_path, capsys):
    common = ["predict", str(model()), str(genome), "--tile", "5"]
    assert run([*common, "--out", f"{tmp_path}/a.tsv", "--dtype", "float16"]) == 2
    assert "float16 are for HDF5, and the format of the output is tsv" in capsys.readouterr().err
    assert not (tmp_path / "a.tsv").exists()


def test_help_shows_an_example(capsys):
    assert run(["predict", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "danq predict runs/yeast sacCer3.fa --tile 50 --region chrIV" in shown
    assert "MODEL... INPUT" in shown


@pytest.mark.slow
@pytest.mark.parametrize("name", ["out.tsv.gz", "out.h5", "out.parquet", "tracks"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_leaves_no_output(model, write_fasta, tmp_path, name, number, code):
    genome = write_fasta({"chr1": "ACGTN" * 1_000_000})
    arguments = ["predict", str(model()), str(genome), "--tile", "1", "--out", str(tmp_path / name)]
    script = f"import sys; from danq_cli.main import main; sys.argv[1:] = {arguments!r}; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", script], stderr=subprocess.PIPE, env={**os.environ}
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob(f".{name}*")) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(number)
    _, shown = process.communicate(timeout=60)
    assert process.returncode == code
    assert b"Traceback" not in shown
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [
        "genome.fa",
        "genome.fa.fai",
        "model.safetensors",
    ]


def test_shards_of_the_commands_are_merged(model, genome, tmp_path, capsys):
    path, bed = model(), tmp_path / "sites.bed"
    bed.write_text("chrIV\t0\t30\nchrIV\t60\t95\n")
    calls = {
        "predict": [str(path), str(genome), "--tile", "20", "--precision", "fp32"],
        "mutate": [str(path), str(bed), "--genome", str(genome)],
    }
    for command, given in calls.items():
        one, out = tmp_path / f"{command}.tsv", tmp_path / f"{command}-merged.tsv"
        assert run([command, *given, "--out", str(one)]) == 0
        shown = capsys.readouterr().out
        for index in (1, 2):
            call = [command, *given, "--out", str(out), "--shard", f"{index}/2"]
            assert run(call) == 0
            assert capsys.readouterr().out.startswith(f"{out}.shard-{index}-of-2: ")
            assert run(call) == 2
            assert "exists already" in capsys.readouterr().err
            assert run([*call, "--resume"]) == 0
            assert "is complete, nothing remains to be done" in capsys.readouterr().err
        assert run(["merge", str(out)]) == 0
        merged = capsys.readouterr().out
        assert merged.splitlines()[0] == shown.replace(str(one), str(out)).strip()
        assert out.read_bytes() == one.read_bytes()


def test_shards_without_a_place_are_refused(model, genome, tmp_path, capsys):
    path, out = str(model()), str(tmp_path / "out.tsv")
    problems = {
        ("predict", "--resume"): "only a shard of a run can be resumed",
        ("predict", "--shard", "3/2"): "shard 3 of 2 does not exist",
        ("predict", "--shard", "half"): "'half' is not a shard",
        ("predict", "--shard", "1/2", "--resume", "--overwrite"): "resume and overwrite",
        ("mutate", "--shard", "1/2", "--plot", str(tmp_path / "a.png")): "a plot shows all effects",
        ("mutate", "--shard", "1/2", "--pairs", "chrI:2-4"): "pairs of bases are mutated in a run",
        ("mutate", "--resume"): "only a shard of a run can be resumed",
    }
    for (command, *given), problem in problems.items():
        assert run([command, path, str(genome), "--out", out, *given]) == 2
        assert problem in capsys.readouterr().err
    for command in ("predict", "mutate"):
        assert run([command, path, str(genome), "--out", "-", "--shard", "1/2"]) == 2
        assert "a shard cannot be written to standard output" in capsys.readouterr().err
    assert not list(tmp_path.glob("*shard*"))
