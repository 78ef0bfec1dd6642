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
from contextlib import contextmanager, suppress
from typing import Any

import click
from click.shell_completion import CompletionItem

import danq
from danq.errors import DanqError, InputError, Stopped, first_line, printable
from danq.files.pipes import copied_pipes

from .environment import prepare
from .option_names import find_command, option_names, with_options
from .progress import shown_progress
from .show import Output, printing, shown_error, with_output_options
from .signals import EXIT_STOPPED, NAMES, exit_code, install, is_silent, received, uninstall
from .streams import write_stderr

COMMANDS: Mapping[str, tuple[str, str]] = {
    "demo": ("danq_cli.demo", "Run the full pipeline on a small simulated genome."),
    "simulate": ("danq_cli.simulate", "Simulate a genome, peaks and variants with ground truth."),
    "data": ("danq_cli.data", "Build, convert and inspect datasets of labelled windows."),
    "train": ("danq_cli.train", "Train a model on a dataset, a genome or a table."),
    "evaluate": ("danq_cli.evaluate", "Evaluate a model on held-out windows."),
    "compare": ("danq_cli.compare", "Compare two models on the same held-out windows."),
    "predict": ("danq_cli.predict", "Predict peaks or amounts of sequences and regions."),
    "variants": ("danq_cli.variants", "Predict the effect of variants on every track."),
    "benchmark-variants": (
        "danq_cli.benchmark_variants",
        "Compare predicted with measured effects of variants.",
    ),
    "mutate": ("danq_cli.mutate", "Predict the effect of every single-base substitution."),
    "marginalize": (
        "danq_cli.marginalize",
        "Compute what motifs do to the predictions of all tracks.",
    ),
    "design": ("danq_cli.design", "Design sequences by directed evolution."),
    "attribute": ("danq_cli.attribute", "Explain predictions: the contribution of each base."),
    "serve": ("danq_cli.serve", "Open a private web page and JSON API of models."),
    "merge": ("danq_cli.merge", "Write outputs from their shards."),
    "classify-variants": (
        "danq_cli.classify_variants",
        "Cross-validate a classifier of functional variants.",
    ),
    "motifs": ("danq_cli.motifs", "Find motifs in filters or attributions."),
    "report": ("danq_cli.report", "Write one web page of runs and other outputs."),
    "vision": ("danq_cli.vision", "Train and apply models of images, video, text and sound."),
    "import": (
        "danq_cli.import_weights",
        "Import weights from Keras, Selene or PyTorch.",
    ),
    "export": ("danq_cli.export", "Export to ONNX, TorchScript or torch.export."),
    "summary": ("danq_cli.summary", "Show the content of a model file."),
    "doctor": ("danq_cli.doctor", "Show versions, devices and caches; find what is slow."),
    "completion": ("danq_cli.completion", "Print a script for the Tab key of your shell."),
}
"""Command, its module (with a click command of the same name), and its line in the help."""

# Errors of the operating system that are not bugs: disk full, no permission, a folder that
# disappeared, a damaged disk, too many files.
_REFUSALS = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
    errno.ESTALE,
    errno.ENXIO,
    errno.ENODEV,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENOTEMPTY,
    errno.ETXTBSY,
}

EXIT_BUG, EXIT_INPUT, EXIT_INTERRUPTED, EXIT_PIPE = 1, 2, 130, 141


class LazyGroup(click.Group):
    """A group that imports each command when it is called.

    Parameters
    ----------
    table
        Command name to module and short help; the module has a click command of the same name.
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
        command = getattr(importlib.import_module(module), module.rpartition(".")[2])
        return with_output_options(command)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names from the table, so that completing them imports no command."""
        names = [name for name in self.table if name.startswith(incomplete)]
        items = [CompletionItem(name, help=self.table[name][1]) for name in names]
        return items + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_) for name, (_, help_) in self.table.items()])


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExample:\n  danq demo\nOptions of a command: danq COMMAND --help",
)
@click.version_option(danq.__version__, prog_name="danq")
def root() -> None:
    """Predict regulatory features from DNA sequence."""


