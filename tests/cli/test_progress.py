"""Progress of commands: lines in a log, bars on a terminal."""

from __future__ import annotations

import errno
import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from rich.console import Console

from danq.progress import COMPILING, Stage, counted, is_watched, stage, watch_progress
from danq_cli import progress_bars, signals
from danq_cli.main import run
from danq_cli.progress import LINE_SECONDS, Display, Timed, duration, shown_progress
from danq_cli.progress_bars import table


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def display(monkeypatch) -> Display:
    """A display of a log whose thread does not run."""
    monkeypatch.setattr(Display, "_start", lambda self: None)
    return Display(bars=False, clock=Clock())


def after(display: Display, seconds: float) -> None:
    display.clock.now += seconds
    display.tick()


def test_a_log_has_a_line_every_ten_seconds(display, capsys):
    with watch_progress(display), stage("predicting", "windows", 50_000) as now:
        for done in range(1, 21):
            now.reach(done * 1000)
            after(display, 1.0)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "predicting: 10,000 of 50,000 windows, 1,000 windows/s, 40 s left",
        "predicting: 20,000 of 50,000 windows, 1,000 windows/s, 30 s left",
    ]


def test_a_short_command_writes_no_line(display, capsys):
    with watch_progress(display), stage("predicting", "windows", 100) as now:
        for _ in range(9):
            now.add(10)
            after(display, 1.0)
    after(display, 60.0)
    assert capsys.readouterr().err == ""


def test_a_line_without_total_and_a_stage_without_count(display, capsys):
    with watch_progress(display):
        with stage("scoring", "variants") as now:
            now.add(50)
            after(display, LINE_SECONDS)
        with stage("bootstrap"):
            after(display, LINE_SECONDS)
    assert capsys.readouterr().err.splitlines() == [
        "scoring: 50 variants, 5 variants/s, 10 s so far",
        "bootstrap: 10 s so far",
    ]


def test_a_line_is_on_the_innermost_stage_that_is_not_young(display, capsys):
    with watch_progress(display), stage("epoch 1 of 3", "batches", 4) as epoch:
        epoch.add(2)
        epoch.detail = "loss 0.1"
        display.clock.now += LINE_SECONDS - 1
        with stage("compiling"):
            after(display, 1.0)
            after(display, LINE_SECONDS)
    assert capsys.readouterr().err.splitlines() == [
        "epoch 1 of 3: 2 of 4 batches, 0.2 batches/s, loss 0.1, 10 s left (compiling)",
        "compiling: 11 s so far",
    ]


def test_the_rate_leaves_out_what_was_done_before_and_what_is_long_ago():
    shown = Timed(Stage("scoring", "variants", 1000, 400, 400), 0.0)
    assert (shown.rate, shown.seconds_left) == (None, None)
    for now, done in ((10.0, 500), (20.0, 600)):
        shown.stage.done = done
        shown.note(now)
    assert (shown.rate, shown.seconds_left) == (10.0, 40.0)
    for now in (30.0, 40.0, 50.0):
        shown.stage.done += 10
        shown.note(now)
    assert shown.rate == 1.0


def test_nothing_is_shown_if_hidden_or_in_a_forked_process(display, capsys, monkeypatch):
    display.hidden = lambda: True
    with watch_progress(display), stage("predicting"):
        after(display, LINE_SECONDS)
    display.hidden = lambda: False
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with watch_progress(display), stage("predicting"):
        after(display, LINE_SECONDS)
    assert capsys.readouterr().err == ""


def test_durations():
    assert [duration(one) for one in (0.4, 59.4, 60, 200, 3600, 7500)] == [
        "0 s",
        "59 s",
        "1 min 0 s",
        "3 min 20 s",
        "1 h 0 min",
        "2 h 5 min",
    ]


def test_stages_report_to_the_innermost_function():
    seen, others = [], []
    assert not is_watched()
    with watch_progress(lambda stage, event: seen.append((stage.done, stage.total, event))):
        assert list(counted([5, 6], "reading", "files")) == [5, 6]
        with watch_progress(lambda *_: others.append(1)), stage("reading"):
            assert is_watched()
        with watch_progress(None), stage("reading") as quiet:
            quiet.add()
    assert seen == [(0, 2, "begin"), (1, 2, "step"), (2, 2, "step"), (2, 2, "end")]
    assert others == [1, 1]
    assert not is_watched()


def test_what_a_function_raises_ends_the_work_and_its_stage():
    events = []

    def stop(_: Stage, event: str) -> None:
        events.append(event)
        if event == "step":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), watch_progress(stop), stage("reading") as now:
        now.add()
    assert events == ["begin", "step", "end"]


SLOW = """
import sys, time, types
import click
from danq.progress import stage
from danq_cli import main as cli

def probe():
    with stage("predicting", "windows", 200) as now:
        for _ in range(150):
            now.add()
            time.sleep(0.01)
    click.echo("done")

module = types.ModuleType("danq_cli.probe")
module.probe = click.command("probe")(probe)
sys.modules["danq_cli.probe"] = module
cli.COMMANDS["probe"] = ("danq_cli.probe", "Probe.")
sys.argv = ["danq", "probe", *sys.argv[1:]]
cli.main()
"""


