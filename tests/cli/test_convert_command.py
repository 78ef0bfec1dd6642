"""The command line converts DeepSEA's files, trains on them and compares with the paper."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from danq_cli.main import run

SMALL = """
[model]
preset = "danq"
filters = 24
hidden = 6
dense = [12]
[recipe]
base = "paper"
epochs = 2
"""


@pytest.fixture
def trio(tmp_path: Path, write_deepsea_files: Callable[..., list[Path]]) -> list[str]:
    files = write_deepsea_files(tmp_path / "trio", (160, 40, 60), tracks=5, length=200)
    return [str(path) for path in files]


def test_converted_data_can_be_trained_on_evaluated_and_predicted(trio, tmp_path: Path, capsys):
    names = tmp_path / "names.tsv"
    groups = ("DNase", "TF", "TF", "histone", "histone")
    names.write_text("".join(f"c{k}|m|None\t{group}\n" for k, group in enumerate(groups)))
    data, out = str(tmp_path / "set.h5"), str(tmp_path / "run")
    assert run(["data", "convert", *trio, data, "--names", str(names)]) == 0
    shown = capsys.readouterr()
    assert "windows   130 (80 train, 20 valid, 30 test)" in shown.out
    assert "with their reverse complements: 80 pairs stored once" in shown.err
    (tmp_path / "small.toml").write_text(SMALL)
    arguments = ["train", data, "--out", out, "--config", str(tmp_path / "small.toml")]
    assert run([*arguments, "--precision", "fp32"]) == 0
    config = (tmp_path / "run" / "config.toml").read_text()
    assert 'reverse_complement = "both"' in config
    assert 'optimizer = "rmsprop"' in config
    capsys.readouterr()

    head = "Cell Type\tTF/DNase/HistoneMark\tTreatment\tDanQ ROC AUC\tDanQ PR AUC\n"
    aucs = tmp_path / "aucs.txt"
    aucs.write_text(head + "".join(f"c{k}\tm\tNone\t0.6\t0.1\n" for k in range(5)))
    folder = tmp_path / "paper"
    arguments = ["evaluate", out, data, "--bootstrap", "0", "--out", str(folder)]
    assert run([*arguments, "--paper-table", str(aucs), "--precision", "fp32"]) == 0
    shown = capsys.readouterr()
    summary = json.loads((folder / "summary.json").read_text())
    ours = summary["published"][0]["model"]
    assert ours == summary["overall"]["auroc_mean"]
    assert f"{ours:.4f}       0.9326       0.9384       0.9417" in shown.out
    assert "better than DanQ by AUROC on" in shown.out
    assert "its 919 tracks" in shown.err
    assert (folder / "paper.png").stat().st_size > 10_000
    rows = (folder / "paper.tsv").read_text().splitlines()
    assert rows[-6].split("\t") == ["track", "group", "auroc", "aupr", "danq_auroc", "danq_aupr"]
    assert run(["evaluate", out, data, "--bootstrap", "0", "--paper"]) == 0
    assert "compared with published metrics" in capsys.readouterr().out

    arguments = ["predict", out, trio[2], "--out", str(tmp_path / "pred.h5"), "--format", "deepsea"]
    assert run([*arguments, "--precision", "fp32"]) == 0
    assert f"{tmp_path / 'pred.h5'}: 60 rows, 5 tracks\n" in capsys.readouterr().out
    with h5py.File(tmp_path / "pred.h5") as file:
        pred = np.asarray(file["pred"])
    assert pred.shape == (60, 5)
    # Both strands are averaged, so a sequence and its reverse complement agree.
    np.testing.assert_allclose(pred[:30], pred[30:], atol=1e-6)


def test_bad_files_are_reported_without_a_traceback(trio, tmp_path: Path, capsys):
    out = str(tmp_path / "set.h5")
    assert run(["data", "convert", "no.mat", trio[1], "nor.mat", out]) == 2
    assert "there are no such files: no.mat, nor.mat" in capsys.readouterr().err
    assert run(["data", "convert", trio[0], trio[0], trio[2], out]) == 2
    assert "has the train split, and so does" in capsys.readouterr().err
    assert run(["data", "convert", *trio, out, "--channels", "ACG", "--bin", "50"]) == 2
    assert "'ACG' is not an order of channels" in capsys.readouterr().err
    assert not Path(out).exists()


def test_channels_and_bin_reach_the_library(trio, tmp_path: Path, capsys):
    out = str(tmp_path / "set.h5")
    assert run(["data", "convert", *trio, out, "--channels", "TGCA", "--bin", "50"]) == 0
    assert "200 bases around a bin of 50" in capsys.readouterr().out
    assert run(["data", "info", out]) == 0
    assert "200 bases around a bin of 50" in capsys.readouterr().out


@pytest.mark.slow
def test_the_papers_recipe_learns_from_converted_files(tmp_path: Path, write_deepsea_files):
    files = write_deepsea_files(tmp_path / "trio", (6000, 800, 1600), tracks=64)
    data, out = str(tmp_path / "set.h5"), str(tmp_path / "run")
    assert run(["data", "convert", *map(str, files), data]) == 0
    small = SMALL.replace("24", "48").replace("= 6", "= 16").replace("[12]", "[64]")
    (tmp_path / "small.toml").write_text(small.replace("epochs = 2", "epochs = 14"))
    assert run(["train", data, "--out", out, "--config", str(tmp_path / "small.toml")]) == 0
    summary = json.loads((tmp_path / "run" / "evaluation" / "summary.json").read_text())
    assert summary["overall"]["aupr_mean"] > 0.15
    assert summary["overall"]["auroc_mean"] > 0.6
