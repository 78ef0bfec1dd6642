"""From a user's files to a dataset, and the task that it is for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from danq.errors import InputError
from danq.vision.dataset import Dataset, Examples
from danq.vision.own_data.caption_files import read_captions
from danq.vision.own_data.class_folders import read_class_folders
from danq.vision.own_data.file_examples import file_examples, file_inputs
from danq.vision.own_data.image_files import refuse_no_pillow
from danq.vision.own_data.input_settings import InputSettings
from danq.vision.own_data.media import IMAGE, VIDEO, Media, media_of
from danq.vision.own_data.reading_requests import name_of
from danq.vision.own_data.records import Record, Source
from danq.vision.own_data.sequence_examples import sequence_examples, sequence_inputs
from danq.vision.own_data.sound_files import SOUND_SUFFIXES
from danq.vision.own_data.table_records import read_records
from danq.vision.own_data.tables import TABLES
from danq.vision.own_data.video_files import refuse_no_av

KINDS = ("images", "videos", "captions", "questions", "sequences", "audio")
"""What a source may have."""

_TARGETS = {
    "images": ("class", "labels", "value"),
    "videos": ("frames", "class"),
    "captions": ("caption",),
    "questions": ("question",),
    "audio": ("class",),
}
"""Columns of a table that give what is to be predicted."""


def own_examples(
    kind: str, source: str | Path, settings: InputSettings | None = None
) -> tuple[str, Dataset]:
    """Read a user's files as a dataset.

    Parameters
    ----------
    kind
        What the source has: one of `KINDS`.
    source
        A folder with one folder per class; or a table (CSV, TSV, JSON) with the columns ``path``
        and ``class``, ``labels``, ``value``, ``frames``, ``caption``, or ``question`` and
        ``answer``; or captions in COCO's layout. Sequences are described in `sequence_examples`.
    settings
        How files become examples.

    Returns
    -------
    Name of the task, and its dataset, whose files are read when they are needed.

    Raises
    ------
    InputError
        When the source cannot be used.
    """
    path = _existing(kind, source)
    if kind == "sequences":
        return sequence_examples(path, settings or InputSettings())
    found, media = _read(kind, path)
    if kind == "audio":
        found = _beside(found)
        return "video-sound-classes", file_examples(found, media, settings or InputSettings())
    return f"{media.name}-{found.kind}", file_examples(found, media, settings or InputSettings())


def own_inputs(
    task: str,
    source: str | Path,
    metadata: Mapping[str, Any],
    settings: InputSettings | None = None,
    *,
    labelled: bool = False,
) -> tuple[list[str], Examples]:
    """Read a user's files as inputs of a model.

    Parameters
    ----------
    task
        Name of the task.
    source
        A file; a folder of files, with or without folders of classes; or a table as that of
        `own_examples`, in which the columns of targets may be missing.
    metadata
        That of the model.
    settings
        Workers, and whether damaged files are left out.
    labelled
        Whether the source must have the targets.

    Returns
    -------
    Paths of the files of the examples, and the examples.

    Raises
    ------
    InputError
        When the source cannot be used, or its targets are not those of the model.
    """
    path = _existing("images", source)
    _check_reading(task, metadata)
    if task.startswith(("text-", "series-")):
        return sequence_inputs(task, path, metadata, settings or InputSettings(), labelled)
    kind = task.partition("-")[2]
    sounds = task == "video-sound-classes"
    kind = "classes" if sounds else kind
    media = {"image": IMAGE, "video": VIDEO}[task.partition("-")[0]]
    columns = {"classes": ("class",), "labels": ("labels",), "values": ("value",)} | {
        "frames": ("frames", "class"),
        "captions": ("caption",),
        "questions": ("question",),
    }
    _need_libraries(media)
    if path.suffix.lower() in TABLES and path.is_file():
        found = read_captions(path) if kind == "captions" else None
        found = found or read_records(path, columns[kind], labelled=labelled)
    elif labelled:
        found = read_class_folders(path, media.suffixes, media.what, media.frames)
    else:
        found = _all_files(path, media)
    if found.kind not in {"none", kind}:
        raise InputError(
            f"has {found.kind}, but the model predicts {kind}",
            file=path,
            remedy="Give the files that the model is for",
        )
    found = _beside(found) if sounds else found
    examples = file_inputs(found, media, metadata, settings or InputSettings())
    return [name_of(one) for one in examples.sources], examples


def _check_reading(task: str, metadata: Mapping[str, Any]) -> None:
    """Check that a model was trained on files, and therefore says how they are read."""
    what = task.partition("-")[0]
    known = metadata.get("lengths", {}) if what == "text" else metadata
    entry = {"text": "words", "series": "channels"}.get(what, "decoder")
    if entry not in known:
        raise InputError(
            f"the model was trained on arrays, and does not say how files are read ('{entry}')",
            remedy="Give it examples (Examples), or train it on files",
        )


def _beside(source: Source) -> Source:
    """Videos with their sounds: given ones, files beside them with the same name, or their own."""
    records = []
    beside = own = 0
    for record in source.records:
        sound = record.more
        if sound is None:
            stem = os.path.splitext(record.path)[0] if os.path.isfile(record.path) else record.path
            files = [stem + suffix for suffix in sorted(SOUND_SUFFIXES)]
            sound = next((one for one in files if os.path.isfile(one)), None)
            beside += sound is not None
        if sound is None:
            sound, own = record.path, own + 1
        records.append(record._replace(more=sound))
    notices = list(source.notices)
    if beside:
        notices.append(
            f"{beside:,} sound{'s' * (beside != 1)}: from files of the same name beside the videos"
        )
    if own:
        notices.append(f"{own:,} sound{'s' * (own != 1)}: from the videos themselves")
    return source._replace(records=records, notices=notices, sounds=True)


def _all_files(path: Path, media: Media) -> Source:
    """A file, the files of a folder, or those of its folders, without targets."""
    if path.is_file():
        return Source(path, "none", [Record(str(path), None)])
    files = sorted(one for one in path.iterdir() if one.name[0] != ".")
    if media is VIDEO and any(one.suffix.lower() in media.frames for one in files):
        return Source(path, "none", [Record(str(path), None)])
    own = [one for one in files if one.is_file() and one.suffix.lower() in media.suffixes]
    if own:
        left = sum(one.is_file() for one in files) - len(own)
        notices = [f"{left:,} files that are not {media.what} are left out"] if left else []
        return Source(path, "none", [Record(str(one), None) for one in own], notices)
    found = read_class_folders(path, media.suffixes, media.what, media.frames)
    records = [record._replace(target=None, split=None) for record in found.records]
    return found._replace(kind="none", records=records)


def _existing(kind: str, source: str | Path) -> Path:
    if kind not in KINDS:
        raise InputError(
            f"there are no own examples of '{kind}'", remedy=f"Choose one of {', '.join(KINDS)}"
        )
    path = Path(source)
    if not path.exists():
        raise InputError("no such file or folder", file=path, remedy="Check the path")
    return path


def _need_libraries(media: Media) -> None:
    refuse_no_pillow()
    if media is VIDEO:
        refuse_no_av()


def _read(kind: str, path: Path) -> tuple[Source, Media]:
    """The examples of a source, and the kind of their files."""
    if path.is_dir():
        if kind in {"captions", "questions"}:
            raise InputError(
                "is a folder", file=path, remedy=f"Give a table with the {kind} (.json, .csv, .tsv)"
            )
        media = IMAGE if kind == "images" else VIDEO
        _need_libraries(media)
        beside = SOUND_SUFFIXES if kind == "audio" else frozenset()
        found = read_class_folders(path, media.suffixes, media.what, media.frames, beside)
        return found, media
    if path.suffix.lower() not in TABLES:
        raise InputError(
            "is neither a folder nor a table (.csv, .tsv, .json)",
            file=path,
            remedy="Give a folder with one folder per class, or a table with the columns 'path' "
            f"and '{_TARGETS[kind][0]}'",
        )
    found = read_captions(path) if kind == "captions" else None
    found = found or read_records(path, _TARGETS[kind])
    if kind in {"images", "videos"}:
        media = IMAGE if kind == "images" else VIDEO
    else:
        media = media_of(found.records[0].path)
    _need_libraries(media)
    return found, media
