"""SIGINT and SIGTERM end every command, with its exit code and without partial files."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

DEAF = """
import signal, sys, time, types
import click
from danq_cli import main as cli

def probe():
    from danq.output import replacing
    with replacing(sys.argv[2]) as temporary:
        with temporary.open("w") as file:
            file.write("half")
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])
            print("started", flush=True)
            for _ in range(600):
                time.sleep(1)

module = types.ModuleType("danq_cli.probe")
module.probe = click.command("probe")(click.argument("out")(lambda out: probe()))
sys.modules["danq_cli.probe"] = module
cli.COMMANDS["probe"] = ("danq_cli.probe", "Probe.")
sys.argv = ["danq", "probe", sys.argv[1]]
cli.main()
"""

SIGNALS = [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]


@pytest.mark.parametrize(("number", "code", "message"), SIGNALS)
def test_a_command_inside_a_library_ends_too(tmp_path: Path, number: int, code: int, message: str):
    # The main thread does not react, as in a long call of a library.
    with subprocess.Popen(
        [sys.executable, "-c", DEAF, str(tmp_path / "out.tsv")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (code, f"danq: {message}\n")
    assert not list(tmp_path.iterdir())
