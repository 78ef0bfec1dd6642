"""Commands that faults are injected into: their inputs, and what they write undisturbed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.faults import processes
from tests.faults.calls import MERGED, WRITING
from tests.forked import in_process
from tests.stored_arrays import stored_arrays

Files = Mapping[str, bytes]

STRANGERS = {
    "thesis.tex": b"\\documentclass{thesis}\n",
    "OUTLINE.txt": b"1. Introduction\n",
    ".OUT.tsv.swp": b"b0VIM 9.0",
    "kept/config.toml": b"[tool]\n",
}
"""Files of others, beside the outputs and with similar names."""


@dataclass
class Subject:
    """A command, prepared in a folder: its inputs, and what an undisturbed run writes.

    Attributes
    ----------
    words
        The command line.
    inputs
        Content of every input by name.
    reference
        Content of every output.
    exact
        Outputs that two undisturbed runs write with the same bytes; others are compared by value.
    calls, changes
        Number of calls to the file system, and of those that change something.
    seconds
        Duration of an undisturbed run.
    """

    kind: str
    words: list[str]
    inputs: Files
    reference: Files
    exact: frozenset[str]
    calls: int
    changes: int
    seconds: float

    @property
    def command(self) -> str:
        return WRITING[self.kind][0]

    @property
    def read(self) -> list[str]:
        """Names of the inputs that the command reads."""
        return [
            name
            for name in self.inputs
            if name in self.words or self._is_track(name) or is_of_shard(name)
        ]

    def _is_track(self, name: str) -> bool:
        return name.startswith("tracks/") and "--tracks" in self.words


_PAGE = 4096
"""Files on a tmpfs take a multiple of this number of bytes."""


def content(folder: Path) -> dict[str, bytes]:
    """Content of every file of a folder, by relative name; links are not followed."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def is_output(name: str) -> bool:
    return name.split("/")[0] == "OUT" or name.startswith("OUT.")


def is_of_shard(name: str) -> bool:
    return ".shard-" in name


def is_leftover(name: str) -> bool:
    return name.startswith(".OUT") or "/." in name or ".unfinished/" in name


def outputs_among(files: Files) -> dict[str, bytes]:
    """Outputs among some files, without temporary ones."""
    return {n: data for n, data in files.items() if is_output(n) and not is_leftover(n)}


def same(subject: Subject, name: str, data: bytes) -> bool:
    """Whether an output is that of an undisturbed run."""
    if name not in subject.reference:
        return "tensorboard/" in name  # named after time and process
    if name in subject.exact:
        return data == subject.reference[name]
    return stored_arrays(name, data) == stored_arrays(name, subject.reference[name])


def fresh(subject: Subject, folder: Path, old: Files, space: int | None = None) -> None:
    """Put the inputs, and files of others, into a new folder.

    Parameters
    ----------
    subject
        The command.
    folder
        The folder; an existing one is deleted.
    old
        Outputs of an earlier run, and inputs that replace those of the command.
    space
        Bytes that remain free; None for a folder without such a limit.
    """
    processes.unmount(folder)
    shutil.rmtree(folder, ignore_errors=True)
    files = {**subject.inputs, **STRANGERS, **old}
    folder.mkdir()
    if space is not None:
        processes.mount(
            folder, space + sum(_PAGE * -(-len(data) // _PAGE) for data in files.values())
        )
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def make_inputs(folder: Path) -> Files:
    """Inputs of the commands, made in a process of its own, which may start threads."""

    def make() -> None:
        from tests.small_commands import write_inputs

        folder.mkdir()
        write_inputs(folder)

    in_process(make)
    made = content(folder)
    # Names in the sheet are relative, so that the folder can be copied.
    made["tracks.tsv"] = b"Reb1\ttracks/Reb1.bed\nAbf1\ttracks/Abf1.bed\n"
    return made


def prepare(kind: str, inputs: Files, work: Path) -> Subject:
    """Run a command twice without faults; the first run compiles."""
    command, arguments = WRITING[kind]
    words = [*command.split(), *arguments.split()]
    if kind in MERGED:
        inputs = {**inputs, **_shards(kind, inputs, work / "case")}
    subject = Subject(kind, words, inputs, {}, frozenset(), 0, 0, 0.0)
    results = []
    for _ in range(2):
        folder, count = work / "case", work / "count"
        fresh(subject, folder, {})
        end = processes.run(words, folder, processes.counted(count))
        if end.code != 0:
            raise RuntimeError(f"{' '.join(words)}: exit code {end.code}\n{end.text}")
        found = content(folder).items()
        results.append({n: data for n, data in found if is_output(n) and n not in inputs})
        calls, changes = map(int, count.read_text().split())
    first, second = results
    exact = frozenset(name for name in first if first[name] == second.get(name))
    return Subject(kind, words, inputs, first, exact, calls, changes, end.seconds)


def _shards(kind: str, inputs: Files, folder: Path) -> Files:
    """The shards that a merge reads."""
    command, arguments = MERGED[kind]
    fresh(Subject(kind, [], inputs, {}, frozenset(), 0, 0, 0.0), folder, {})
    for shard in ("1/2", "2/2"):
        words = [command, *arguments.split(), "--shard", shard]
        end = processes.run(words, folder, processes.Fault("none"))
        assert end.code == 0, end.text
    return {name: data for name, data in content(folder).items() if is_of_shard(name)}
