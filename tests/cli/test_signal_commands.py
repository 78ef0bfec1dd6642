"""Signals and tables from `danq train` to predicted bigWigs and evaluations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from danq.datasets import Dataset
from danq.models import read_spec
from danq_cli.main import run

CONFIG = """
[model]
preset = "danq-small"
filters = 8
width = 5
pool = 3
hidden = 4
dense = [6]
[recipe]
epochs = 1
[run]
device = "cpu"
precision = "fp32"
threads = 1
"""
LENGTHS = {"chr1": 6_000, "chr2": 3_000, "chr3": 3_000}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A genome, bigWigs of two strands of two replicates, and a table with strata."""
    writer = pytest.importorskip("pyBigWig", reason="pyBigWig is not installed")
    path = tmp_path_factory.mktemp("signals")
    rng = np.random.default_rng(0)
    letters = np.array(list("ACGT"))
    genome = {name: rng.integers(0, 4, length) for name, length in LENGTHS.items()}
    text = "".join(f">{name}\n{''.join(letters[codes])}\n" for name, codes in genome.items())
    (path / "g.fa").write_text(text)
    (path / "bw").mkdir()
    for base, strand in ((0, "plus"), (3, "minus")):
        shared = {name: rng.poisson(3, length // 20) for name, length in LENGTHS.items()}
        for number in (1, 2):
            with writer.open(str(path / "bw" / f"wt_rep{number}.{strand}.bw"), "w") as file:
                file.addHeader(list(LENGTHS.items()))
                for name, codes in genome.items():
                    count = (codes == base).reshape(-1, 20).sum(axis=1) + shared[name]
                    values = (count + rng.poisson(2, count.size)).astype(float)
                    file.addEntries(name, 0, values=values.tolist(), span=20, step=20)
    rows = [
        f"{''.join(rng.choice(letters, 40))}\t{rng.normal():.3f}\t{rng.normal():.3f}\t{kind}\n"
        for kind in ("native", "random")
        for _ in range(60)
    ]
    (path / "mpra.tsv").write_text("sequence\tmpra_rep1\tmpra_rep2\tstratum\n" + "".join(rows))
    (path / "run.toml").write_text(CONFIG)
    return path


def train(folder: Path, name: str, *options: str) -> int:
    own = ["--out", f"{folder}/{name}", "--config", f"{folder}/run.toml", "--overwrite"]
    return run(["train", *own, *options])


@pytest.fixture(scope="module")
def trained(folder: Path) -> Path:
    held = ["--valid", "chr2", "--test", "chr3", "--window", "100", "--bin", "20"]
    signal = ["--genome", f"{folder}/g.fa", "--signal", f"{folder}/bw", "--transform", "log1p"]
    assert train(folder, "model", *signal, "--library-size", *held) == 0
    return folder / "model"


def test_signals_are_trained_on_without_a_dataset_file(trained: Path):
    dataset = Dataset.open(trained / "dataset.h5")
    names = tuple(f"wt_rep{n}.{strand}" for n in (1, 2) for strand in ("minus", "plus"))
    assert dataset.tracks == names
    assert dataset.measured.reverse == (1, 0, 3, 2)
    assert dataset.measured.replicates == ("wt.minus", "wt.plus") * 2
    assert dataset.units[0].transform == "log1p"
    assert dataset.units[0].scale != 1
    assert read_spec(trained).targets[0].reverse == (1, 0, 3, 2)
    assert run(["train", "--out", str(trained), "--resume"]) == 0


def test_a_summary_names_the_strands_and_replicates(trained: Path, capsys):
    assert run(["data", "info", str(trained / "dataset.h5")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "strands   wt_rep1.minus and wt_rep1.plus, wt_rep2.minus and wt_rep2.plus" in lines
    experiments = "wt.minus (wt_rep1.minus, wt_rep2.minus), wt.plus (wt_rep1.plus, wt_rep2.plus)"
    assert f"replicates {experiments}" in lines


@pytest.mark.parametrize("measured", [[], ["--measured"]])
def test_predicted_bigwigs_equal_the_table(trained: Path, folder: Path, measured, tmp_path):
    import pyBigWig

    tiles = [str(folder / "g.fa"), "--tile", "20", "--region", "chr3", *measured]
    for out in ("tracks/", "table.tsv"):
        assert run(["predict", str(trained), *tiles, "--out", f"{tmp_path}/{out}"]) == 0
    table = pl.read_csv(tmp_path / "table.tsv", separator="\t", comment_prefix="#")
    assert table.height == LENGTHS["chr3"] // 20
    for track in Dataset.open(trained / "dataset.h5").tracks:
        with pyBigWig.open(str(tmp_path / "tracks" / f"{track}.bw")) as file:
            assert file.chroms("chr3") == LENGTHS["chr3"]
            assert file.intervals("chr1") is None if "chr1" in file.chroms() else True
            start, end, value = zip(*file.intervals("chr3"), strict=True)
        assert list(start) == table["start"].to_list()
        assert list(end) == table["end"].to_list()
        # A TSV has six decimals.
        np.testing.assert_allclose(value, table[track].to_numpy(), rtol=1e-5, atol=1e-6)
        assert np.ptp(value) > 0


def test_an_evaluation_reports_the_ceiling_of_replicates(trained: Path, tmp_path, capsys):
    data = trained / "dataset.h5"
    arguments = [str(trained), str(data), "--out", f"{tmp_path}/e", "--bootstrap", "0"]
    assert run(["evaluate", *arguments, "--baseline"]) == 0
    shown = capsys.readouterr().out
    assert "4 tracks are replicates: Pearson between replicates, mean 0." in shown
    table = pl.read_csv(tmp_path / "e" / "amounts.tsv", separator="\t", comment_prefix="#")
    dataset = Dataset.open(data)
    amounts = dataset.amounts(dataset.indices("test"))
    wanted = [np.corrcoef(amounts[:, a], amounts[:, b])[0, 1] for a, b in ((0, 2), (1, 3))] * 2
    np.testing.assert_allclose(table["replicates_pearson"], wanted, rtol=1e-4)
    np.testing.assert_allclose(table["ceiling_pearson"], np.sqrt(wanted), rtol=1e-4)


def test_tables_are_trained_on_and_evaluated_by_stratum(folder: Path, tmp_path, capsys):
    assert train(folder, "mpra", "--sequences", f"{folder}/mpra.tsv") == 0
    data = folder / "mpra" / "dataset.h5"
    dataset = Dataset.open(data)
    assert dataset.values.strata_names == ("native", "random")
    assert dataset.measured.replicates == ("mpra", "mpra")
    model = str(folder / "mpra")
    capsys.readouterr()
    split = ["--split", "train", "--bootstrap", "0", "--out", f"{tmp_path}/e"]
    assert run(["evaluate", model, str(data), *split]) == 0
    shown = capsys.readouterr().out
    counts = np.bincount(dataset.values.strata[dataset.indices("train")])
    for name, count in zip(("native", "random"), counts, strict=True):
        assert f"stratum {name}, {count} windows: mean Pearson " in shown
    table = pl.read_csv(tmp_path / "e" / "strata.tsv", separator="\t", comment_prefix="#")
    assert table["windows"].to_list() == np.repeat(counts, 2).tolist()
    assert table["track"].to_list() == ["mpra_rep1", "mpra_rep2"] * 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--genome", "g.fa"], "there is nothing to train on"),
        (["--genome", "g.fa", "--tracks", "p.bed", "--gaps", "zero"], "'gaps' is an option of sig"),
        (["--sequences", "mpra.tsv", "--genome", "g.fa"], "'genome' is not an option of a table"),
        (["--sequences", "mpra.tsv", "--bin", "20"], "'bin' is not an option of a table"),
        (["--genome", "g.fa", "--left-flank", "A", "--signal", "bw"], "'left_flank' is not an opt"),
        (["model/dataset.h5", "--library-size"], "--library-size is an option for building"),
        (["model/dataset.h5", "--signal", "bw"], "--signal is an option for building a dataset"),
    ],
)
def test_wrong_combinations_are_refused(
    trained: Path, folder: Path, monkeypatch, capsys, options, message
):
    monkeypatch.chdir(folder)
    (folder / "p.bed").write_text("chr1\t0\t20\n")
    assert run(["train", *options, "--out", "refused"]) == 2
    assert message in capsys.readouterr().err
    assert not (folder / "refused").exists()
