"""The run folder: whether it may be written, its data set, and what a killed process left."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from danq.datasets.build import label_genome
from danq.datasets.dataset import Dataset
from danq.datasets.label_options import label_arguments
from danq.errors import InputError
from danq.output import check_folder, is_leftover, write_errors
from danq.training.checkpoint import LAST
from danq.training.config import CONFIG, read_config

DATASET = "dataset.h5"


def check_run_folder(folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Refuse a place where a run may not or cannot be written.

    Raises
    ------
    InputError
        As `danq.output.check_folder`; a run that lies there needs ``resume`` or ``overwrite``.
    """
    check_folder(
        folder,
        resume or overwrite,
        objection=_objection,
        parents=True,
        remedy="Go on with that run (--resume) or replace it (--overwrite), or choose another "
        "folder",
    )


def find_windows(folder: Path, given: Mapping[str, Any], *, resume: bool) -> Dataset:
    """The data set that a run is to train on; one that is labelled anew is not yet written.

    Parameters
    ----------
    folder
        Run folder.
    given
        As `danq.training.config.placed` gives it.
    resume
        Take the data set that lies in the run folder.

    Raises
    ------
    InputError
        When nothing or two things to train on were given, an option is not known or differs from
        that of the data set to resume with, and as `Dataset.open` and `label_genome`.
    """
    if "file" in given:
        _check_file_alone(given)
        return Dataset.open(given["file"])
    arguments = label_arguments(given)
    if "genome" not in given or "tracks" not in given:
        raise InputError(
            "there is nothing to train on",
            remedy="Give a dataset file, or a genome and tracks",
        )
    if resume and (folder / DATASET).is_file():
        _check_same(folder, given)
        return Dataset.open(folder / DATASET)
    return label_genome(**arguments)


def prepare_run_folder(folder: Path, path: Path | None, *, resume: bool) -> None:
    """Make the folder empty, or take out of a run that goes on what a killed process left.

    Parameters
    ----------
    folder
        Run folder.
    path
        Where the data set lies, if it lies anywhere.
    resume
        Go on with the run that lies there.

    Raises
    ------
    InputError
        When the data set lies in a folder that is to be emptied, or the system refuses.
    """
    if not resume and path is not None and folder.resolve() in path.resolve().parents:
        raise InputError(
            f"lies in the run folder {folder}, which would be emptied",
            file=path,
            remedy="Move it, or choose another run folder",
        )
    with write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for entry in folder.iterdir():
            if resume and not is_leftover(entry):
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()


def _objection(folder: Path) -> str | None:
    ours = (folder / CONFIG).is_file() or (folder / LAST).is_file()
    return None if ours or all(map(is_leftover, folder.iterdir())) else "holds no run of danq"


def _check_file_alone(given: Mapping[str, Any]) -> None:
    for name in given:
        if name != "file":
            raise InputError(
                f"a dataset file was given, but so was '{name}', an option to build a dataset",
                file=given["file"],
                remedy="Leave one of the two out",
            )


def _check_same(folder: Path, given: Mapping[str, Any]) -> None:
    """Refuse options that the data set in the run folder was not built with."""
    built = read_config(folder / CONFIG).data if (folder / CONFIG).is_file() else given
    for name in {**built, **given}:
        if built.get(name) != given.get(name):
            raise InputError(
                f"was built with {name} = {built.get(name)}, not {given.get(name)}",
                file=folder / DATASET,
                remedy="Resume with the options of that run (see its config.toml), or overwrite it",
            )
