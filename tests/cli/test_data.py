from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from danq.datasets import Dataset
from danq_cli.main import run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    letters = np.array(list("ACGT"))
    (tmp_path / "g.fa").write_text(
        "".join(f">chr{n}\n{''.join(letters[rng.integers(0, 4, 4_000)])}\n" for n in (1, 2, 3))
    )
    (tmp_path / "tracks").mkdir()
    for name, text in {
        "Abf1": "chr1\t400\t600\nchr2\t0\t200\nchr3\t0\t200\n",
        "Reb1": "chr1\t1000\t1200\n",
    }.items():
        (tmp_path / "tracks" / f"{name}.bed").write_text(text)
    (tmp_path / "one.bed").write_text("chr1\t0\t100\n")
    (tmp_path / "two.bed").write_text("chr2\t3900\t4000\n")
    return tmp_path


def build(folder: Path, *options: str) -> int:
    base = ["data", "build", f"{folder}/set.h5", "--genome", f"{folder}/g.fa"]
    splits = ["--valid", "chr2", "--test", "chr3"]
    return run([*base, "--tracks", f"{folder}/tracks", *splits, *options])


def test_build_and_info_show_the_same_table(folder: Path, capsys):
    assert build(folder) == 0
    built = capsys.readouterr()
    assert "60 (20 train, 20 valid, 20 test)" in built.out
    rows = [line.split() for line in built.out.splitlines()]
    assert ["Abf1", "3", "1", "1", "1"] in rows
    assert ["Reb1", "1", "1", "0", "0"] in rows
    assert "warning: No positive window in valid: Reb1." in built.err
    assert run(["data", "info", f"{folder}/set.h5"]) == 0
    shown = capsys.readouterr().out
    assert "leaked        none\n" in shown
    assert shown.replace("leaked        none\n", "") == built.out


def test_every_option_reaches_the_library(folder: Path, capsys):
    (folder / "map.tsv").write_text("1\tchr1\n")
    options = {
        "--window": "0.4k",
        "--bin": "100",
        "--stride": "50",
        "--min-overlap": "0.4",
        "--negatives": "1.5",
        "--edge": "drop",
        "--max-n": "0.25",
        "--skip-contigs": "chr3",
        "--chrom-map": f"{folder}/map.tsv",
        "--seed": "9",
        "--test": "chr2:1-2000",
        "--valid": "chr2:2001-4000",
    }
    arguments = [word for pair in options.items() for word in pair]
    exclude = ["--exclude", f"{folder}/one.bed", "--exclude", f"{folder}/two.bed"]
    assert build(folder, *arguments, *exclude, "--drop-leaked") == 0
    dataset = Dataset.open(folder / "set.h5")
    assert (dataset.window, dataset.bin, dataset.stride, dataset.min_overlap) == (400, 100, 50, 0.4)
    assert dataset.genome.names == ("chr1", "chr2")
    shown = {name: value for name, value in dataset.build.items() if not name.startswith("dropped")}
    assert shown == {
        "genome": "g.fa",
        "valid": ["chr2:2,001-4,000"],
        "test": ["chr2:1-2,000"],
        "exclude": ["one.bed", "two.bed"],
        "negatives": 1.5,
        "edge": "drop",
        "max_n": 0.25,
        "skip_contigs": ["chr3"],
        "drop_leaked": True,
        "seed": 9,
    }


def test_numbers_with_commas_are_not_split(folder: Path):
    regions = ["--valid", "chr2:1-1,000,chr2:2,001-4,000", "--test", "chr3"]
    assert build(folder, *regions, "--window", "400") == 0
    dataset = Dataset.open(folder / "set.h5")
    assert dataset.build["valid"] == ["chr2:1-1,000", "chr2:2,001-4,000"]


def test_an_existing_output_is_replaced_only_with_overwrite(folder: Path, capsys):
    assert build(folder) == 0
    assert build(folder) == 2
    assert "set.h5: exists already" in capsys.readouterr().err
    assert build(folder, "--overwrite") == 0


