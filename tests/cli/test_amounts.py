"""`danq data build` with signals and with tables of sequences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from danq.datasets import Dataset
from danq_cli.main import run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A genome, two bedGraph files without gaps, a BED file of scores, and a table."""
    rng = np.random.default_rng(0)
    letters = np.array(list("ACGT"))
    (tmp_path / "g.fa").write_text(
        "".join(f">chr{n}\n{''.join(letters[rng.integers(0, 4, 4_000)])}\n" for n in (1, 2, 3))
    )
    (tmp_path / "signals").mkdir()
    for name in ("rna", "atac"):
        rows = [
            f"chr{n}\t{at}\t{at + 50}\t{value}\n"
            for n in (1, 2, 3)
            for at, value in zip(range(0, 4_000, 50), rng.integers(0, 9, 80), strict=True)
        ]
        (tmp_path / "signals" / f"{name}.bedgraph").write_text("".join(rows))
    (tmp_path / "peaks.bed").write_text("chr1\t400\t600\nchr2\t0\t200\nchr3\t0\t200\n")
    rows = ["".join(rng.choice(letters, 40)) + f"\t{at}\t{at * 2}\n" for at in range(40)]
    (tmp_path / "mpra.tsv").write_text("oligo\tK562\tHepG2\n" + "".join(rows))
    return tmp_path


def build(folder: Path, *options: str) -> int:
    return run(["data", "build", f"{folder}/set.h5", *(str(option) for option in options)])


def windows(folder: Path) -> list[str]:
    return ["--genome", f"{folder}/g.fa", "--window", "400", "--valid", "chr2", "--test", "chr3"]


def test_amounts_of_signals_are_built_and_shown(folder: Path, capsys):
    signal = ["--signal", f"{folder}/signals", "--statistic", "sum", "--transform", "log1p"]
    assert build(folder, *windows(folder), *signal, "--library-size", "--oriented") == 0
    built = capsys.readouterr()
    assert "60 (20 train, 20 valid, 20 test)" in built.out
    assert "oriented  yes" in built.out
    assert "positive when" not in built.out
    assert "0.00 % of the bases of its contigs have no value" in built.err
    dataset = Dataset.open(folder / "set.h5")
    amounts = dataset.amounts(np.arange(60))
    for number, track in enumerate(("atac", "rna")):
        unit = dataset.units[number]
        line = next(line for line in built.out.splitlines() if line.split()[:1] == [track])
        assert f" {unit} " in line
        assert line.split()[-1] == f"{amounts[:, number].max():.4g}"
    assert dataset.oriented
    assert run(["data", "info", f"{folder}/set.h5"]) == 0
    assert capsys.readouterr().out.replace("leaked        none\n", "") == built.out


def test_peaks_profiles_and_gaps_reach_the_library(folder: Path, capsys):
    (folder / "signals" / "rna.bedgraph").write_text("chr1\t0\t4000\t2\n")
    signal = ["--signal", f"{folder}/signals/rna.bedgraph", "--profile", "50"]
    peaks = ["--tracks", f"{folder}/peaks.bed"]
    assert build(folder, *windows(folder), *peaks, *signal, "--gaps", "mask") == 0
    dataset = Dataset.open(folder / "set.h5")
    assert [group[:2] for group in dataset.targets] == [("peaks", 1), ("profiles", 1)]
    assert dataset.build["gaps"] == "mask"
    shown = capsys.readouterr()
    assert "check     the same amount in all training windows: rna" in shown.out
    assert "has no data of 2 of 3 contigs; their 160 bins are masked" in shown.err
    (folder / "signals" / "rna.bedgraph").write_text("chr1\t0\t3000\t2\n")
    assert build(folder, *windows(folder), *peaks, *signal, "--overwrite") == 2
    assert "25.0% of the bases of its contigs have no value" in capsys.readouterr().err


def test_scores_of_a_bed_file_are_amounts(folder: Path):
    rows = [f"chr{n}\t0\t4000\tname\t7\t+\t{n}.5\n" for n in (1, 2, 3)]
    (folder / "scores.bed").write_text("".join(rows))
    (folder / "sheet.tsv").write_text(f"name\tpath\nscore\t{folder}/scores.bed\n")
    signal = ["--signal", f"{folder}/sheet.tsv", "--value-column", "7"]
    assert build(folder, *windows(folder), *signal) == 0
    dataset = Dataset.open(folder / "set.h5")
    np.testing.assert_array_equal(dataset.amounts([0, 20, 40])[:, 0], [1.5, 2.5, 3.5])


def test_tables_of_sequences_are_built_and_shown(folder: Path, capsys):
    table = ["--sequences", f"{folder}/mpra.tsv", "--sequence-column", "oligo"]
    ends = ["--left-flank", "AAA", "--right-flank", "CC", "--window", "50", "--seed", "3"]
    assert build(folder, *table, "--amount-columns", "HepG2", *ends, "--both-strands") == 0
    dataset = Dataset.open(folder / "set.h5")
    assert (dataset.tracks, dataset.window, dataset.oriented) == (("HepG2",), 50, False)
    assert dataset.build["seed"] == 3
    np.testing.assert_array_equal(dataset.lengths([0]), [45])
    shown = capsys.readouterr().out
    assert "40 (32 train, 4 valid, 4 test)" in shown
    assert "standalone sequences of up to 50 bases" in shown
    assert "bins dropped" in shown
    assert "peaks dropped" not in shown
    assert build(folder, *table, "--overwrite") == 0
    assert Dataset.open(folder / "set.h5").oriented
    assert "oriented  yes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "Give --genome with --tracks or --signal, or --sequences."),
        (["--genome", "g.fa"], "Give --tracks, --signal or both with --genome."),
        (["--genome", "g.fa", "--tracks", "peaks.bed", "--gaps", "zero"], "--gaps is an option of"),
        (
            ["--genome", "g.fa", "--signal", "signals", "--left-flank", "A"],
            "--left-flank is an option of tables; give --sequences.",
        ),
        (["--sequences", "mpra.tsv", "--genome", "g.fa"], "--genome is an option of windows"),
        (["--sequences", "mpra.tsv", "--bin", "9"], "--bin is an option of windows of a genome"),
        (["--sequences", "mpra.tsv", "--transform", "log1p"], "--transform is an option of"),
        (["--sequences", "mpra.tsv", "--signal", "signals"], "--signal is an option of windows"),
        (
            ["--sequences", "mpra.tsv", "--amount-columns", "K5"],
            "has no column 'K5'. Its columns are oligo, K562, HepG2",
        ),
        (
            ["--genome", "g.fa", "--signal", "signals", "--profile", "30"],
            "steps of 30 bases do not divide a bin of 200 bases",
        ),
    ],
)
def test_wrong_combinations_are_refused(folder: Path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(folder)
    assert build(folder, *options) == 2
    assert message in capsys.readouterr().err
    assert not (folder / "set.h5").exists()
