"""Examples from images: classes."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from danq.errors import InputError, few
from danq.vision.dataset import SPLITS, Dataset
from danq.vision.own_data.checked_files import check_image, checked, without_repeats
from danq.vision.own_data.class_folders import read_class_folders
from danq.vision.own_data.image_files import ImageFacts, common_bits, refuse_no_pillow
from danq.vision.own_data.input_settings import InputSettings
from danq.vision.own_data.records import Record, Source
from danq.vision.own_data.splits import (
    class_list,
    divided,
    refuse_few_classes,
    report_leaks,
)
from danq.vision.own_data.streamed_examples import StreamedExamples
from danq.vision.own_data.tables import TABLES, need_columns, read_table

IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif", ".webp", ".ppm", ".pgm"}
)
LONGEST_SIDE = 224
"""Largest side of images, unless a size is given."""

log = logging.getLogger("danq")


def image_examples(path: Path, settings: InputSettings) -> tuple[str, Dataset]:
    """Examples from class folders or a table of images.

    Raises
    ------
    InputError
        When they cannot be used.
    """
    refuse_no_pillow()
    source = _read_source(path)
    for notice in source.notices:
        log.info("%s: %s", source.path, notice)
    source = source._replace(records=without_repeats(source, source.records))
    records, files = checked(source, check_image, settings, "images")
    digests = [file.digest for file in files]
    splits = divided(source, records, digests, settings.seed, classes=True)
    report_leaks(source, records, digests, splits)
    classes = class_list(source, records, splits)
    refuse_few_classes(source, classes)
    training = [files[i].facts for i in splits["train"]]
    fit = settings.fit or "crop"
    decoder = {
        "kind": "image",
        "shape": image_shape(source, training, settings),
        "fit": fit,
        "bits": common_bits(max(facts.largest for facts in training)),
    }
    report_images(source, [file.facts for file in files], decoder)
    metadata = {
        "shape": decoder["shape"],
        "classes": classes,
        "normalisation": settings.normalisation,
        "decoder": decoder,
    }
    augment = [
        name
        for name, used in (
            ("crop", settings.augment and fit == "crop"),
            ("colour", settings.augment),
            ("flip", settings.flip),
        )
        if used
    ]
    index = {name: number for number, name in enumerate(classes)}
    made = {}
    for split in SPLITS:
        rows = splits[split]
        made[split] = StreamedExamples(
            {"label": np.array([index[records[i].target] for i in rows], np.int64)},
            decoder | {"augment": augment},
            [records[i].path for i in rows],
            [digests[i] for i in rows],
        )
    report_classes(source, records, splits)
    return "image-classes", Dataset(metadata=metadata, **made)


def _read_source(path: Path) -> Source:
    if path.is_dir():
        return read_class_folders(path, IMAGE_SUFFIXES, "images")
    if path.suffix.lower() not in TABLES:
        raise InputError(
            "is neither a folder nor a table (.csv, .tsv, .json)",
            file=path,
            remedy="Give a folder with one folder per class, or a table with the columns 'path' "
            "and 'class'",
        )
    ignored: list[str] = []
    table = read_table(path, ["class"], ignored=ignored)
    need_columns(table, ["path"])
    records = []
    for row in table.rows:
        name = row.text("class")
        if not name:
            raise InputError(
                "the column 'class' is empty",
                file=path,
                line=row.line,
                remedy="Give a class, or remove the row",
            )
        records.append(
            Record(table.file_of(row), name, table.split_of(row), table.group_of(row), row.line)
        )
    notices = [f"columns without a meaning are ignored: {few(ignored)}"] if ignored else []
    return Source(path, "classes", records, notices)


def image_shape(
    source: Source, facts: Sequence[ImageFacts], settings: InputSettings, most: int = LONGEST_SIDE
) -> list[int]:
    """Channels, height and width that fit the images of the training split."""
    channels = 1 if all(one.grey for one in facts) else 3
    if settings.size is not None:
        return [channels, *settings.size]
    sides = [median(one.height for one in facts), median(one.width for one in facts)]
    scale = most / max(sides)
    if scale < 1:
        # Convolutions halve a size several times.
        sides = [max(8, round(side * scale / 8) * 8) for side in sides]
    return [channels, *(max(1, round(side)) for side in sides)]


def report_images(source: Source, facts: Sequence[ImageFacts], decoder: dict[str, Any]) -> None:
    """Log what was assumed of images."""
    _, height, width = decoder["shape"]
    how = {"crop": "cropped at the edges", "stretch": "stretched", "pad": "padded"}
    sizes = {(one.height, one.width) for one in facts}
    if sizes != {(height, width)}:
        log.info(
            "%s: images are resized to %d x %d pixels (height x width) and %s where the shape "
            "differs",
            source.path,
            height,
            width,
            how[decoder["fit"]],
        )
    if transparent := sum(one.transparent for one in facts):
        log.info("%s: %d transparent images are placed on white", source.path, transparent)
    if several := sum(one.frames > 1 for one in facts):
        log.info("%s: of %d images with several frames, the first is used", source.path, several)
    if decoder["bits"] > 8:
        log.info("%s: values of up to %d bits are reduced to 8 bits", source.path, decoder["bits"])


def report_classes(source: Source, records: Sequence[Record], splits: dict[str, list[int]]) -> None:
    """Log the number of examples of each class and split."""
    counts = {s: Counter(records[i].target for i in rows) for s, rows in splits.items()}
    names = few(
        (
            f"{name} {' + '.join(str(counts[s][name]) for s in SPLITS)}"
            for name in sorted(counts["train"])
        ),
        20,
    )
    log.info("%s: examples of each class (train + valid + test): %s", source.path, names)
