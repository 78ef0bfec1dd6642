"""Read captions in the layout of COCO."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from danq.errors import InputError
from danq.files.json_file import read_json
from danq.vision.own_data.records import Record, Source

_REMEDY = "Give COCO's layout, or a list of objects with the entries 'path' and 'caption'"


def read_captions(path: Path) -> Source | None:
    """Read captions in COCO's layout; None if the file has another one.

    The layout is an object with ``images`` (``id``, ``file_name``) and ``annotations``
    (``image_id``, ``caption``). Images are looked for in the folder of the file, in a folder
    ``images``, in the folder above and in the folder that the name of the file ends with, such as
    ``train2017`` of ``captions_train2017.json``.

    Raises
    ------
    InputError
        When an entry is missing or unsuitable.
    """
    if path.suffix.lower() != ".json":
        return None
    content = read_json(path, "a table of captions", remedy=_REMEDY)
    if not isinstance(content, dict):
        return None
    images, annotations = content.get("images"), content.get("annotations")
    if not (isinstance(images, list) and isinstance(annotations, list) and images and annotations):
        raise InputError(
            "is JSON without the lists 'images' and 'annotations'", file=path, remedy=_REMEDY
        )
    names = {_entry(path, one, "id"): str(_entry(path, one, "file_name")) for one in images}
    folder = _folder_of(path, next(iter(names.values())))
    records = []
    for one in annotations:
        key, caption = _entry(path, one, "image_id"), str(_entry(path, one, "caption")).strip()
        if key not in names:
            raise InputError(
                f"a caption is for the image {key!r}, which is not in 'images'",
                file=path,
                remedy="Add the image, or remove the caption",
            )
        if not caption:
            raise InputError(
                f"an empty caption is given for the image {key!r}", file=path, remedy="Remove it"
            )
        records.append(Record(os.path.normpath(folder / names[key]), caption))
    without = len(names) - len({one["image_id"] for one in annotations})
    notices = [] if folder == path.parent else [f"images are in {folder}"]
    if without:
        notices.append(f"{without:,} images without a caption are left out")
    return Source(path, "captions", records, notices)


def _entry(path: Path, one: Any, name: str) -> Any:
    if not isinstance(one, dict) or not isinstance(one.get(name), str | int):
        raise InputError(f"an entry has no '{name}'", file=path, remedy=_REMEDY)
    return one[name]


def _folder_of(path: Path, name: str) -> Path:
    """Folder of the images of a file in COCO's layout."""
    end = path.stem.rpartition("_")[2]
    here, above = path.parent, path.parent.parent
    places = [here, here / "images", here / end, above, above / "images", above / end]
    places.append(above / "images" / end)
    for folder in places:
        if (folder / name).is_file():
            return folder
    return here
