"""The folder of designs, and `danq design`."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import polars as pl
import pytest
import torch

import danq
from danq.errors import InputError
from danq.genome.fasta import read_fasta
from danq.genome.nucleotide_codes import decode
from danq.models import architecture, save_model, untrained
from danq.output import MARKER
from danq.plots import plot_trajectories
from danq_cli.main import run

SHAPE = {"filters": 8, "width": 5, "pool": 3, "hidden": 4, "dense": (6,)}
FILES = {
    *("designs.fa", "starts.fa", "designs.tsv", "trajectory.tsv", "objective.png", "summary.json"),
    MARKER,
}
FP32 = "--device cpu --precision fp32 --threads 1"
TEXT = "ACGTTGCATGCCAATGTACCGATTGGCATC"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A model and a FASTA of starts; also the working directory."""
    monkeypatch.chdir(tmp_path)
    shape = architecture("danq-small", **SHAPE)
    for seed, name in enumerate(("m.safetensors", "n.safetensors")):
        made = untrained("danq-small", shape, ("Reb1", "Abf=1"), 30, 10)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for weights in made.module.parameters():
                weights.normal_(0, 0.5, generator=generator)
        save_model(tmp_path / name, made.module, made.spec)
    (tmp_path / "starts.fa").write_text(f">a first\n{TEXT}\n>b\n{TEXT[::-1]}\n")
    return tmp_path


def table(path) -> pl.DataFrame:
    return pl.read_csv(path, separator="\t", comment_prefix="#")


def test_the_folder_has_the_designs_and_how_they_were_found(folder, capsys):
    line = f"design m.safetensors n.safetensors starts.fa --maximize Reb1 --target Abf=1=0.3 {FP32}"
    assert run(f"{line} --weight Abf=1=2 --edits 3 --beam 2 --out d".split()) == 0
    shown = capsys.readouterr().out
    assert "2 designs; edits: median" in shown
    assert shown.endswith("written to d\n")
    assert {path.name for path in (folder / "d").iterdir()} == FILES
    designs, trajectory = table("d/designs.tsv"), table("d/trajectory.tsv")
    fasta = {name: decode(codes) for name, codes in read_fasta(folder / "d/designs.fa")}
    assert fasta == dict(designs.select("name", "sequence").iter_rows())
    starts = {name: decode(codes) for name, codes in read_fasta(folder / "d/starts.fa")}
    assert starts == {"a": TEXT, "b": TEXT[::-1]}
    assert designs["start_sequence"].to_list() == list(starts.values())
    for row in designs.iter_rows(named=True):
        text = list(row["start_sequence"])
        for before, place, after in (
            (one[0], int(one[1:-1]), one[-1]) for one in row["changes"].split()
        ):
            assert text[place - 1] == before
            text[place - 1] = after
        assert "".join(text) == row["sequence"]
        own = trajectory.filter(pl.col("start") == row["name"])
        changes = own[1:].select(pl.format("{}{}{}", "from", "position", "to"))[:, 0]
        assert " ".join(changes) == row["changes"]
        assert own["edits"].to_list() == list(range(row["edits"] + 1))
        assert own["objective"][-1] == row["objective"]
        assert own["objective"][0] == row["start_objective"]
        assert own["Reb1_predicted"][-1] == row["Reb1_predicted"]
    models = [
        danq.load(folder / f"{one}.safetensors", device="cpu", precision="fp32") for one in "mn"
    ]
    predicted = danq.predict(models, folder / "d/designs.fa").values[:, :2]
    found = designs.select("Reb1_predicted", "Abf=1_predicted").to_numpy()
    np.testing.assert_allclose(found, predicted, rtol=1e-5)
    summary = json.loads((folder / "d/summary.json").read_text())
    assert summary["format"] == "danq-designs"
    assert summary["objective"] == "log2 odds of Reb1 - 2 x |log2 odds of Abf=1 - log2 odds of 0.3|"
    assert summary["largest_difference"] < 1e-5
    assert set(summary["files"]) == FILES - {"summary.json", MARKER}
    for name, checksum in summary["files"].items():
        assert hashlib.sha256((folder / "d" / name).read_bytes()).hexdigest() == checksum
    assert run(f"{line} --out d".split()) == 2
    assert run(f"{line} --edits 1 --beam 1 --out d --overwrite".split()) == 0
    assert table("d/designs.tsv")["edits"].max() == 1


def test_the_command_gives_what_the_library_gives(folder):
    line = "design m.safetensors --random 2 --seed 4 --minimize Reb1 --edits 2 --beam 2 --out d"
    constraints = "--fixed 1-4 --forbid CG --gc 0.3-0.7 --proposals 20"
    assert run(f"{line} {constraints} {FP32}".split()) == 0
    model = danq.load(folder / "m.safetensors", device="cpu", precision="fp32", threads=1)
    report = danq.design(
        model,
        danq.RandomStarts(2, seed=4),
        danq.DesignGoals(minimize=["Reb1"]),
        constraints=danq.DesignConstraints(fixed=["1-4"], forbidden=["CG"], gc=(0.3, 0.7)),
        edits=2,
        beam=2,
        proposals=20,
    )
    assert table("d/designs.tsv")["sequence"].to_list() == report.table["sequence"].to_list()
    danq.write_designs(report, folder / "e")
    for name in ("designs.fa", "starts.fa", "objective.png"):
        assert (folder / "d" / name).read_bytes() == (folder / "e" / name).read_bytes()
    with pytest.raises(InputError, match="exists"):
        danq.write_designs(report, folder / "e")


WRONG = {
    "Give a model, then a FASTA file of starts or --random": "m.safetensors --maximize Reb1",
    "--seed is of random sequences": "m.safetensors starts.fa --seed 3 --maximize Reb1",
    "--target names the track 'Reb1' more than once": "m.safetensors --random 1 --target Reb1=0.1 "
    "--target Reb1=0.2",
    "'Reb1' is not TRACK=NUMBER": "m.safetensors --random 1 --target Reb1",
    "'0.4' is not a range of fractions": "m.safetensors --random 1 --maximize Reb1 --gc 0.4",
    "With --random, all arguments are models": "m.safetensors starts.fa --random 1 --maximize Reb1",
    "the design has no goal": "m.safetensors --random 1",
    "Did you mean 'Reb1'": "m.safetensors --random 1 --maximize Reb",
    "9-3": "m.safetensors --random 1 --maximize Reb1 --fixed 9-3",
}


@pytest.mark.parametrize(("message", "words"), WRONG.items())
def test_wrong_options_are_refused(folder, message, words, capsys):
    assert run(f"design {words} --out d {FP32}".split()) == 2
    assert message in capsys.readouterr().err
    assert not (folder / "d").exists()


def test_the_plot_shows_every_start_and_the_median():
    rows = [("a", 0, 1.0), ("a", 1, 3.0), ("a", 2, 4.0), ("$b", 0, 0.0), ("$b", 1, 1.0)]
    trajectory = pl.DataFrame(rows, schema=["start", "edits", "objective"], orient="row")
    (axes,) = plot_trajectories(trajectory, "log2 odds of a$b").axes
    lines = [line.get_ydata().tolist() for line in axes.lines]
    assert lines == [[1, 3, 4], [0, 1], [0.5, 2, 2.5]]
    assert [text.get_text() for text in axes.texts] == ["a", r"\$b"]
    assert axes.get_ylabel() == r"Objective: log2 odds of a\$b"
    (axes,) = plot_trajectories(trajectory.head(1)).axes
    assert len(axes.lines) == 1
