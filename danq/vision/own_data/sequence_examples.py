"""Examples from texts and time series, which stay in memory."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from danq.errors import InputError
from danq.files.text_tables import text_lines
from danq.vision.dataset import SPLITS, Dataset, Examples
from danq.vision.own_data.class_folders import read_class_folders
from danq.vision.own_data.input_settings import InputSettings
from danq.vision.own_data.records import SPLIT_NAMES, Record, Source
from danq.vision.own_data.sequence_files import (
    SERIES_SUFFIXES,
    TEXT_SUFFIXES,
    is_tagged,
    padded,
    read_series,
    read_series_archive,
    read_tagged,
    read_words,
)
from danq.vision.own_data.series_scale import FLOAT64, divisors
from danq.vision.own_data.source_check import leave_out_damaged, without_repeats
from danq.vision.own_data.splits import Splits, divided, refuse_few_classes, report_leaks
from danq.vision.own_data.table_records import read_records
from danq.vision.own_data.targets import (
    MANY,
    RARE_WORD,
    known_classes,
    make_targets,
    report_cut,
)
from danq.vision.own_data.words import encoded, vocabulary_of, words_of
from danq.vision.vocabulary import Vocabulary

LONGEST_TEXT = 512
"""Largest number of words of a text; of longer ones, the end is left out."""

LONGEST_SERIES = 4096
"""Largest number of steps of a series; of longer ones, the end is left out."""

NO_TAG = -1

log = logging.getLogger("danq")


def sequence_examples(path: Path, settings: InputSettings) -> tuple[str, Dataset]:
    """Read texts or time series as a dataset.

    Parameters
    ----------
    path
        Folders of classes with ``.txt`` files, or with series (``.csv``, ``.tsv``, ``.npy``); a
        table with the columns ``text`` or ``path``, and ``class`` or ``value``; a file with a tag
        per word, or a folder with such files ``train``, ``valid`` and ``test``; an ``.npz`` file
        of series.
    settings
        Seed of the splits, and whether damaged files are left out.

    Raises
    ------
    InputError
        When the source cannot be used.
    """
    source, series = _read(path, settings, labelled=True)
    if source.kind == "none":
        raise source.error(
            "has series without classes or values",
            "Give an .npz file with the array 'class' or 'value', or folders of classes",
        )
    for notice in source.notices:
        log.info("%s: %s", source.path, notice)
    records = list(source.records)
    digests = _digests(records, series)
    splits = divided(source, records, digests, settings.seed, source.kind in {"classes", "tags"})
    report_leaks(source, records, digests, splits)
    arrays, metadata = _fields(source, records, series, splits, None)
    whole = Examples(arrays)
    parts = {split: whole.rows(np.array(splits[split], np.int64)) for split in SPLITS}
    return f"{'text' if series is None else 'series'}-{source.kind}", Dataset(
        metadata=metadata, **parts
    )


def sequence_inputs(
    task: str, path: Path, metadata: Mapping[str, Any], settings: InputSettings, labelled: bool
) -> tuple[list[str], Examples]:
    """Read texts or time series as inputs of a model.

    Parameters
    ----------
    task, metadata
        The model.
    path
        A source of `sequence_examples`; a ``.txt`` file with one text per line; or one series.
    settings
        Whether damaged files are left out.
    labelled
        Whether the source must have what the model predicts.

    Returns
    -------
    Texts, or names of series, and the examples.

    Raises
    ------
    InputError
        When the source cannot be used.
    """
    kind = task.partition("-")[2]
    source, series = _read(path, settings, labelled=labelled, text=task.startswith("text"))
    if (series is None) != task.startswith("text") or source.kind not in {"none", kind}:
        has = f"{'texts' if series is None else 'series'} with {source.kind}"
        raise InputError(
            f"has {has}, which are not for a model of {task}",
            file=path,
            remedy="Give the sequences that the model is for",
        )
    records = list(source.records)
    arrays, _ = _fields(source, records, series, {}, metadata)
    return [record.path.replace("\t", " ") for record in records], Examples(arrays)


def _read(
    path: Path, settings: InputSettings, *, labelled: bool, text: bool = False
) -> tuple[Source, list[np.ndarray] | None]:
    """A source, and its series; None for texts."""
    suffix = path.suffix.lower()
    if path.is_dir():
        files = [one for one in path.iterdir() if one.is_file() and one.name[0] != "."]
        if any(one.stem.lower() in SPLIT_NAMES for one in files):
            return read_tagged(path), None
        suffixes = SERIES_SUFFIXES | TEXT_SUFFIXES
        source = read_class_folders(path, suffixes, "texts or series")
        return _loaded(source, settings)
    if suffix == ".npz":
        return read_series_archive(path)
    if suffix == ".npy":
        return Source(path, "none", [Record(str(path), None)]), [read_series(path)]
    if is_tagged(path):
        return read_tagged(path), None
    if suffix == ".txt" and not labelled:
        lines = [line.strip() for line in text_lines(path) if line.strip()]
        return Source(path, "none", [Record(line, None) for line in lines]), None
    if suffix in SERIES_SUFFIXES and not labelled and not text and _is_series(path):
        return Source(path, "none", [Record(str(path), None)]), [read_series(path)]
    source = read_records(path, ("class", "value"), labelled=labelled, texts=True)
    if source.text:
        return source, None
    return _loaded(source._replace(records=without_repeats(source, source.records)), settings)


def _is_series(path: Path) -> bool:
    header = text_lines(path)[0].lower()
    return "path" not in header and "text" not in header


def _loaded(source: Source, settings: InputSettings) -> tuple[Source, list[np.ndarray] | None]:
    """Read the files of a source: all are texts, or all are series."""
    texts = {record.path.lower().endswith(".txt") for record in source.records}
    if len(texts) > 1:
        raise source.error("has texts (.txt) and series", "Give one kind of files")
    found: dict[str, Any] = {}
    for record in source.records:
        try:
            if texts == {True}:
                found[record.path] = read_words(record.path)
            else:
                found[record.path] = read_series(record.path)
        except InputError as error:
            found[record.path] = error
    records = leave_out_damaged(source, found, settings, "files")
    if texts == {True}:
        records = [record._replace(path=found[record.path]) for record in records]
        return source._replace(records=records), None
    series = [found[record.path] for record in records]
    return source._replace(records=records), series


def _digests(records: Sequence[Record], series: Sequence[np.ndarray] | None) -> list[str]:
    if series is None:
        return [hashlib.sha256(record.path.encode()).hexdigest() for record in records]
    return [hashlib.sha256(np.ascontiguousarray(one).data).hexdigest() for one in series]


def _fields(
    source: Source,
    records: Sequence[Record],
    series: Sequence[np.ndarray] | None,
    splits: Splits,
    metadata: Mapping[str, Any] | None,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    if series is None:
        arrays, known = _text_fields(source, records, splits, metadata)
    else:
        arrays, known = _series_fields(source, records, series, splits, metadata)
    if source.kind not in {"tags", "none"}:
        targets = make_targets(source, records, splits, metadata)
        arrays, known = arrays | dict(targets.arrays), known | targets.metadata
    return arrays, known


def _text_fields(
    source: Source,
    records: Sequence[Record],
    splits: Splits,
    metadata: Mapping[str, Any] | None,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    tagged = source.kind == "tags"
    if tagged or (metadata is not None and metadata.get("tokens") == "given"):
        texts = [_tokens(record.path, tagged) for record in records]
    else:
        texts = [words_of(record.path) for record in records]
    for record, words in zip(records, texts, strict=True):
        if not words:
            raise source.error(f"a text has no words ('{record.path[:40]}')", "Remove it", record)
    if metadata is None:
        training = [texts[i] for i in splits["train"]]
        vocabulary = vocabulary_of(training, RARE_WORD if len(training) > MANY else 1)
        length = min(LONGEST_TEXT, max(map(len, training)))
    else:
        vocabulary, length = Vocabulary(metadata["vocabulary"]), metadata["lengths"]["words"]
    report_cut(source, "texts", [len(words) for words in texts], length)
    found: dict[str, Any] = {
        "vocabulary": list(vocabulary.words),
        "lengths": {"words": length},
        "tokens": "given" if tagged else "words",
    }
    arrays = {"words": encoded(vocabulary, texts, length)}
    if tagged:
        classes = known_classes(source, records, splits, metadata)
        if metadata is None:
            refuse_few_classes(source, classes)
        index = {name: number for number, name in enumerate(classes)}
        arrays["tags"] = np.full((len(records), length), NO_TAG, np.int64)
        for row, record in enumerate(records):
            tags = [index[name] for name in record.target][:length]
            arrays["tags"][row, : len(tags)] = tags
        found["classes"] = classes
    return arrays, found


def _tokens(text: str, tagged: bool) -> list[str]:
    words = text.split("\t") if tagged else text.split()
    kept = ["".join(one for one in word.casefold() if one.isprintable()) for word in words]
    return [word or "<unk>" for word in kept]


def _channels(count: int) -> str:
    return f"{count} channel{'s' * (count != 1)}"


def _series_fields(
    source: Source,
    records: Sequence[Record],
    series: Sequence[np.ndarray],
    splits: Splits,
    metadata: Mapping[str, Any] | None,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    channels = series[0].shape[1] if metadata is None else metadata["shape"][1]
    for record, one in zip(records, series, strict=True):
        if one.shape[1] != channels:
            raise source.error(
                f"{record.path} has {_channels(one.shape[1])}, others have {channels}",
                "Give series with the same channels",
                record,
            )
    lengths = [len(one) for one in series]
    if metadata is None:
        training = [series[i] for i in splits["train"]]
        length = min(LONGEST_SERIES, max(map(len, training)))
        steps = np.concatenate(training).astype(np.float64)
        mean, spread = steps.mean(axis=0), steps.std(axis=0)
        scale = {"mean": mean.tolist(), "std": divisors(mean, spread, FLOAT64).tolist()}
        log.info(
            "%s: %d series of %s steps and %s, scaled to mean 0 and standard "
            "deviation 1 of the training split",
            source.path,
            len(series),
            " to ".join(f"{one:,}" for one in sorted({min(lengths), max(lengths)})),
            _channels(channels),
        )
    else:
        length, scale = metadata["shape"][0], metadata["channels"]
    report_cut(source, "series", lengths, length)
    scaled = [
        ((one - np.array(scale["mean"])) / np.array(scale["std"])).astype(np.float32)
        for one in series
    ]
    values, real = padded(scaled, length)
    return {"series": values, "real": real}, {"shape": [length, channels], "channels": scale}