class _Stderr(logging.Handler):
    """Writes notices to stderr, unless it is to be quiet, and warnings with their level."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self.output = output

    def emit(self, record: logging.LogRecord) -> None:
        text = _shown(printable(self.format(record)), self.output.args)
        if record.levelno >= logging.WARNING:
            self.output.warnings.append(text)
            text = f"{record.levelname.lower()}: {text}"
        elif self.output.quiet:
            return
        write_stderr(text)


@contextmanager
def _notices(output: Output) -> Iterator[None]:
    """Show the messages of the logger "danq" while a command runs."""
    logger = logging.getLogger("danq")
    handler, level = _Stderr(output), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def run(args: Sequence[str]) -> int:
    """Run one command line.

    Parameters
    ----------
    args
        Arguments after ``danq``.

    Returns
    -------
    int
        Exit code: 0 success; 1 a bug (traceback on stderr); 2 invalid input (message on stderr);
        75 stopped by SIGUSR1; 130 interrupted; 141 standard output was closed; 143 terminated.
    """
    output = Output(args)
    try:
        with printing(output):
            code = _run(args, output)
    finally:
        output.restore()
    try:
        if not is_silent():
            output.finish()
        sys.stdout.flush()
    except BrokenPipeError:
        return _leave_pipe()
    except OSError as error:
        write_stderr(f"danq: standard output: cannot be written: {error.strerror}.")
        return EXIT_INPUT
    return code


def _run(args: Sequence[str], output: Output) -> int:
    """As `run`; errors are shown on stderr, and kept in ``output``."""

    def failed(message: str, code: int, **about: str | int | None) -> int:
        write_stderr(f"danq: {message}")
        output.fail(message, code, **about)
        return code

    def hidden() -> bool:
        return output.quiet or is_silent()

    try:
        try:
            with (
                shown_progress(hidden),
                _notices(output),
                copied_pipes(),
                root.make_context("danq", list(args)) as context,
            ):
                root.invoke(context)
            if not output.json:
                sys.stdout.flush()
        except BaseException:
            # A library may have turned the interrupt into another exception.
            if received() is None:
                raise
        if (number := received()) is not None and is_silent():
            return exit_code(number)
        if number is not None:
            return failed(NAMES[signal.Signals(number)], exit_code(number))
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        if not output.json and "--json" in args:
            # The options were not read to their end.
            output.command = find_command(root, args)[0]
            output.use_json()
        with suppress(OSError):
            error.show()
        output.fail(shown_error(error), EXIT_INPUT)
        return EXIT_INPUT
    except DanqError as error:
        code = EXIT_STOPPED if isinstance(error, Stopped) else EXIT_INPUT
        if error.reported:
            return code
        return failed(_shown(str(error), args), code, **_about(error, args))
    except (KeyboardInterrupt, click.Abort):
        return failed("interrupted", EXIT_INTERRUPTED)
    except BrokenPipeError:
        return _leave_pipe()
    except OSError as error:
        if error.errno not in _REFUSALS:
            return _bug(error, output)
        where = f": {printable(str(error.filename))}" if error.filename else ""
        return failed(f"{error.strerror}{where}.", EXIT_INPUT)
    except Exception as error:
        if _out_of_memory(error):
            reason = str(error).partition("\n")[0].rstrip(".")
            return failed(f"out of memory: {reason}. Reduce the batch size.", EXIT_INPUT)
        return _bug(error, output)
    return 0


def _bug(error: Exception, output: Output) -> int:
    with suppress(OSError):
        traceback.print_exc()
    output.fail(f"{type(error).__name__}: {first_line(error)}", EXIT_BUG)
    return EXIT_BUG


def _about(error: DanqError, args: Sequence[str]) -> dict[str, str | int | None]:
    """The parts of an error about an input."""
    if not isinstance(error, InputError):
        return {}
    remedy = error.remedy and _shown(error.remedy, args)
    place = {"file": error.file, "line": error.line, "record": error.record}
    return {"problem": _shown(error.problem, args), **place, "remedy": remedy}


def _shown(text: str, args: Sequence[str]) -> str:
    return with_options(text, option_names(root, args))


def _out_of_memory(error: Exception) -> bool:
    """Whether an error of numpy, torch's CPU allocator or a GPU means out of memory."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(error)
    )


def _leave_pipe() -> int:
    """Redirect stdout to the null device, so that Python's flush at exit does not fail."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, sys.stdout.fileno())
    except (OSError, ValueError):
        pass
    finally:
        os.close(nothing)
    return EXIT_PIPE


def main() -> None:
    """Prepare the process, run its command line, and end the process."""
    prepare()
    if instruction := os.environ.get("_DANQ_COMPLETE"):
        from .completion import complete

        sys.exit(complete(instruction))
    install()
    # OpenMP threads spin for milliseconds while they wait. On a busy machine this made training
    # steps a hundred times slower. With this spin count (about 30 microseconds) steps are as fast
    # on an idle machine; without spinning they are at least a third slower. torch reads it once.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    # torch and oneDNN keep a compiled product for each of the last 1024 shapes. Variants have a new
    # shape in most blocks, so that memory grew by 400 MB over a million of them, and no faster.
    for cache in ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY"):
        os.environ.setdefault(cache, "64")
    try:
        code = run(sys.argv[1:])
        uninstall()
    except KeyboardInterrupt:
        # The signal came after the command.
        uninstall()
        code = exit_code(received() or signal.SIGINT)
    sys.exit(code)
