"""Completion by the Tab key: what click answers, and what real shells make of it."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from danq_cli.main import COMMANDS, run

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"torch", "numpy", "numba", "polars", "pydantic", "h5py"}


def answers(*words: str) -> list[str]:
    """Completions of the last word, as the script of bash gets them."""
    code = (
        "import sys\n"
        "from danq_cli.start import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        f"    print(*sorted({HEAVY} & set(sys.modules)), file=sys.stderr)\n"
    )
    environment = {
        **os.environ,
        "_DANQ_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(["danq", *words]),
        "COMP_CWORD": str(len(words)),
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert done.stderr.strip() == "", "completion loads libraries, or warns"
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_commands_are_completed():
    assert answers("") == list(COMMANDS)
    assert answers("cl") == ["classify-variants"]
    assert answers("vision", "tr") == ["train"]
    assert answers("data", "") == ["build", "convert", "info"]


def test_options_and_choices_are_completed():
    assert {"--precision", "--pooling"} <= set(answers("train", "--p"))
    assert answers("train", "--temporal", "") == ["lstm", "gru", "tcn", "none"]
    assert answers("predict", "model", "--strand", "f") == ["forward"]
    assert answers("completion", "") == ["bash", "zsh", "fish"]
    assert "--json" in answers("summary", "--")


def test_a_wrong_instruction_is_an_error():
    done = subprocess.run(
        [sys.executable, "-c", "from danq_cli.start import main; main()"],
        env={**os.environ, "_DANQ_COMPLETE": "nonsense"},
        capture_output=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 1


@pytest.fixture
def command(tmp_path) -> Path:
    """A folder with a program ``danq``, and files to complete."""
    program = tmp_path / "bin" / "danq"
    program.parent.mkdir()
    program.write_text(
        f"#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -c "
        "'from danq_cli.start import main; main()' \"$@\"\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "model.safetensors").write_text("")
    return tmp_path


SHELLS = {
    "bash": """
eval "$(danq completion bash)"
complete_words() {
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
    _danq_completion danq "${@: -1}" "${@: -2:1}" 2> /dev/null; echo "${COMPREPLY[*]}"
}
complete_words danq benc
complete_words danq train --temporal t
""",
    "fish": """
danq completion fish | source
echo (complete -C "danq benc" | string replace -r "\\t.*" "")
echo (complete -C "danq train --temporal t" | string replace -r "\\t.*" "")
""",
    "zsh": """
autoload -Uz compinit; compinit -D -u
eval "$(danq completion zsh)"
compadd() { echo ${(P)@[-1]}; }
_describe() { local -a found; found=(${(P)3}); echo ${${found[1]}%%:*}; }
words=(danq benc); CURRENT=2; _danq_completion
words=(danq train --temporal t); CURRENT=4; _danq_completion
""",
}


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_completes(shell, command):
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run(
        [program, "-c", SHELLS[shell]],
        env={**os.environ, "PATH": f"{command / 'bin'}:{os.environ['PATH']}", "HOME": str(command)},
        capture_output=True,
        text=True,
        cwd=command,
        check=False,
    )
    assert done.stdout.split() == ["benchmark-variants", "tcn"], done.stderr


def test_another_shell_is_refused(capsys):
    assert run(["completion", "tcsh"]) == 2
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in capsys.readouterr().err
