"""The recipes in data/recipes: files, commands and calculations."""

from __future__ import annotations

import ast
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import h5py
import pytest

from danq.datasets.track_sheet import read_sheet
from danq.training.config import read_config
from danq_cli.main import run
from tests.docs.test_code_blocks import parse
from tests.docs.test_scaling import calculations, result

RECIPES = Path(__file__).resolve().parents[2] / "data" / "recipes"
NAMES = ("human", "deepsea", "promoters")
MODELS = ("DeepSEA", "DanQ", "DanQ-JASPAR")
SMALL_RUN = """
[model]
preset = "danq"
filters = 8
hidden = 4
dense = [16]
[recipe]
base = "paper"
epochs = 1
"""


def shell_lines(page: Path) -> list[str]:
    """The lines of the blocks of shell code, each with its continuation lines."""
    blocks = re.findall(r"^```(?:sh)?\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)
    return "".join(blocks).replace("\\\n", " ").splitlines()


def danq_calls(page: Path) -> list[list[str]]:
    """The words of each danq command, without ``danq``."""
    return [shlex.split(line)[1:] for line in shell_lines(page) if line.startswith("danq ")]


CALLS = [(page.parent.name, c) for page in RECIPES.glob("*/README.md") for c in danq_calls(page)]


@pytest.mark.parametrize(("name", "words"), CALLS)
def test_a_command_has_the_options_that_the_recipe_gives(name: str, words: list[str]):
    parse(words)


def test_each_recipe_trains_and_evaluates():
    for name in NAMES:
        assert {"train", "evaluate"} <= {words[0] for recipe, words in CALLS if recipe == name}


@pytest.mark.parametrize(
    ("name", "preset", "base"),
    [
        ("human", "danq", "default"),
        ("deepsea", "danq", "paper"),
        ("promoters", "danq-mpra", "mpra"),
    ],
)
def test_a_run_configuration_is_valid(name: str, preset: str, base: str):
    config = read_config(RECIPES / name / "run.toml")
    assert (config.model.preset, config.recipe.base) == (preset, base)
    assert config.model.architecture.filters > 0
    # 4 epochs is what the comments of the recipes say of many windows.
    assert config.recipe.resolved(225_001).epochs == (60 if base == "paper" else 4)


def test_the_template_is_a_sample_sheet(tmp_path: Path):
    sheet = tmp_path / "tracks.tsv"
    shutil.copy(RECIPES / "human" / "tracks.tsv", sheet)
    (tmp_path / "peaks").mkdir()
    for line in sheet.read_text().splitlines()[1:]:
        (tmp_path / line.split("\t")[1]).touch()
    tracks = read_sheet(sheet)
    assert len(tracks) == 4
    assert {track.group for track in tracks} == {"TF", "DNase", "histone"}


def test_the_sheet_is_made_from_the_table_of_the_portal(tmp_path: Path):
    header = ["File accession", "Assay", "Biosample term name", "Experiment target"]
    header += ["File assembly", "File format"]
    rows = [
        ["ENCFF1", "TF ChIP-seq", "K562", "GATA1-human", "GRCh38", "bed narrowPeak"],
        ["ENCFF2", "Histone ChIP-seq", "liver", "H3K27ac-human", "GRCh38", "bed narrowPeak"],
        ["ENCFF3", "DNase-seq", "K562", "", "GRCh38", "bed bed3+"],
        ["ENCFF4", "DNase-seq", "K562", "", "hg19", "bed bed3+"],
        ["ENCFF5", "DNase-seq", "K562", "", "GRCh38", "bigWig"],
    ]
    table = "\n".join("\t".join(row) for row in [header, *rows])
    (tmp_path / "metadata.tsv").write_text(table + "\n")
    (tmp_path / "peaks").mkdir()
    for row in rows:
        (tmp_path / "peaks" / f"{row[0]}.bed.gz").touch()
    lines = shell_lines(RECIPES / "human" / "README.md")
    [line] = [line for line in lines if line.startswith("awk ")]
    subprocess.run(["bash", "-c", line], cwd=tmp_path, check=True)
    tracks = read_sheet(tmp_path / "tracks.tsv")
    assert [(track.name, track.path.name, track.group) for track in tracks] == [
        ("K562|GATA1|ENCFF1", "ENCFF1.bed.gz", "TF"),
        ("liver|H3K27ac|ENCFF2", "ENCFF2.bed.gz", "histone"),
        ("K562|DNase-seq|ENCFF3", "ENCFF3.bed.gz", "accessible"),
    ]


ROWS = [(name, *row) for name in NAMES for row in calculations(RECIPES / name / "README.md")]


def test_every_recipe_has_estimates():
    assert {row[0] for row in ROWS} == set(NAMES)


@pytest.mark.parametrize(("name", "quantity", "calculation", "value"), ROWS)
def test_a_calculation_gives_its_value(name: str, quantity: str, calculation: str, value: str):
    computed = result(ast.parse(calculation, mode="eval"))
    assert computed == pytest.approx(float(value), rel=0.01), f"{name}: {quantity}"


def test_the_commands_for_deepsea_run(tmp_path: Path, write_deepsea_files, monkeypatch):
    write_deepsea_files(tmp_path, (64, 32, 64))
    (tmp_path / "run.toml").write_text(SMALL_RUN)
    metrics = [f"{model} {metric} AUC" for model in MODELS for metric in ("ROC", "PR")]
    lines = ["\t".join(["Cell Type", "TF/DNase/HistoneMark", "Treatment", *metrics])]
    for name in (tmp_path / "names.txt").read_text().splitlines():
        lines.append("\t".join([*name.split("|"), *["0.5"] * len(metrics)]))
    (tmp_path / "aucs.txt").write_text("\n".join(lines) + "\n")
    monkeypatch.chdir(tmp_path)
    for words in danq_calls(RECIPES / "deepsea" / "README.md"):
        if words[0] != "variants":
            assert run([*words, "--quiet"]) == 0, words
    with h5py.File("pred.h5") as file:
        assert file["pred"].shape == (64, 919)
    assert (tmp_path / "runs" / "deepsea" / "model.safetensors").is_file()
    assert (tmp_path / "paper" / "metrics.tsv").is_file()
