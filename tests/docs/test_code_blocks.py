"""Every block of code in the README and in the pages runs on small inputs, or says why it does not.

A block that cannot run has a comment ``<!-- not run: REASON -->`` in the line before it. Its danq
commands are parsed with their options.
"""

from __future__ import annotations

import itertools
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from danq_cli.main import root, run
from tests.page_inputs import write_page_inputs

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES += sorted((ROOT / "data").rglob("*.md"))

MADE_BY_THE_PAGE = {
    "README.md": ("yeast.h5", "runs", "effects.tsv", "promoters.tsv"),
    "docs/own_peaks.md": ("yeast.h5", "runs", "promoters.tsv"),
    "docs/python.md": ("yeast.h5", "runs"),
    "docs/tutorial.md": ("effects.tsv",),
    "docs/variants.md": ("effects.tsv",),
}
"""What a page makes itself; all other inputs of `write_page_inputs` are there before it runs."""

SMALLER = {
    "README.md": [
        ("--region chrIV ", "--region chrXV "),
        ("--random 20", "--random 1 --edits 1"),
    ],
    "docs/explain.md": [
        ("--tile --region chr6:1-20000", "--tile --region chr6:1-2000"),
        ("--tile --genome", "--tile --region chrII --genome"),
        ("--pairs 2490-2530", "--pairs 2500-2506"),
        ("--pairs 1008814-1008854", "--pairs 1008814-1008820"),
        ("--distances 0-20", "--distances 0-2"),
        ("range(21)", "range(3)"),
    ],
    "docs/own_peaks.md": [("--region chrIV ", "--region chrXV ")],
    "docs/own_signals.md": [("--region chrIV ", "--region chrXV ")],
    "docs/python.md": [
        ('test="chrIV")', 'test="chrII", options=danq.LabelOptions(exclude="blacklist.bed"))'),
        ('out="runs/yeast")', 'out="runs/yeast", config="small.toml")'),
        ('50, "chrIV")', '50, "chrXV")'),
        ("danq.Recipe(epochs=2))", 'danq.Recipe(epochs=1), config="small.toml")'),
    ],
    "docs/sequence_design.md": [
        ("--random 3", "--random 1"),
        ("RandomStarts(3)", "RandomStarts(1)"),
        ("--edits 8", "--edits 1"),
        ("--edits 12", "--edits 1"),
        ("edits=2", "edits=1"),
    ],
    "docs/variants.md": [("classify-variants scored.h5", "classify-variants scored.h5 --folds 3")],
    "docs/tutorial.md": [("--size 1M", "--size 60k --variants 20")],
}
"""Texts of a page that are replaced so that its blocks take seconds."""


@dataclass(frozen=True)
class Block:
    """A block of code: its page, line, language, text, and why it is not run, if so."""

    page: Path
    line: int
    language: str
    text: str
    reason: str | None

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(ROOT).as_posix()}:{self.line}"

    def commands(self) -> list[str]:
        """The command lines of a block of shell code."""
        joined = self.text.replace("\\\n", " ").splitlines()
        return [line.strip() for line in joined if line.strip() and line.strip()[0] != "#"]


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of shell and Python code of a page."""
    pattern = re.compile(
        r"^(?:<!-- not run: (?P<reason>.+?) -->\n)?"
        r"```(?P<language>sh|bash|shell|console|python)\b[^\n]*\n(?P<text>.*?)^```$",
        re.MULTILINE | re.DOTALL,
    )
    text = page.read_text(encoding="utf-8")
    for match in pattern.finditer(text):
        line = text.count("\n", 0, match.start("text"))
        yield Block(page, line, match["language"], match["text"], match["reason"])


ALL = [block for page in PAGES for block in blocks(page)]
RUN = [page for page in PAGES if any(b.page == page and b.reason is None for b in ALL)]


def danq_calls(block: Block) -> Iterator[list[str]]:
    """The words of each danq command of a block of shell code, without ``danq``."""
    for line in block.commands():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;()")
        lexer.whitespace_split = True
        for is_operator, words in itertools.groupby(lexer, lambda word: set(word) <= set("|&;()")):
            call = list(words)
            if not is_operator and "danq" in call and "$" not in line.partition("danq")[2]:
                yield call[call.index("danq") + 1 :]


def parse(words: list[str]) -> None:
    """Parse the words of a command without running it."""
    command: click.Command = root
    context = click.Context(command, info_name="danq")
    while isinstance(command, click.Group):
        found = command.get_command(context, words[0])
        assert found is not None, words
        command, context, words = found, click.Context(found, parent=context), words[1:]
    given, _, _ = command.make_parser(context).parse_args(list(words))
    for parameter in command.params:
        if parameter.required:
            assert parameter.name in given or isinstance(parameter, click.Argument), words


def test_the_pages_have_blocks_and_no_fence_hides_one():
    assert len(ALL) > 60
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        opened = re.findall(r"^ *```(?:sh|bash|shell|console|python)\b", text, re.MULTILINE)
        assert len(opened) == len(list(blocks(page))), page
        assert len(re.findall(r"^<!-- not run", text, re.MULTILINE)) == sum(
            block.reason is not None for block in blocks(page)
        ), page


@pytest.mark.parametrize("block", [b for b in ALL if b.reason], ids=lambda block: block.name)
def test_a_block_that_is_not_run_is_valid(block: Block):
    if block.language == "python":
        compile(block.text, block.name, "exec")
        return
    for words in danq_calls(block):
        parse(words)


def test_every_command_is_shown_on_a_page():
    shown = {call[0] for b in ALL if b.language != "python" for call in danq_calls(b) if call}
    assert shown >= set(root.list_commands(click.Context(root)))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page_inputs(tmp_path_factory.mktemp("pages"))


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_blocks_of_a_page_run(page: Path, inputs: Path, tmp_path: Path, monkeypatch):
    name = page.relative_to(ROOT).as_posix()
    made = MADE_BY_THE_PAGE.get(name, ())
    folder = tmp_path / "page"
    shutil.copytree(
        inputs, folder, ignore=lambda at, names: [n for n in names if n.startswith(made)]
    )
    monkeypatch.chdir(folder)
    smaller = SMALLER.get(name, [])
    runnable = [block for block in blocks(page) if block.reason is None]
    for old, _ in smaller:
        assert any(old in block.text for block in runnable), old
    space: dict = {"__name__": "page"}
    for block in runnable:
        text = block.text
        for old, new in smaller:
            text = text.replace(old, new)
        small = Block(block.page, block.line, block.language, text, None)
        if small.language == "python":
            exec(compile(small.text, small.name, "exec"), space)
        else:
            run_shell(small)


def run_shell(block: Block) -> None:
    """Run the lines of a block: danq in this process, all else in a shell."""
    for line in block.commands():
        words = shlex.split(line, comments=True)
        if words[0] == "danq" and not set(words) & {"|", "&", "&&", ";", ">"}:
            assert run(words[1:] + hidden_options(words[1:])) == 0, f"{block.name}: {line}"
            continue
        danq = f'danq() {{ {shlex.quote(sys.executable)} -m danq_cli "$@"; }}\n'
        path = os.pathsep.join(entry for entry in sys.path if entry)
        process = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", danq + line],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
            check=False,
        )
        assert process.returncode == 0, f"{block.name}: {line}\n{process.stderr}"


def hidden_options(words: list[str]) -> list[str]:
    """Options that make a training tiny."""
    if words[0] != "train" or {"--config", "--resume"} & set(words):
        return []
    return ["--config", "short.toml" if "--from" in words else "small.toml"]
