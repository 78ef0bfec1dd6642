"""Trainings that are started again: by torchrun, by SLURM, or to resume."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from danq.training.config import CONFIG, RunConfig, RunSettings, read_config
from danq.training.process_layout import started_layout, was_restarted

log = logging.getLogger("danq")


def continued(resume: bool, overwrite: bool) -> tuple[bool, bool]:
    """Whether to resume and to overwrite: one that was started again resumes what it began."""
    if not was_restarted():
        return resume, overwrite
    if not resume:
        log.info("started again after an earlier attempt: the training resumes")
    return True, False


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
