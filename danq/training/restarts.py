"""Trainings that are started again: by torchrun, by SLURM, or to resume."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from danq.files.text_tables import text_lines
from danq.training.config import CONFIG, LAUNCH, RunConfig, RunSettings, read_config
from danq.training.launches import launch_marks, was_restarted
from danq.training.process_layout import started_layout

log = logging.getLogger("danq")


def continued(directory: Path, resume: bool, overwrite: bool) -> tuple[bool, bool]:
    """Whether to resume and to overwrite: one that was started again resumes a run that it began.

    A run that was there before its first attempt is treated as in that attempt.
    """
    if not was_restarted() or not (resume or _began(directory)):
        return resume, overwrite
    if not resume:
        log.info("started again after an earlier attempt: the training resumes")
    return True, False


def _began(directory: Path) -> bool:
    """Whether an earlier attempt of this process began the run in a directory."""
    file = directory / CONFIG
    marks = {f"{LAUNCH}{mark}" for mark in launch_marks()}
    return file.is_file() and not marks.isdisjoint(text_lines(file))


def stored_config(directory: Path) -> RunConfig | None:
    """Configuration of a run to resume; None if it has none.

    Where processes were started already, their number replaces that of the run.

    Raises
    ------
    InputError
        When it cannot be read.
    """
    file = directory / CONFIG
    if not file.is_file():
        return None
    config = read_config(file)
    if started_layout() is None:
        return config
    given = config.run.given()
    kept = {name: value for name, value in given.items() if name not in ("devices", "nodes")}
    return replace(config, run=RunSettings(**kept))