@pytest.mark.parametrize("quiet", [False, True])
def test_a_terminal_has_a_bar_that_is_removed(quiet):
    master, slave = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", SLOW, *["--quiet"] * quiet],
        stdout=subprocess.PIPE,
        stderr=slave,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "160"},
    ) as process:
        os.close(slave)
        assert process.stdout is not None
        shown, limit = b"", time.monotonic() + 60
        while time.monotonic() < limit:
            if select.select([master], [], [], 0.1)[0]:
                try:
                    shown += os.read(master, 65536)
                except OSError:  # the terminal was closed
                    break
            elif process.poll() is not None:
                break
        assert process.stdout.read() == b"done\n"
    os.close(master)
    assert process.returncode == 0
    text = shown.decode()
    if quiet:
        assert text == ""
        return
    for part in ("predicting", "of 200 windows", "windows/s", "%", "s left"):
        assert part in text
    # The line is erased at the end.
    assert "\x1b[2K" in text[-40:]


def test_a_log_of_a_command_has_no_control_characters(tmp_path, capsys):
    out = tmp_path / "sim"
    assert run(["simulate", str(out), "--size", "60k", "--variants", "0"]) == 0
    shown = capsys.readouterr().err
    assert shown.splitlines()[-1].startswith("simulated 60,000 bases")
    assert shown.replace("\n", "").isprintable()


def bars(width: int) -> list[str]:
    """Lines of two stages on a terminal of some width."""
    folds = Timed(Stage("training folds", "folds", 3), 0.0)
    epoch = Timed(Stage("epoch 3 of 100", "batches", 200, detail="loss 0.123"), 0.0)
    epoch.stage.done = 50
    epoch.note(10.0)
    console = Console(width=width, file=io.StringIO(), color_system=None)
    with console.capture() as shown:
        console.print(table([folds, epoch], 10.0, width))
    return [line.rstrip() for line in shown.get().splitlines()]


def test_bars_fit_a_narrow_terminal():
    assert bars(40) == [
        "training folds  0%   10 s",
        "epoch 3 of 100  25%  10 s, 30 s left",
    ]
    lines = {width: bars(width)[1] for width in (60, 80, 100, 120)}
    for line in lines.values():
        assert line.startswith("epoch 3 of 100")
        assert "10 s, 30 s left" in line
        assert "…" not in line
    assert "50 of 200 batches" in lines[60]
    assert "loss 0.123" in lines[80]
    assert lines[100].count("━") < lines[120].count("━")


@pytest.mark.parametrize(("term", "expected"), [("xterm", True), ("dumb", False)])
def test_a_terminal_without_cursor_has_lines(term, expected, monkeypatch):
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(isatty=lambda: True))
    made = []
    monkeypatch.setattr(Display, "close", lambda self: made.append(self))
    with shown_progress(lambda: True):
        pass
    assert [one.bars for one in made] == [expected]


class Full:
    """A stderr on a full disk."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_stderr_that_cannot_be_written_ends_no_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", Full())
    out = tmp_path / "sim"
    words = ["simulate", str(out), "--size", "60k", "--variants", "0", "--json"]
    monkeypatch.setattr(Full, "isatty", lambda self: False, raising=False)
    assert run(words) == 0
    assert json.loads(capsys.readouterr().out)["result"]["path"] == str(out)
    assert run(words) == 2
    assert json.loads(capsys.readouterr().out)["error"]["exit_code"] == 2


def test_bars_on_a_terminal_that_was_closed_end_no_stage(display):
    class Closed:
        def show(self, *_: object) -> None:
            raise OSError(errno.EIO, "Input/output error")

        stop = show

    display.bars, display._bar = True, Closed()
    with watch_progress(display), stage("predicting"):
        display._hide()
        display._bar = Closed()
        after(display, 1.0)
        assert display.active == []


@pytest.mark.parametrize("bars", [[], [None]])
def test_a_process_that_ends_at_once_shows_the_cursor_that_bars_hid(bars, monkeypatch):
    written, codes = [], []
    monkeypatch.setattr(progress_bars, "shown", bars)
    monkeypatch.setattr(signals, "_children", list)
    monkeypatch.setattr(signals, "_remove_temporary_files", lambda: None)
    monkeypatch.setattr(os, "write", lambda _, text: written.append(text))
    monkeypatch.setattr(os, "_exit", codes.append)
    signals._end(signal.SIGTERM)
    assert written == [b"\r\x1b[K\x1b[?25h"] * len(bars) + [b"danq: terminated\n"]
    assert codes == [143]


def test_compilation_is_shown_soon_and_once(display, capsys):
    with watch_progress(display), stage("predicting"):
        for _ in range(5):
            with stage(COMPILING), stage(COMPILING):  # one kernel needs another
                after(display, 0.7)
        assert capsys.readouterr().err == f"{COMPILING}: 2 s so far\n"
        with stage(COMPILING):
            after(display, 5.0)
    assert capsys.readouterr().err == ""
