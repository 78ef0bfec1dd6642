"""Records of a run: metrics.csv, log.txt, and event files of TensorBoard if it is installed."""

from __future__ import annotations

import csv
import io
import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

from lightning.fabric.loggers import TensorBoardLogger

from danq.errors import InputError
from danq.output import replacing, write_errors
from danq.progress import Stage, stage, watch_progress
from danq.training.progress import TrainingProgress
from danq.training.recipe import BaseRecipe

METRICS = "metrics.csv"
LOG = "log.txt"
BOARD = "tensorboard"
log = logging.getLogger("danq")

_COUNTS = {"epoch", "step"}
_SPELLED = {"aupr": "AUPR", "auroc": "AUROC"}


class _LogFile(logging.FileHandler):
    """Raises when the operating system refuses to write, instead of printing a traceback."""

    def handleError(self, record: logging.LogRecord) -> None:
        with write_errors(Path(self.baseFilename)):
            raise


class RunLog:
    """Writes the records of a run; a context manager around the whole training.

    Parameters
    ----------
    directory
        Run directory.
    active
        False to write and show nothing, as in all but the first of several processes.
    unit
        What a batch consists of, in the plural.
    """

    def __init__(self, directory: Path, *, active: bool, unit: str) -> None:
        self.directory, self.active, self.unit = directory, active, unit
        self.board = _board(directory) if active else None
        self.file = _LogFile(directory / LOG, encoding="utf-8") if active else None
        self.level = log.level
        self.rate: tuple[int, float] | None = None
        self._excepthook = threading.excepthook

    def __enter__(self) -> RunLog:
        threading.excepthook = self._in_thread
        if self.file is not None:
            self.file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
            log.addHandler(self.file)
            log.setLevel(logging.INFO)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            with ExitStack() as stack:
                if self.file is not None:
                    stack.callback(self._close, self.file, error)
                if self.board is not None:
                    stack.enter_context(self._board_errors())
                    self.board.finalize("failed" if error else "success")
        except InputError:
            # The first error is reported, and usually has the same cause.
            if error is None:
                raise
        finally:
            threading.excepthook = self._excepthook

    def _close(self, file: _LogFile, error: BaseException | None) -> None:
        log.removeHandler(file)
        log.setLevel(self.level)
        with write_errors(self.directory / LOG), closing(file):
            if error is not None:
                message = str(error) or type(error).__name__
                file.emit(log.makeRecord(log.name, logging.ERROR, "", 0, message, (), None))

    @contextmanager
    def _board_errors(self) -> Iterator[None]:
        with write_errors(self.directory / BOARD):
            try:
                yield
            except ValueError as error:
                # Lightning replaces every error by this one.
                raise error.__cause__ or error from None

    def _in_thread(self, error: threading.ExceptHookArgs) -> None:
        """Ignore what TensorBoard's thread raises, because its next call raises it again."""
        if not isinstance(error.exc_value, OSError):
            self._excepthook(error)

    @contextmanager
    def epoch_stage(
        self, progress: TrainingProgress, batches: int, recipe: BaseRecipe
    ) -> Iterator[Stage]:
        """Stage of the next epoch, of so many batches."""
        name = f"epoch {progress.epoch + 1} of {recipe.epochs}"
        with (
            nullcontext() if self.active else watch_progress(None),
            stage(name, "batches", batches, progress.batch) as now,
        ):
            yield now

    def step(self, progress: TrainingProgress, now: Stage, recipe: BaseRecipe) -> None:
        """Show loss and speed; TensorBoard also gets the seconds spent waiting for data."""
        if not self.active or not progress.batch:
            return
        before = self.rate or (0, 0.0)
        self.rate = (progress.step, progress.seconds)
        seconds = max(1e-9, progress.seconds - before[1])
        speed = (progress.step - before[0]) * recipe.batch_size / seconds
        name = "valid_loss" if recipe.monitor == "epoch" else f"valid_{recipe.monitor}"
        loss = progress.loss_sum / progress.batch
        now.detail = f"{speed:,.0f} {self.unit}/s, loss {loss:.4f}"
        if progress.history:
            now.detail += f", {_spelled(name)} {progress.history[-1][name]:.4f}"
        if self.board is not None:
            values = {"train_loss": loss, f"{self.unit}_per_second": speed}
            with self._board_errors():
                self.board.log_metrics(
                    values | {"seconds_waiting": progress.seconds_waiting}, progress.step
                )

    def restore(self, progress: TrainingProgress) -> None:
        """Write metrics.csv of the finished epochs again if it is missing or was changed."""
        if not (self.active and progress.history):
            return
        path = self.directory / METRICS
        try:
            same = path.read_bytes() == _metrics_table(progress).encode()
        except OSError:
            same = False
        if not same:
            log.info("%s was missing or changed; it is written again", path)
            self._write_metrics(progress)

    def _write_metrics(self, progress: TrainingProgress) -> None:
        with replacing(self.directory / METRICS, overwrite=True) as temporary:
            temporary.write_bytes(_metrics_table(progress).encode())

    def epoch(self, progress: TrainingProgress) -> None:
        """Rewrite metrics.csv from the history, and log the metrics of the last epoch."""
        if not self.active:
            return
        self._write_metrics(progress)
        row = progress.history[-1]
        mark = "  best" if progress.best_epoch == progress.epoch else ""
        metrics = [f"{_spelled(name)} {row[name]:.4f}" for name in row if name not in _COUNTS]
        log.info(
            "epoch %d: %s, %.0f s%s", progress.epoch, ", ".join(metrics), progress.seconds, mark
        )
        if self.board is not None:
            valid = {name: value for name, value in row.items() if name.startswith("valid")}
            with self._board_errors():
                self.board.log_metrics(valid, progress.step)


def _board(directory: Path) -> TensorBoardLogger | None:
    """Writer of event files; None if TensorBoard is not installed."""
    if find_spec("tensorboard") is None:
        return None
    return TensorBoardLogger(directory, name=BOARD, version="")


def _metrics_table(progress: TrainingProgress) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(progress.history[0]))
    writer.writeheader()
    for row in progress.history:
        writer.writerow({name: f"{value:.6g}" for name, value in row.items()})
    return text.getvalue()


def _spelled(name: str) -> str:
    """Text for a column of metrics.csv: "valid AUPR" for ``valid_aupr``."""
    return " ".join(_SPELLED.get(word, word) for word in name.split("_"))
