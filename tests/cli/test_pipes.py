"""Every file option of every command, given a pipe: the whole content is read, or none of it."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pytest

from danq_cli.main import COMMANDS, run
from tests.small_commands import CALLS
from tests.stored_arrays import stored_arrays

NO_FILES = {
    ("motifs", "attributions"): "a sealed HDF5 file, as the datasets of other commands",
    ("serve", "models"): "read as by predict",
    ("serve", "genome"): "read as by variants",
    ("serve", "ids"): "read as the variants of variants; a server has no output to compare",
    ("vision train", "data"): "a folder of arrays",
    ("vision predict", "model"): "a run directory, or a model file as of the other commands",
    ("vision evaluate", "model"): "a run directory, or a model file as of the other commands",
    ("vision evaluate", "source"): "a folder, or a table whose paths are relative to its folder",
    **{
        ("vision train", name): "a folder, or a table whose paths are relative to its folder"
        for name in ("images", "videos", "captions", "questions", "sequences", "audio")
    },
}


def commands() -> Iterator[tuple[str, click.Command]]:
    for name, (module, _) in COMMANDS.items():
        command = getattr(importlib.import_module(module), module.rpartition(".")[2])
        if isinstance(command, click.Group):
            for sub, one in command.commands.items():
                yield f"{name} {sub}", one
        else:
            yield name, command


def file_parameters() -> Iterator[tuple[str, str, str]]:
    """Command, parameter, and its option (empty for an argument), of every file that is read."""
    for name, command in commands():
        for param in command.params:
            if isinstance(param.type, click.Path) and (
                param.type.exists or param.name in ("source", "files", "file")
            ):
                option = "" if isinstance(param, click.Argument) else param.opts[0]
                yield name, str(param.name), option


def is_input(word: str) -> bool:
    return (
        not word.startswith("OUT")
        and re.search(r"\.(fa|bed|tsv|vcf|h5|npz|txt|toml|meme|safetensors)$", word) is not None
    )


CASES = [
    (name, word)
    for name, text in CALLS.items()
    for word in dict.fromkeys(filter(is_input, text.split()))
]


def result(folder: Path, words: list[str], capsys) -> tuple[int, str, dict[str, bytes]]:
    """Exit code, printed text and written files of a command that runs in a folder of its own."""
    capsys.readouterr()
    code = run(words)
    shown = capsys.readouterr()
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name.startswith("OUT")
    }
    return code, shown.out + shown.err, files


def comparable(path: str, content: bytes) -> object:
    """The values of an output, without the names of the inputs."""
    if path.endswith((".tsv", ".toml", ".meme")):
        return [line for line in content.splitlines() if not line.startswith(b"# ")]
    if path.endswith(".html"):
        return re.findall(rb'href="(data:[^"]*)"', content)
    arrays = stored_arrays(path, content)
    return arrays and {name: one for name, one in arrays.items() if name != "tracks/source"}


@pytest.mark.parametrize(("name", "word"), CASES, ids=[f"{name}-{word}" for name, word in CASES])
def test_a_pipe_is_read_whole(name, word, inputs, tmp_path, monkeypatch, capsys, pipe_with):
    monkeypatch.setenv("DANQ_CACHE", str(tmp_path / "cache"))
    words = [*name.partition(":")[0].split(), *CALLS[name].split()]
    outcomes = []
    for where in ("file", "pipe"):
        folder = tmp_path / where
        shutil.copytree(inputs, folder)
        monkeypatch.chdir(folder)
        if where == "file":
            outcomes.append(result(folder, words, capsys))
            continue
        with pipe_with((folder / word).read_bytes()) as pipe:
            (folder / word).unlink()
            given = [str(pipe) if one == word else one for one in words]
            code, text, files = result(folder, given, capsys)
            outcomes.append((code, text, files))
    (code, text, files), (piped_code, piped_text, piped_files) = outcomes
    assert code == 0, text
    assert "Traceback" not in piped_text
    assert piped_code == 0, piped_text
    assert piped_files.keys() == files.keys()
    for one, content in files.items():
        assert comparable(one, piped_files[one]) == comparable(one, content)


@contextmanager
def standard_input(source: int) -> Iterator[None]:
    """Another standard input of the process."""
    before = os.dup(0)
    try:
        os.dup2(source, 0)
        yield
    finally:
        os.dup2(before, 0)
        os.close(before)


BY_DASH = [
    ("predict:fasta", "genome.fa"),
    ("predict", "rows.bed"),
    ("predict:one-hot", "one-hot.npz"),
    ("mutate:fasta", "short.fa"),
    ("mutate", "model.safetensors"),
]


@pytest.mark.parametrize(("name", "word"), BY_DASH)
def test_a_dash_is_standard_input(name, word, inputs, tmp_path, monkeypatch, capsys, pipe_with):
    """Standard input is a pipe, a file or a socket."""
    monkeypatch.setenv("DANQ_CACHE", str(tmp_path / "cache"))
    shutil.copytree(inputs, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    words = [*name.partition(":")[0].split(), *CALLS[name].split()]
    code, text, expected = result(tmp_path, words, capsys)
    assert code == 0, text
    data = Path(word).read_bytes()
    Path(word).rename(f"moved-{word}")
    given = ["-" if one == word else one for one in words]
    sent, received = socket.socketpair()
    thread = threading.Thread(target=lambda: (sent.sendall(data), sent.close()))
    thread.start()
    with pipe_with(data) as pipe, received, open(f"moved-{word}", "rb") as file:
        for number in (int(pipe.name), received.fileno(), file.fileno()):
            Path("OUT.tsv").unlink()
            with standard_input(number):
                code, text, files = result(tmp_path, given, capsys)
            assert code == 0, text
            assert files.keys() == expected.keys()
            for one, content in expected.items():
                assert comparable(one, files[one]) == comparable(one, content)
    thread.join()


def test_an_empty_standard_input_is_named(inputs, tmp_path, monkeypatch, capsys, pipe_with):
    monkeypatch.chdir(inputs)
    for data, message in ((b"", "/dev/stdin: is empty"), (b"ACGT\n", "/dev/stdin: is not FASTA")):
        with pipe_with(data) as pipe, standard_input(int(pipe.name)):
            out = str(tmp_path / "OUT.tsv")
            assert run(["predict", "model.safetensors", "-", "--out", out]) == 2
        assert message in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.iterdir())


def test_every_file_option_has_a_case():
    covered = {name.partition(":")[0]: [] for name in CALLS}
    for name, text in CALLS.items():
        covered[name.partition(":")[0]] += text.split()
    missing = []
    for name, param, option in file_parameters():
        if (name, param) in NO_FILES:
            continue
        words = covered.get(name, [])
        if option not in words if option else not any(map(is_input, words)):
            missing.append((name, param))
    assert missing == []
