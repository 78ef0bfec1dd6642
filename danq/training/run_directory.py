"""The run directory: permission to write into it, its dataset, leftovers of killed processes."""

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


def check_run_directory(directory: Path, *, resume: bool, overwrite: bool) -> None:
    """Check that a run may write into a directory.

    Raises
    ------
    InputError
        As `danq.output.check_folder`; and when the directory holds a run and neither ``resume``
        nor ``overwrite`` is set.
    """
    check_folder(
        directory,
        resume or overwrite,
        objection=_objection,
        parents=True,
        remedy="Resume that run, overwrite it, or choose another directory",
    )


def open_or_label(directory: Path, data: Mapping[str, Any], *, resume: bool) -> Dataset:
    """Open the dataset of a run, or label the windows of a genome in memory.

    Parameters
    ----------
    directory
        Run directory.
    data
        Table of `danq.training.DataSettings`, with absolute paths.
    resume
        Use the dataset in the run directory if there is one.

    Raises
    ------
    InputError
        When ``data`` names neither a dataset file nor a genome and tracks, or both; when an option
        is unknown or differs from that of the dataset to resume with; and as `Dataset.open` and
        `label_genome`.
    """
    if "file" in data:
        _check_file_alone(data)
        return Dataset.open(data["file"])
    arguments = label_arguments(data)
    if "genome" not in data or "tracks" not in data:
        raise InputError(
            "there is nothing to train on",
            remedy="Give a dataset file, or a genome and tracks",
        )
    if resume and (directory / DATASET).is_file():
        _check_same(directory, data)
        return Dataset.open(directory / DATASET)
    return label_genome(**arguments)


def prepare_run_directory(directory: Path, dataset: Path | None, *, resume: bool) -> None:
    """Empty a run directory; of a run that resumes, delete only what a killed process left.

    Parameters
    ----------
    directory
        Run directory; made if it does not exist.
    dataset
        File of the dataset, if there is one.
    resume
        Keep the run in the directory.

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
        directory.mkdir(parents=True, exist_ok=True)
        for entry in directory.iterdir():
            if resume and not is_leftover(entry):
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()


def _objection(directory: Path) -> str | None:
    is_run = (directory / CONFIG).is_file() or (directory / LAST).is_file()
    return None if is_run or all(map(is_leftover, directory.iterdir())) else "holds no run of danq"


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
