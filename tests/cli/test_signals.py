"""SIGINT and SIGTERM end every command, with its exit code and without partial files."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from danq_cli import signals

PROBE = """
import pathlib, signal, sys, time, types
import click
from danq_cli import main as cli

def probe(out):
    {body}

module = types.ModuleType("danq_cli.probe")
module.probe = click.command("probe")(click.argument("out")(probe))
sys.modules["danq_cli.probe"] = module
cli.COMMANDS["probe"] = ("danq_cli.probe", "Probe.")
sys.argv = ["danq", "probe", sys.argv[1]]
cli.main()
"""

DEAF = """
    from danq.output import replacing
    with replacing(out) as temporary, temporary.open("w") as file:
        file.write("half")
        signal.pthread_sigmask(
            signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1]
        )
        print("started", flush=True)
        for _ in range(600):
            time.sleep(1)
"""
"""The main thread does not react, as in a long call of a library."""

CLEANING = """
    from danq.output import replacing
    with replacing(out) as temporary:
        temporary.write_text("half")
        try:
            print("started", flush=True)
            time.sleep(60)
        finally:
            print("cleaning", flush=True)
            time.sleep(0.5)
            print("cleaned", flush=True)
"""

LLVM = """
    import llvmlite.binding as llvm
    from danq.output import replacing
    def slow(module):
        print("started", flush=True)
        time.sleep(60)
    texts = [f"define i32 @f{n}() {{ ret i32 0 }}" for n in (1, 2)]
    first, second = map(llvm.parse_assembly, texts)
    llvm.ModuleRef.detach = slow
    with replacing(out) as temporary, temporary.open("w") as file:
        file.write("half")
        first.link_in(second)
"""
"""If this call does not return, both objects own the same memory: the process would fail."""

HDF5 = """
    from danq.datasets import hdf5_writer
    from danq.output import replacing
    def slow(data):
        print("started", flush=True)
        time.sleep(60)
    with replacing(out) as temporary, hdf5_writer.writing(temporary, "probe") as file:
        hdf5_writer.memoryview = slow
        try:
            file["x"] = [1, 2, 3]
            file.flush()
        finally:
            print("HDF5 got the error", flush=True)
"""
"""HDF5 calls a function of Python, and fails when it closes a file after an error in it."""

RELEASING = """
    class Held:
        def __del__(self):
            print("started", flush=True)
            time.sleep(60)
    from danq.output import replacing
    with replacing(out) as temporary, temporary.open("w") as file:
        Held()
        file.write("half")
"""
"""Python drops exceptions in ``__del__``, so that the command would continue."""

ENDING = """
    import atexit
    @atexit.register
    def wait():
        print("started", flush=True)
        time.sleep(60)
    pathlib.Path(out).write_text("whole")
"""

SIGNALS = [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]


@contextmanager
def started(body: str, out: Path) -> Iterator[subprocess.Popen[str]]:
    """A command that has printed "started"."""
    with subprocess.Popen(
        [sys.executable, "-c", PROBE.format(body=body), str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{out.parent}:{os.environ.get('PYTHONPATH', '')}"},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        yield process


@pytest.mark.parametrize(
    ("number", "code", "message"), [*SIGNALS, (signal.SIGUSR1, 75, "stopped by SIGUSR1")]
)
def test_a_command_inside_a_library_ends_too(tmp_path: Path, number: int, code: int, message: str):
    with started(DEAF, tmp_path / "out.tsv") as process:
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (code, f"danq: {message}\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("number", "code", "message"), SIGNALS)
def test_a_signal_during_an_import_ends_the_command(tmp_path, number, code, message):
    (tmp_path / "slow_import.py").write_text(
        "import time\n"
        "try:\n"
        "    print('started', flush=True)\n"
        "    time.sleep(60)\n"
        "except BaseException:\n"
        "    print('interrupted', flush=True)\n"
    )
    with started("import slow_import", tmp_path / "out.tsv") as process:
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (code, "", f"danq: {message}\n")


@pytest.mark.parametrize("body", [LLVM, HDF5, RELEASING])
@pytest.mark.parametrize(("number", "code", "message"), SIGNALS)
def test_no_interrupt_is_raised_or_lost_where_python_drops_it(
    tmp_path, number, code, message, body
):
    with started(body, tmp_path / "out.tsv") as process:
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (code, "", f"danq: {message}\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_the_command_ends_the_process_at_once(tmp_path: Path, number: int):
    with started(ENDING, tmp_path / "out.tsv") as process:
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (-number, "")
    assert (tmp_path / "out.tsv").read_text() == "whole"


@pytest.mark.parametrize(("number", "code", "message"), SIGNALS)
def test_signals_are_handled_before_the_command_line_is_imported(tmp_path, number, code, message):
    waiting = "class Waits:\n" + (
        "    def find_spec(self, name, *rest):\n"
        "        if name in ('click', 'danq'):\n"
        "            print('started', flush=True)\n"
        "            time.sleep(60)\n"
    )
    script = f"import sys, time\n{waiting}sys.meta_path.insert(0, Waits())\n"
    script += "from danq_cli.start import main\nmain()\n"
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (code, f"danq: {message}\n")


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_of_either_kind_does_not_interrupt_the_cleanup(tmp_path, second):
    with started(CLEANING, tmp_path / "out.tsv") as process:
        assert process.stdout is not None
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "cleaning\n"
        process.send_signal(second)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (143, "cleaned\n", "danq: terminated\n")
    assert not list(tmp_path.iterdir())


BODIES = {
    "simulate": ["simulate", "sim", "--size", "200k"],
    "build": ["data", "build", "b.h5", "--genome", "small/genome.fa", "--tracks", "small/tracks"],
}


@pytest.mark.parametrize("name", BODIES)
def test_signals_at_random_times_leave_no_partial_files(tmp_path: Path, name: str):
    start = "import sys; from danq_cli.start import main; sys.argv[0] = 'danq'; main()"
    command = [sys.executable, "-c", start]
    small = [*command, "simulate", "small", "--size", "200k"]
    subprocess.run(small, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    rng = np.random.default_rng(1)
    ended = 0
    for wait in rng.uniform(0.2, 1.5, 6):
        number, code = rng.choice([[signal.SIGINT, 130], [signal.SIGTERM, 143]])
        with subprocess.Popen(
            [*command, *BODIES[name]], cwd=tmp_path, stderr=subprocess.PIPE, text=True
        ) as process:
            with suppress(subprocess.TimeoutExpired):
                process.wait(wait)
            process.send_signal(int(number))
            _, err = process.communicate(timeout=60)
        assert "Traceback" not in err
        # Before the handlers are installed and after they are removed, the signal itself ends it.
        assert process.returncode in (0, code, -number), err
        ended += process.returncode == code
        hidden = [path for path in tmp_path.iterdir() if path.name.startswith(".")]
        assert not hidden
        (tmp_path / "b.h5").unlink(missing_ok=True)
        shutil.rmtree(tmp_path / "sim", ignore_errors=True)
    assert ended


@pytest.mark.parametrize("received", [[], [signal.SIGTERM]])
def test_nothing_is_printed_about_what_an_interrupt_left_half_done(received, monkeypatch):
    printed = []
    monkeypatch.setattr(signals, "_received", received)
    monkeypatch.setattr(sys, "__unraisablehook__", printed.append)
    signals._unraisable(SimpleNamespace(exc_value=AttributeError("no flush")))
    assert len(printed) == (not received)
