"""No command replaces one of its inputs; a limit on the size of files leaves no file."""

from __future__ import annotations

import importlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from danq.output import temporary_names
from danq_cli.main import run
from tests.small_commands import CALLS, write_inputs

FILES = {name: call for name, call in CALLS.items() if "OUT." in call}
SEALED = (".safetensors", ".h5")
FORMATS = {
    "predict": [".tsv", ".tsv.gz", ".h5", ".parquet", ""],
    "variants:table": [".tsv", ".tsv.gz", ".h5", ".parquet"],
    "variants": [".vcf.gz", " --format deepsea"],
    "variants:background": [".h5"],
    "mutate:fasta": [".tsv", ".tsv.gz", ".h5", ".parquet"],
    "data build": [".h5"],
    "import": [".safetensors"],
    "export": [".onnx"],
    "classify-variants": [".tsv"],
    "evaluate": [""],
    "marginalize": [""],
    "motifs": [""],
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    return write_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture
def folder(inputs: Path, tmp_path: Path, monkeypatch) -> Path:
    copy = tmp_path / "copy"
    shutil.copytree(inputs, copy)
    monkeypatch.chdir(copy)
    return copy


def words_of(name: str) -> list[str]:
    return [*name.partition(":")[0].split(), *CALLS[name].split()]


def read_files(words: list[str], folder: Path) -> Iterator[Path]:
    yield from (folder / word for word in words if (folder / word).is_file())


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("name", FILES)
def test_an_output_that_is_an_input_by_another_name_is_refused(folder, capsys, name):
    words = words_of(name)
    out = next(word for word in words if word.startswith("OUT."))
    sources = list(read_files(words, folder))
    assert sources
    run(words)  # makes indexes
    (folder / out).unlink()
    for source in sources:
        before = contents(folder)
        os.link(source, folder / out)
        capsys.readouterr()
        assert run([*words, "--overwrite"]) == 2, source
        error = capsys.readouterr().err
        assert "is an input of the same command, and the output " in error, source
        assert f"{out} would replace it" in error, source
        assert (folder / out).samefile(source)
        (folder / out).unlink()
        assert contents(folder) == before


READ_IN_PIECES = {
    name: call
    for name, call in CALLS.items()
    if "OUT" in call
    and name not in ("marginalize", "motifs", "export", "import")
    # They have read their inputs when they begin an output, and compare them before.
    and not name.startswith(("variants", "train"))
}
"""Commands with inputs that have no checksum of their own."""


@pytest.mark.parametrize("name", READ_IN_PIECES)
def test_an_input_that_changes_while_it_is_read_leaves_no_output(folder, capsys, monkeypatch, name):
    words = words_of(name)
    sources = [one for one in read_files(words, folder) if one.suffix not in SEALED]
    assert run(words) == 0, "makes indexes, and compiles"
    for path in [folder / "OUT", *folder.glob("OUT*")]:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    before = contents(folder)
    made = temporary_names.temporary_name
    for source in sources:

        def changing(*args, source=source):
            with source.open("ab") as file:
                file.write(b"\n")
            return made(*args)

        monkeypatch.setattr(temporary_names, "temporary_name", changing)
        capsys.readouterr()
        assert run(words) == 2, source
        error = capsys.readouterr().err
        assert re.search(rf"{source.name}: (has|the file) changed while (danq|it) was", error)
        source.write_bytes(before[source.name])
        assert contents(folder) == before


def test_a_track_that_changes_before_the_training_begins_leaves_no_run(folder, capsys, monkeypatch):
    module = importlib.import_module("danq.training.train")
    made = module.open_or_label

    def changing(*args, **options):
        dataset = made(*args, **options)
        with (folder / "tracks" / "Reb1.bed").open("a") as file:
            file.write("one\t400\t420\n")
        return dataset

    monkeypatch.setattr(module, "open_or_label", changing)
    source = Path((folder / "tracks.tsv").read_text().split()[1])
    (folder / "tracks.tsv").write_text("Reb1\ttracks/Reb1.bed\n")
    assert run(words_of("train:from peaks")) == 2
    error = capsys.readouterr().err
    assert f"tracks/{source.name}: has changed while danq was reading it" in error
    assert not (folder / "OUT").exists()


def test_a_resumed_training_replaces_an_evaluation_that_is_not_complete(folder, capsys):
    words = words_of("train")
    assert run(words) == 0
    before = (folder / "OUT" / "evaluation" / "metrics.tsv").read_bytes()
    (folder / "OUT" / "evaluation" / "roc.png").unlink()
    capsys.readouterr()
    assert run([*words, "--resume"]) == 0
    assert "it is made again" in capsys.readouterr().err
    assert (folder / "OUT" / "evaluation" / "metrics.tsv").read_bytes() == before
    assert (folder / "OUT" / "evaluation" / "roc.png").is_file()


def test_tracks_in_a_table_are_inputs(folder, capsys):
    words = words_of("data build")
    track = Path((folder / "tracks.tsv").read_text().split()[1])
    before = track.read_bytes()
    os.link(track, folder / "OUT.h5")
    assert run([*words, "--overwrite"]) == 2
    assert "is an input of the same command" in capsys.readouterr().err
    assert track.read_bytes() == before


def test_outputs_of_one_command_have_different_names(folder, capsys):
    words = ["mutate", "model.safetensors", "--region", "chr1:100-120", "--genome", "genome.fa"]
    (folder / "link.png").symlink_to("OUT.tsv")
    (folder / "OUT.tsv").write_text("old")
    words += ["--overwrite", "--out", "OUT.tsv", "--plot", "link.png"]
    assert run(words) == 2
    assert "is named for two outputs of the same command" in capsys.readouterr().err
    assert (folder / "OUT.tsv").read_text() == "old"


def test_a_plot_that_cannot_be_written_leaves_no_table(folder, capsys, full_disk):
    words = ["mutate", "model.safetensors", "--region", "chr1:100-120", "--genome", "genome.fa"]
    before = sorted(contents(folder))
    words += ["--out", "OUT.tsv", "--plot", "OUT.png", "--track", "Reb1"]
    with full_disk(8_000):
        assert run(words) == 2
    assert "OUT.png: cannot be written: File too large" in capsys.readouterr().err
    assert sorted(contents(folder)) == before


@pytest.mark.parametrize(
    ("name", "ending"), [(name, ending) for name, endings in FORMATS.items() for ending in endings]
)
@pytest.mark.parametrize("size", [0, 150])
def test_a_limit_on_the_size_of_files_leaves_no_file(folder, capsys, full_disk, name, ending, size):
    words = words_of(name)
    at = next(i for i, word in enumerate(words) if word.startswith("OUT"))
    words[at : at + 1] = f"OUT{ending}".split(" ") if ending.startswith(" ") else [f"OUT{ending}"]
    assert run(words) == 0, "makes indexes, and compiles"
    for path in [folder / "OUT", *folder.glob("OUT*")]:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    before = contents(folder)
    capsys.readouterr()
    with full_disk(size):
        assert run(words) == 2
    error = capsys.readouterr().err
    assert "cannot be written" in error
    assert "OUT" in error
    assert "Traceback" not in error
    assert contents(folder) == before
