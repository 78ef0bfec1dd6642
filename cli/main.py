"""The `danq` command: a table of commands, each imported only when it is called."""

from __future__ import annotations

import errno
import importlib
import logging
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click

import danq
from danq.errors import DanqError

COMMANDS: Mapping[str, tuple[str, str]] = {
    "demo": ("danq_cli.demo", "Run the whole chain on a small simulated genome."),
    "simulate": ("danq_cli.simulate", "Make a genome, peaks and variants with known truth."),
    "data": ("danq_cli.data", "Make data sets of labelled windows and look into them."),
    "train": ("danq_cli.train", "Train a model on a data set, or on a genome and peaks."),
    "evaluate": ("danq_cli.evaluate", "Measure a model on held-out windows."),
    "predict": ("danq_cli.predict", "Predict on FASTA, BED or a tiled genome."),
    "variants": ("danq_cli.variants", "Score what variants do to every track."),
    "mutate": ("danq_cli.mutate", "Change every base of a sequence and see what it does."),
    "classify-variants": (
        "danq_cli.classify_variants",
        "Tell functional variants from others by their effects.",
    ),
    "motifs": ("danq_cli.motifs", "Turn filters into motifs and name what they resemble."),
    "vision": ("danq_cli.vision", "Image, video and sequence tasks on the same core."),
    "import": (
        "danq_cli.import_weights",
        "Import weights of published or other torch models.",
    ),
    "export": ("danq_cli.export", "Export to ONNX, TorchScript or torch.export."),
    "summary": ("danq_cli.summary", "Show what a model file holds."),
}
"""Command, the module that holds it under the module's name, and its line in the help."""

# What the machine refuses is no bug of ours: no room, no right to write, too many files.
_REFUSALS = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.EMFILE,
    errno.ENAMETOOLONG,
}

EXIT_BUG, EXIT_INPUT, EXIT_INTERRUPTED, EXIT_PIPE, EXIT_TERMINATED = 1, 2, 130, 141, 143


class Terminated(KeyboardInterrupt):
    """SIGTERM came: the command ends as at Ctrl-C, and leaves no half file."""


class LazyGroup(click.Group):
    """A group whose commands are named by a table and imported when they are needed.

    Parameters
    ----------
    table
        Command name to module and short help; the module has a click command of its own name.
    """

    def __init__(self, *args: Any, table: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.table:
            return None
        module, _ = self.table[cmd_name]
        return getattr(importlib.import_module(module), module.rpartition(".")[2])

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_) for name, (_, help_) in self.table.items()])


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExample:\n  danq demo\nEvery command shows its own: danq COMMAND --help",
)
@click.version_option(danq.__version__, prog_name="danq")
def root() -> None:
    """Learn what DNA does from its sequence."""


class _Stderr(logging.Handler):
    """Notices as they are, warnings and worse with their level in front, on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        if record.levelno >= logging.WARNING:
            text = f"{record.levelname.lower()}: {text}"
        click.echo(text, err=True)


@contextmanager
def _notices() -> Iterator[None]:
    """Show what the logger "danq" says, for as long as a command runs."""
    logger = logging.getLogger("danq")
    handler, level = _Stderr(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def run(args: Sequence[str]) -> int:
    """Run one command line and say how it ended.

    Parameters
    ----------
    args
        The words after ``danq``.

    Returns
    -------
    int
        0 done; 2 something given cannot be used (message on stderr); 1 a bug (traceback on
        stderr); 130 interrupted; 141 the reader of standard output went away; 143 terminated.
    """
    try:
        with _notices(), root.make_context("danq", list(args)) as context:
            root.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return EXIT_INPUT
    except DanqError as error:
        click.echo(f"danq: {error}", err=True)
        return EXIT_INPUT
    except Terminated:
        click.echo("danq: terminated", err=True)
        return EXIT_TERMINATED
    except (KeyboardInterrupt, click.Abort):
        click.echo("danq: interrupted", err=True)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        return _leave_pipe()
    except OSError as error:
        if error.errno not in _REFUSALS:
            traceback.print_exc()
            return EXIT_BUG
        where = f": {error.filename}" if error.filename else ""
        click.echo(f"danq: {error.strerror}{where}.", err=True)
        return EXIT_INPUT
    except Exception as error:
        if _out_of_memory(error):
            told = str(error).partition("\n")[0].rstrip(".")
            click.echo(
                f"danq: the memory does not suffice: {told}. Ask for less at once.",
                err=True,
            )
            return EXIT_INPUT
        traceback.print_exc()
        return EXIT_BUG
    return 0


def _out_of_memory(error: Exception) -> bool:
    """Whether memory ran out: of numpy's, torch's CPU allocator's or a GPU's telling."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(error)
    )


def _leave_pipe() -> int:
    """Point stdout at nothing, so that Python's own flush at exit stays quiet too."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, sys.stdout.fileno())
    except (OSError, ValueError):
        pass
    finally:
        os.close(nothing)
    return EXIT_PIPE


def _terminate(number: int, frame: FrameType | None) -> None:
    # A second one must not cut the tidying short.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated


def main() -> None:
    """Entry point of the console script."""
    # Whoever started danq may have chosen to ignore it.
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminate)
    # OpenMP's threads spin for milliseconds while they wait. Where other programs want the cores
    # too, that made training steps a hundred times slower. This many turns, some 30 microseconds,
    # are as fast on an idle machine (none at all is a third slower or more). torch reads it once.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    sys.exit(run(sys.argv[1:]))