def test_the_table_of_many_tracks_shows_the_first_and_last(folder: Path, capsys):
    for number in range(110):
        peaks = "".join(f"chr1\t{200 * i}\t{200 * i + 200}\n" for i in range(1 + number % 19))
        (folder / "tracks" / f"more{number:03d}.bed").write_text(peaks)
    assert build(folder) == 0
    text = capsys.readouterr().out
    assert (
        sum(line.strip().startswith("more") for line in text.splitlines()) == 38
    )  # 20 with the most positives, and 18 beside Abf1, Reb1
    assert "112 tracks; --all shows all" in text
    assert run(["data", "info", "--all", f"{folder}/set.h5"]) == 0
    text = capsys.readouterr().out
    assert sum(line.strip().startswith("more") for line in text.splitlines()) == 110


def test_info_names_tracks_to_check_and_shows_names_as_they_are(folder: Path, capsys):
    text = (folder / "tracks" / "Abf1.bed").read_text()
    (folder / "tracks" / "[b]copy.bed").write_text(text)
    assert build(folder) == 0
    assert "Check these tracks: the same positive windows" in capsys.readouterr().err
    assert run(["data", "info", f"{folder}/set.h5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "check     the same positive windows: Abf1 = [b]copy" in lines
    assert any(line.split()[0] == "[b]copy" for line in lines if line.strip())


def test_info_prints_no_error_into_a_closed_pipe(folder: Path):
    assert build(folder) == 0
    read, write = os.pipe()
    os.close(read)
    code = "from danq_cli.main import main; main()"
    process = subprocess.run(
        [sys.executable, "-c", code, "data", "info", f"{folder}/set.h5"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(write)
    assert (process.returncode, process.stderr) == (141, "")


def test_info_of_another_file_is_refused(folder: Path, capsys):
    assert run(["data", "info", f"{folder}/g.fa"]) == 2
    assert "is a text file, not a dataset of danq (HDF5)" in capsys.readouterr().err


def test_leaked_windows_are_reported_and_can_be_avoided(folder: Path, capsys):
    genome = (folder / "g.fa").read_text()
    chr3 = genome.split(">chr3\n")[1].strip()
    (folder / "g.fa").write_text(f"{genome}>chr3_KI270810v1_alt\n{chr3[1000:3000]}\n")
    assert build(folder, "--window", "400") == 0
    built = capsys.readouterr()
    assert "Contigs that repeat sequence of other contigs: chr3_KI270810v1_alt." in built.err
    assert "warning: 8 of 20 test windows have the same sequence as a part of" in built.err
    assert "set --drop-leaked" in built.err
    assert run(["data", "info", f"{folder}/set.h5"]) == 0
    assert "leaked        8 of 20 test (8 completely)\n" in capsys.readouterr().out
    assert build(folder, "--window", "400", "--overwrite", "--drop-leaked") == 0
    dropped = capsys.readouterr()
    assert "leaked        none\n" in dropped.out
    assert "10 sequence of a held-out window" in dropped.out
    assert "(20 train, 20 valid, 20 test)" in dropped.out
    assert build(folder, "--window", "400", "--overwrite", "--skip-contigs", "*_alt") == 0
    skipped = capsys.readouterr()
    assert "other contigs" not in skipped.err
    assert "the same sequence" not in skipped.err
    assert run(["data", "info", f"{folder}/set.h5"]) == 0
    assert "leaked        none\n" in capsys.readouterr().out


def test_leaked_positives_are_counted_for_each_track(folder: Path, capsys):
    genome = (folder / "g.fa").read_text()
    chr3 = genome.split(">chr3\n")[1].strip()
    (folder / "g.fa").write_text(f"{genome}>copy\n{chr3[:1000]}\n")
    assert build(folder, "--window", "400") == 0
    capsys.readouterr()
    assert run(["data", "info", f"{folder}/set.h5"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["track", "peaks", "train", "valid", "test", "leaked"] in rows
    assert ["Abf1", "3", "1", "1", "1", "1"] in rows
    assert ["Reb1", "1", "1", "0", "0", "0"] in rows
