"""The folder of an ensemble: models whose predictions are averaged, listed in one file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from danq.errors import InputError, few
from danq.files.json_file import read_json
from danq.models.model_file import Model, load_model
from danq.models.stored_model import ENSEMBLE, RUN_MODEL
from danq.notebook_display import Display, FirstRows, display_html, display_text
from danq.output import replacing
from danq.provenance import sha256_of
from danq.typing import Location

MAGIC = "danq-ensemble"
FORMAT_VERSION = 1

_REMEDY = "Copy the folder again, or resume its training"


def write_ensemble(folder: Path, members: Sequence[str]) -> None:
    """Write the list of the models of an ensemble into their folder.

    Parameters
    ----------
    folder
        The folder.
    members
        Model files, relative to the folder, with ``/`` between folders.

    Raises
    ------
    InputError
        When a model file cannot be read, or the list cannot be written.
    """
    content = {
        "magic": MAGIC,
        "format_version": FORMAT_VERSION,
        "members": [{"file": name, "sha256": sha256_of(folder / name)} for name in members],
    }
    with replacing(folder / ENSEMBLE, overwrite=True) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def is_ensemble(path: Location) -> bool:
    """Whether a path is the folder of an ensemble, and not that of one model."""
    folder = Path(path)
    return (folder / ENSEMBLE).is_file() and not (folder / RUN_MODEL).exists()


def ensemble_members(path: Location) -> list[Path]:
    """Model files of an ensemble; the path itself if it is not the folder of an ensemble.

    Raises
    ------
    InputError
        When the list is damaged or of another format version, or a model file is missing or
        another one.
    """
    folder = Path(path)
    if not is_ensemble(folder):
        return [folder]
    file = folder / ENSEMBLE
    content = read_json(file, "the list of an ensemble", remedy=_REMEDY)
    found = []
    for name, sha256 in _listed(content, file):
        member = folder / name
        if not member.is_file():
            raise InputError(
                "is missing: it is a model of an ensemble", file=member, remedy=_REMEDY
            )
        if sha256_of(member) != sha256:
            raise InputError(f"is not the model that {ENSEMBLE} lists", file=member, remedy=_REMEDY)
        found.append(member)
    return found


class LoadedModels(tuple[Model, ...]):
    """Models of an ensemble, in the order of their file."""

    __repr__ = display_text
    _repr_html_ = display_html

    def _display(self) -> Display:
        first, count = self[0], len(self)
        table = {
            "file": [str(model.path) for model in self],
            "preset": [model.spec.preset for model in self],
            "SHA-256": [model.sha256 for model in self],
        }
        return Display(
            f"{count:,} model{'s' * (count != 1)}, {len(first.tracks):,} tracks, "
            f"window of {first.window:,} bp",
            facts={"Tracks": few(first.tracks, 8)},
            tables=[FirstRows.of("Models", table)],
        )


def load_ensemble(path: Location, **options: Any) -> LoadedModels:
    """Load all models of an ensemble.

    Parameters
    ----------
    path
        The folder of an ensemble, such as that of `danq.train_folds`; or a model file or run
        directory, which is one model.
    options
        How the models run, as for `danq.load`.

    Returns
    -------
    LoadedModels
        A tuple of models.
        Functions that take several models report the mean of their predictions.

    Raises
    ------
    InputError
        As `ensemble_members` and `danq.load`.

    Examples
    --------
    >>> models = danq.load_ensemble("runs/folds")  # doctest: +SKIP
    >>> danq.predict(models, "ACGT" * 125).to_polars()  # doctest: +SKIP
    """
    return LoadedModels(load_model(member, **options) for member in ensemble_members(path))


def _listed(content: Any, file: Path) -> list[tuple[str, str]]:
    if not isinstance(content, dict) or content.get("magic") != MAGIC:
        raise InputError("is not the list of an ensemble of danq", file=file, remedy=_REMEDY)
    version = content.get("format_version")
    if version != FORMAT_VERSION:
        raise InputError(
            f"is of format version {version}, but this danq reads version {FORMAT_VERSION}",
            file=file,
            remedy="Use the version of danq that wrote it",
        )
    try:
        members = [(one["file"], one["sha256"]) for one in content["members"]]
        inside = [_is_inside(name) and isinstance(sha256, str) for name, sha256 in members]
    except (KeyError, TypeError) as error:
        raise _damaged(file) from error
    if not members or not all(inside):
        raise _damaged(file)
    return members


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return "\0" not in name and not path.is_absolute() and ".." not in path.parts


def _damaged(file: Path) -> InputError:
    return InputError(
        "is damaged: it does not list models in its folder", file=file, remedy=_REMEDY
    )
