"""The run directory: permission to write into it, its dataset, leftovers of killed processes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from danq.datasets.build import label_genome
from danq.datasets.build_sequences import read_sequences, sequence_arguments
from danq.datasets.dataset import Dataset
from danq.datasets.label_options import label_arguments
from danq.errors import InputError
from danq.file_lock import FileLock
from danq.models.stored_model import FOLDS, RUN_MODEL
from danq.output import (
    MARKER,
    check_folder,
    is_leftover,
    mark_folder,
    marked,
    read_marker,
    remove_marked,
    write_errors,
)
from danq.training.checkpoint import LAST
from danq.training.config import CONFIG, read_config

DATASET = "dataset.h5"
LOCK = ".danq.lock"
KIND = "training run"
FILES = (
    LOCK,
    CONFIG,
    DATASET,
    LAST,
    RUN_MODEL,
    "initial_motifs.meme",
    "log.txt",
    "metrics.csv",
    "pretrained.json",
    "test.tsv",
    "training_files.json",
    "tensorboard/events.out.tfevents.*",
)
"""Files that a training writes."""

_NO_RUN = f"holds no run of danq (no valid {MARKER})"


def check_run_directory(
    directory: Path, *, resume: bool, overwrite: bool, kind: str = KIND
) -> None:
    """Check that a run may write into a directory; ``kind`` as in its marker.

    Raises
    ------
    InputError
        As `danq.output.check_folder`; when the directory is not that of a training run; when it
        holds a run and neither ``resume`` nor ``overwrite`` is set; or when it would be emptied and
        contains a file that danq did not write.
    """
    unused = directory.is_dir() and not _content(directory)
    check_folder(
        directory,
        resume or overwrite or unused,
        objection=partial(_objection_to_resume if resume else _objection, kind),
        parents=True,
        remedy="Resume that run, overwrite it, or choose another directory",
    )


def is_run(directory: Path, kind: str = KIND) -> bool:
    """Whether a training wrote this directory; ``kind`` as in its marker."""
    content = read_marker(directory)
    return content is not None and content["kind"] == kind


def lock_run_directory(directory: Path) -> FileLock:
    """Lock a run directory, which is made if it does not exist.

    Raises
    ------
    InputError
        When another process is training in it, or the system refuses.
    """
    with write_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
        return FileLock(directory / LOCK, directory)


def unlock_run_directory(directory: Path, lock: FileLock) -> None:
    """Free the lock of a run directory."""
    # Deleted while it is locked: a process that waits for this file sees that it is gone.
    with suppress(OSError):
        (directory / LOCK).unlink()
    lock.close()


def open_or_label(
    directory: Path,
    data: Mapping[str, Any],
    *,
    resume: bool,
    label: Callable[..., Dataset] = label_genome,
) -> Dataset:
    """Open the dataset of a run, or label the windows of a genome in memory.

    Parameters
    ----------
    directory
        Run directory.
    data
        Table of `danq.training.DataSettings`, with absolute paths.
    resume
        Use the dataset in the run directory if there is one.
    label
        Labels the windows.

    Raises
    ------
    InputError
        When ``data`` names neither a dataset file, nor a genome and tracks or signals, nor a table
        of sequences, or several of them; when an option is unknown or differs from that of the
        dataset to resume with; and as `Dataset.open`, `label_genome` and `read_sequences`.
    """
    if "file" in data:
        _check_file_alone(data)
        return Dataset.open(data["file"])
    tables = "sequences" in data
    arguments = sequence_arguments(data) if tables else label_arguments(data)
    if not tables and ("genome" not in data or not {"tracks", "signal"} & {*data}):
        needed = "a dataset file, a genome with tracks or signals, or a table of sequences"
        if resume:
            raise InputError(
                "there is no run to resume, and nothing to train on",
                file=directory,
                remedy=f"Check the name of the run, or give {needed} to start one",
            )
        raise InputError(
            "there is nothing to train on",
            remedy=f"Give {needed}",
        )
    if resume and (directory / DATASET).is_file():
        _check_same(directory, data)
        return Dataset.open(directory / DATASET)
    if tables:
        return read_sequences(**arguments)
    return label(**{"tracks": None, **arguments})


def prepare_run_directory(
    directory: Path,
    dataset: Path | None,
    *,
    resume: bool,
    kind: str = KIND,
    files: Sequence[str] = FILES,
) -> None:
    """Empty a run directory that is locked; of a run that resumes, delete only leftovers.

    Parameters
    ----------
    directory
        Run directory, which `check_run_directory` accepted.
    dataset
        File of the dataset, if there is one.
    resume
        Keep the run in the directory.
    kind, files
        What the directory is, and files that are written into it, for its marker.

    Raises
    ------
    InputError
        When the dataset is stored in a directory that would be emptied, or the system refuses.
    """
    if not resume and dataset is not None and directory.resolve() in dataset.resolve().parents:
        raise InputError(
            f"is stored in the run directory {directory}, which would be emptied",
            file=dataset,
            remedy="Move it, or choose another run directory",
        )
    with write_errors(directory):
        for entry in sorted(directory.iterdir(), key=_deletion_order):
            # The marker stays, so that an interrupted deletion can be continued.
            if entry.name not in (LOCK, MARKER) and (is_leftover(entry) or not resume):
                _delete(entry)
        if not (resume and is_run(directory, kind)):
            mark_folder(directory, kind, files)


def _deletion_order(entry: Path) -> tuple[bool, bool]:
    """What runs resume from goes first, so that nothing resumes a run that is partly deleted."""
    return entry.name not in (LAST, FOLDS), entry.name != CONFIG


def _delete(entry: Path) -> None:
    if not entry.is_dir() or entry.is_symlink():
        entry.unlink()
    elif read_marker(entry) is not None:
        remove_marked(entry)
    else:
        shutil.rmtree(entry)


def _content(directory: Path) -> list[Path]:
    """What is in a directory, except what a process left that was killed before it began."""
    return [one for one in directory.iterdir() if one.name != LOCK and not is_leftover(one)]


def _objection(kind: str, directory: Path) -> str | None:
    if not _content(directory):
        return None
    return _NO_RUN if read_marker(directory) is None else marked(kind)(directory)


def _objection_to_resume(kind: str, directory: Path) -> str | None:
    return None if is_run(directory, kind) else _objection(kind, directory)


def _check_file_alone(data: Mapping[str, Any]) -> None:
    for name in data:
        if name != "file":
            raise InputError(
                f"a dataset file was given, but so was '{name}', an option to build a dataset",
                file=data["file"],
                remedy="Leave one of the two out",
            )


def _check_same(directory: Path, data: Mapping[str, Any]) -> None:
    """Refuse options that differ from those of the dataset in the run directory."""
    config = directory / CONFIG
    built = read_config(config).data.table if config.is_file() else data
    for name in {**built, **data}:
        if built.get(name) != data.get(name):
            raise InputError(
                f"was built with {name} = {built.get(name)}, not {data.get(name)}",
                file=directory / DATASET,
                remedy="Resume with the options of that run (see its config.toml), or overwrite it",
            )
