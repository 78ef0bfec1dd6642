"""The directory of a training in folds: its lock, its settings, and what a resumed run shares."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from danq._version import __version__
from danq.datasets.dataset import Dataset
from danq.datasets.fold_groups import FoldGroups
from danq.errors import InputError
from danq.file_lock import FileLock
from danq.files.inputs_in_use import check_unchanged, note_own_folder
from danq.files.json_file import read_json
from danq.inference.writers.tsv import write_table
from danq.models.stored_model import ENSEMBLE, FOLDS
from danq.output import refuse_input_within, replacing
from danq.provenance import Inputs, Provenance, settings_of
from danq.training.config import CONFIG, RunConfig, write_config
from danq.training.run_directory import (
    DATASET,
    LOCK,
    check_run_directory,
    is_run,
    lock_run_directory,
    prepare_run_directory,
    unlock_run_directory,
)

KIND = "training in folds"
GROUPS = "groups.tsv"
OUT_OF_FOLD = "out_of_fold.parquet"
EVALUATION = "evaluation"
HELD_OUT_EVALUATION = "held_out_evaluation"
FILES = (LOCK, CONFIG, DATASET, FOLDS, ENSEMBLE, GROUPS, OUT_OF_FOLD, f"fold*/{LOCK}")
"""Files of the directory, in addition to folders that have a marker."""

MAGIC = "danq-folds"
FORMAT_VERSION = 1

_AGAIN = "Resume with the data and settings of that run (see its config.toml), or overwrite it"


def fold_name(fold: int) -> str:
    """Name of the run directory of a fold, from 0."""
    return f"fold{fold + 1}"


class FoldsDirectory:
    """The directory of a training in folds: a context manager that locks it.

    Parameters
    ----------
    directory
        The directory.
    resume
        Continue the training in it, if there is one.
    overwrite
        Replace a training in folds that exists.

    Raises
    ------
    InputError
        When the directory may not be written, or another process is training in it.
    """

    def __init__(self, directory: Path, *, resume: bool, overwrite: bool) -> None:
        self.path, self._resume, self._overwrite = directory, resume, overwrite
        self._lock: FileLock | None = None
        self._check()
        if is_run(directory, KIND):
            self._lock = lock_run_directory(directory)
        # Without its record, what is in the directory may be of other data.
        self.resuming = resume and (directory / FOLDS).is_file()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            unlock_run_directory(self.path, self._lock)

    def prepare(self, settings: RunConfig, data: Mapping[str, Any], groups: FoldGroups) -> Dataset:
        """Prepare the directory; write what describes the training unless one is resumed.

        To be called once all inputs are known to be valid: the directory may be emptied.

        Parameters
        ----------
        settings
            All settings, resolved.
        data
            Table of the data.
        groups
            Groups of the windows.

        Returns
        -------
        Dataset
            The dataset, stored in the directory if it was built.

        Raises
        ------
        InputError
            When the training to resume had other data or settings, an input changed while it was
            read, the dataset is in the directory and would be deleted, or the system cannot write.
        """
        dataset = groups.dataset
        identity = _identity(settings, groups)
        check_unchanged()
        if self.resuming:
            self._check_same(identity)
        if self._lock is None:
            self._lock = lock_run_directory(self.path)
            # Another process may have trained in it meanwhile.
            self._check()
        if not self._resume:
            refuse_input_within(self.path)
        prepare_run_directory(self.path, dataset.path, resume=self.resuming, kind=KIND, files=FILES)
        note_own_folder(self.path)
        if self.resuming:
            return dataset
        tables = {
            "data": data,
            "folds": settings.folds.given(),
            "model": settings.model.table,
            "recipe": settings.recipe.given(),
            "run": settings.run.model_dump(exclude_none=True),
        }
        write_config(self.path, tables, dataset.sha256)
        if dataset.path is None and {"genome", "sequences"} & {*data}:
            dataset.save(self.path / DATASET)
            dataset = Dataset.open(self.path / DATASET)
        with replacing(self.path / GROUPS, overwrite=True) as temporary:
            write_table(temporary, groups.units, _about_groups(groups))
        record = {"magic": MAGIC, "format_version": FORMAT_VERSION, **identity.identity()}
        with replacing(self.path / FOLDS, overwrite=True) as temporary:
            temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        return dataset

    def _check(self) -> None:
        check_run_directory(self.path, resume=self._resume, overwrite=self._overwrite, kind=KIND)

    def _check_same(self, identity: Provenance) -> None:
        file = self.path / FOLDS
        remedy = "Overwrite the training, or choose another run directory"
        content = read_json(file, "the record of a training in folds", remedy=remedy)
        if not isinstance(content, dict) or content.get("magic") != MAGIC:
            raise InputError("is not the record of a training in folds", file=file, remedy=remedy)
        if content.get("format_version") != FORMAT_VERSION:
            raise InputError(
                f"is of format version {content.get('format_version')}, but this danq reads "
                f"version {FORMAT_VERSION}",
                file=file,
                remedy=remedy,
            )
        try:
            difference = identity.difference(content)
        except (AttributeError, KeyError, TypeError) as error:
            raise InputError("is damaged", file=file, remedy=remedy) from error
        if difference is not None:
            raise InputError(difference, file=self.path, remedy=_AGAIN)


def _identity(settings: RunConfig, groups: FoldGroups) -> Provenance:
    """What a resumed training must share; each fold checks its own run, too."""
    dataset, run = groups.dataset, settings.run
    about = settings_of(
        folds={"number": groups.number, "of": groups.kind, "held out": groups.hold_out},
        model=settings.model.table,
        recipe=settings.recipe.model_dump(exclude={"base"}),
        run={"seed": run.seed, "precision": run.precision},
    )
    name = str(dataset.path or "the dataset")
    inputs = {"dataset": Inputs((name,), (dataset.sha256,))}
    return Provenance(settings={"danq": __version__, **about}, inputs=inputs)


def _about_groups(groups: FoldGroups) -> dict[str, str]:
    what = {
        "contigs": "contigs",
        "folds": "folds of the dataset",
        "blocks": "blocks of neighbouring windows",
        "sequences": "random sequences; copies of a sequence, on either strand, are in one group",
    }
    return {
        "danq": __version__,
        "dataset": f"sha256:{groups.dataset.sha256}",
        "groups": f"{groups.number} groups of {what[groups.kind]}",
        "folds": f"in fold i of {groups.number}, group i tests, the next group validates, and all "
        "others train",
    }
