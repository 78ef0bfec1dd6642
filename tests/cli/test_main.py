from __future__ import annotations

import errno
import logging
import os
import signal
import subprocess
import sys
import types
from collections.abc import Callable, Iterator

import click
import pytest

from danq.errors import InputError
from danq_cli import main as cli


def every_command() -> Iterator[tuple[str, ...]]:
    def walk(group: click.Group, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            yield (*path, name)
            if isinstance(command, click.Group):
                yield from walk(command, (*path, name))

    return walk(cli.root, ())


COMMANDS = list(every_command())


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Add a function to the table of commands as `danq probe`."""

    def install(function: Callable[[], object]) -> None:
        module = types.ModuleType("danq_cli.probe")
        module.probe = click.command("probe")(function)  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "danq_cli.probe", module)
        monkeypatch.setitem(cli.COMMANDS, "probe", ("danq_cli.probe", "Probe."))

    return install


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_shows_an_example_of_the_command(path, capsys):
    assert cli.run([*path, "--help"]) == 0
    text = capsys.readouterr().out
    _, marker, examples = text.partition("Example")
    assert marker
    assert f"danq {' '.join(path)}" in examples


def options_of(path: tuple[str, ...]) -> tuple[click.Command, list[click.Option]]:
    """A command and its options."""
    command: click.Command = cli.root
    for name in path:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None
        command = found
    return command, [one for one in command.params if isinstance(one, click.Option)]


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_option_has_help(path):
    assert [option.name for option in options_of(path)[1] if not option.help] == []


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_one_option_selects_tracks_and_another_names_files(path):
    for option in options_of(path)[1]:
        for name in set(option.opts) & {"--track", "--tracks"}:
            files = isinstance(option.type, click.Path)
            assert files == (name == "--tracks")
            assert (option.name, option.multiple or files) == ("tracks", True)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_a_missing_required_option_is_refused(path):
    # click treats an explicit default of None as a value.
    command, options = options_of(path)
    for option in options:
        if option.required:
            with pytest.raises(click.MissingParameter):
                option.handle_parse_result(click.Context(command), {}, [])


def test_help_lists_commands_in_the_order_of_the_table(capsys):
    assert cli.run(["--help"]) == 0
    text = capsys.readouterr().out
    positions = [text.index(help_) for _, help_ in cli.COMMANDS.values()]
    assert positions == sorted(positions)


def test_version_prints_the_version(capsys):
    import danq

    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out == f"danq, version {danq.__version__}\n"


def test_unknown_command_is_bad_input(capsys):
    assert cli.run(["nonsense"]) == 2
    assert "No such command 'nonsense'" in capsys.readouterr().err


def test_input_error_prints_its_message_without_traceback(command, capsys):
    def probe() -> None:
        raise InputError("end 5 is not above start 9", file="a.bed", line=3, remedy="Swap them")

    command(probe)
    assert cli.run(["probe"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "danq: a.bed, line 3: end 5 is not above start 9. Swap them.\n"


def test_bug_prints_its_traceback(command, capsys):
    def probe() -> None:
        raise ZeroDivisionError("division by zero")

    command(probe)
    assert cli.run(["probe"]) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "ZeroDivisionError: division by zero" in err


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_errors_of_the_operating_system_print_no_traceback(command, capsys, code):
    def probe() -> None:
        raise OSError(code, os.strerror(code), "/mnt/out.tsv")

    command(probe)
    assert cli.run(["probe"]) == 2
    assert capsys.readouterr().err == f"danq: {os.strerror(code)}: /mnt/out.tsv.\n"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 45.5 TiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 1 byte.\nBacktrace"),
        type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory."),
    ],
)
def test_insufficient_memory_prints_no_traceback(command, capsys, error):
    def probe() -> None:
        raise error

    command(probe)
    assert cli.run(["probe"]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith(f"danq: out of memory: {str(error)[:20]}")
    assert shown.endswith(". Reduce the batch size.\n")
    assert shown.count("\n") == 1


def test_other_os_errors_print_a_traceback(command, capsys):
    def probe() -> None:
        raise OSError("truncated")

    command(probe)
    assert cli.run(["probe"]) == 1
    assert "OSError: truncated" in capsys.readouterr().err


def test_notices_and_warnings_go_to_stderr(command, capsys):
    def probe() -> None:
        logging.getLogger("danq.genome").info("bridged 3 names")
        logging.getLogger("danq").warning("2 contigs are unknown")
        click.echo("answer")

    command(probe)
    assert cli.run(["probe"]) == 0
    out, err = capsys.readouterr()
    assert out == "answer\n"
    assert err == "bridged 3 names\nwarning: 2 contigs are unknown\n"


def test_the_logger_is_restored(command):
    command(lambda: None)
    logger = logging.getLogger("danq")
    before = (list(logger.handlers), logger.level)
    cli.run(["probe"])
    assert (list(logger.handlers), logger.level) == before


PROBE = """
import sys, time, types
import click
from danq_cli import main as cli

def probe():
    print("started", flush=True)
{body}

module = types.ModuleType("danq_cli.probe")
module.probe = click.command("probe")(probe)
sys.modules["danq_cli.probe"] = module
cli.COMMANDS["probe"] = ("danq_cli.probe", "Probe.")
sys.argv = ["danq", "probe"]
cli.main()
"""


def start(body: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROBE.format(body=body)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    return process


def test_interrupt_exits_130_without_traceback():
    with start("    time.sleep(60)") as process:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == "danq: interrupted\n"


HALF_WRITTEN = """
    from danq.output import replacing, replacing_folder
    with replacing({folder!r} + "/a.tsv") as file, \\
            replacing_folder({folder!r} + "/b", kind="test") as folder:
        file.write_text("half")
        (folder / "c").write_text("half")
        print("written", flush=True)
        time.sleep(60)
"""

UNFINISHED = """
    import numpy as np
    from pathlib import Path
    from danq.inference.blocks import FinishedBlock, FinishedBlocks
    from danq.provenance import Provenance
    with FinishedBlocks(Path({folder!r}) / "a.tsv", Provenance(), kind="variants") as blocks:
        blocks.add(FinishedBlock({{}}, {{"values": np.zeros((1, 2), np.float32)}}, {{"rows": 1}}))
        print("written", flush=True)
        time.sleep(60)
"""


@pytest.mark.parametrize(
    ("number", "code", "message"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
@pytest.mark.parametrize(
    ("body", "files"),
    [(HALF_WRITTEN, []), (UNFINISHED, ["000000.values.npy", "a.tsv.unfinished", "journal.jsonl"])],
    ids=["half written", "resumable"],
)
def test_signals_leave_only_resumable_files(tmp_path, number, code, message, body, files):
    with start(body.format(folder=str(tmp_path))) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert err.splitlines()[-1] == f"danq: {message}"
    assert "Traceback" not in err
    assert ("blocks are kept, so that the run can be resumed" in err) == bool(files)
    assert sorted(path.name for path in tmp_path.rglob("*")) == files


def test_a_second_sigterm_does_not_interrupt_cleanup(tmp_path):
    marker = tmp_path / "cleaned"
    body = f"""
    try:
        print("working", flush=True)
        time.sleep(60)
    finally:
        print("cleaning", flush=True)
        time.sleep(0.5)
        open({str(marker)!r}, "w").close()
    """
    with start(body) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "working\n"
        process.terminate()
        assert process.stdout.readline() == "cleaning\n"
        process.terminate()
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (143, "danq: terminated\n")
    assert marker.exists()


def test_sigterm_stays_ignored_if_it_was_ignored_at_the_start():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        process = start("    time.sleep(1)")
    finally:
        signal.signal(signal.SIGTERM, before)
    with process:
        process.terminate()
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")


def test_a_closed_pipe_prints_no_error():
    with start("    for i in range(10**6): print(i)") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        err = process.stderr.read()
    assert process.returncode == 141
    assert err == ""
