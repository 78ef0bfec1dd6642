"""What is to be predicted, as arrays, and what a model has to know of it."""

from __future__ import annotations

import json
import logging
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from danq.errors import few
from danq.vision.own_data.records import Record, Source
from danq.vision.own_data.splits import SPLITS, Splits, class_list, classes_of, refuse_few_classes
from danq.vision.own_data.words import encoded, vocabulary_of, words_of
from danq.vision.vocabulary import Vocabulary

LONGEST_CAPTION = 64
LONGEST_QUESTION = 64
"""Largest number of words of captions and questions; of longer ones, the end is left out."""

RARE_WORD = 2
"""Least number of times that captions have a word of the vocabulary, if there are many."""

MOST_ANSWERS = 3000

MANY = 1000

log = logging.getLogger("danq")


class Targets(NamedTuple):
    """Fields of all examples, and metadata.

    Attributes
    ----------
    arrays
        Arrays of one row per example.
    metadata
        Classes, vocabularies, names, lengths.
    """

    arrays: Mapping[str, np.ndarray]
    metadata: dict[str, Any]


def make_targets(
    source: Source, records: Sequence[Record], splits: Splits, metadata: Mapping[str, Any] | None
) -> Targets:
    """Make the targets of a source of any kind.

    Parameters
    ----------
    source
        Gives the kind.
    records
        The examples.
    splits
        Indices of the examples of each split.
    metadata
        That of a model, whose classes, names and vocabularies are used; None takes them from the
        training split.

    Raises
    ------
    InputError
        When targets cannot be used.
    """
    return _MAKERS[source.kind](source, records, splits, metadata)


def _classes(
    source: Source, records: Sequence[Record], splits: Splits, metadata: Mapping[str, Any] | None
) -> Targets:
    classes = known_classes(source, records, splits, metadata)
    index = {name: number for number, name in enumerate(classes)}
    label = np.array([index[record.target] for record in records], np.int64)
    if metadata is None:
        refuse_few_classes(source, classes)
        _report_classes(source, records, splits)
    return Targets({"label": label}, {"classes": classes})


def _labels(
    source: Source, records: Sequence[Record], splits: Splits, metadata: Mapping[str, Any] | None
) -> Targets:
    classes = known_classes(source, records, splits, metadata)
    index = {name: number for number, name in enumerate(classes)}
    labels = np.zeros((len(records), len(classes)), bool)
    for row, record in enumerate(records):
        labels[row, [index[name] for name in record.target]] = True
    if metadata is None:
        _report_classes(source, records, splits)
    return Targets({"labels": labels}, {"classes": classes})


def _frames(
    source: Source, records: Sequence[Record], splits: Splits, metadata: Mapping[str, Any] | None
) -> Targets:
    classes = known_classes(source, records, splits, metadata)
    if metadata is None:
        refuse_few_classes(source, classes)
        _report_classes(source, records, splits)
    return Targets({}, {"classes": classes})


def _values(
    source: Source, records: Sequence[Record], splits: Splits, metadata: Mapping[str, Any] | None
) -> Targets:
    values = np.array([record.target for record in records], np.float32)
    names = list(source.names)
    if metadata is not None:
        if sorted(names) != sorted(metadata["names"]):
            raise source.error(
                f"has the values {few(names)}; the model has {few(metadata['names'])}",
                "Give a column for each value of the model",
            )
        order = [names.index(name) for name in metadata["names"]]
        return Targets({"values": values[:, order]}, {"names": metadata["names"]})
    training = values[splits["train"]]
    for name, column in zip(names, training.T, strict=True):
        known = column[~np.isnan(column)]
        if not len(known):
            raise source.error(
                f"no training example has a value '{name}'", "Remove the column, or give values"
            )
        log.info(
            "%s: %s: %d of %d training examples have a value; mean %.4g, from %.4g to %.4g",
            source.path,
            f"value '{name}'",
            len(known),
            len(column),
            known.mean(),
            known.min(),
            known.max(),
        )
    return Targets({"values": values}, {"names": names, "scale": _scale(training)})


def _scale(values: np.ndarray) -> dict[str, list[float]]:
    """Mean and standard deviation of each column, without missing values."""
    spread = np.nanstd(values, axis=0)
    return {
        "mean": [float(x) for x in np.nanmean(values, axis=0)],
        "std": [float(x) if x > 0 else 1.0 for x in spread],
    }


def _captions(
    source: Source, records: Sequence[Record], splits: Splits, metadata: Mapping[str, Any] | None
) -> Targets:
    texts = [words_of(record.target) for record in records]
    if metadata is None:
        training = [texts[i] for i in splits["train"]]
        vocabulary = vocabulary_of(training, RARE_WORD if len(training) > MANY else 1)
        # The start and end symbols are part of the length.
        length = 2 + min(LONGEST_CAPTION, max(map(len, training)))
    else:
        vocabulary = Vocabulary(metadata["vocabulary"])
        length = metadata["lengths"]["caption"]
    report_cut(source, "captions", [len(words) for words in texts], length - 2)
    references: dict[tuple[str, str], list[str]] = defaultdict(list)
    where = {i: split for split, rows in splits.items() for i in rows}
    for i, record in enumerate(records):
        references[where.get(i, ""), record.path].append(" ".join(texts[i]))
    told = [
        json.dumps(references[where.get(i, ""), record.path], ensure_ascii=False)
        for i, record in enumerate(records)
    ]
    if metadata is None:
        log.info(
            "%s: captions of %s examples (train + valid + test) of %d files; %d words, at most %d "
            "per caption",
            source.path,
            " + ".join(f"{len(splits[s]):,}" for s in SPLITS),
            len({record.path for record in records}),
            len(vocabulary),
            length - 2,
        )
    return Targets(
        {"caption": encoded(vocabulary, texts, length, ends=True), "references": np.array(told)},
        {"vocabulary": list(vocabulary.words), "lengths": {"caption": length}},
    )


def _questions(
    source: Source, records: Sequence[Record], splits: Splits, metadata: Mapping[str, Any] | None
) -> Targets:
    questions = [words_of(record.more) for record in records]
    answers = [None if record.target is None else _answer(record.target) for record in records]
    if metadata is None:
        training = [questions[i] for i in splits["train"]]
        vocabulary = vocabulary_of(training)
        length = min(LONGEST_QUESTION, max(map(len, training)))
        counts = Counter(answers[i] for i in splits["train"])
        ordered = sorted(counts.items(), key=lambda one: (-one[1], str(one[0])))
        known = sorted(str(name) for name, _ in ordered[:MOST_ANSWERS])
        if len(known) < 2:
            raise source.error(
                f"all training examples have the answer '{known[0]}'",
                "Give examples of at least two answers",
            )
        _report_answers(source, answers, splits, known)
    else:
        vocabulary, known = Vocabulary(metadata["vocabulary"]), list(metadata["answers"])
        length = metadata["lengths"]["question"]
    report_cut(source, "questions", [len(words) for words in questions], length)
    index = {name: number for number, name in enumerate(known)}
    arrays = {"question": encoded(vocabulary, questions, length)}
    if any(answer is not None for answer in answers):
        arrays["answer"] = np.array([index.get(str(one), -1) for one in answers], np.int64)
    found = {
        "vocabulary": list(vocabulary.words),
        "answers": known,
        "lengths": {"question": length},
    }
    return Targets(arrays, found)


def _answer(text: str) -> str:
    """An answer in lower case, without characters that cannot be printed."""
    kept = "".join(one if one.isprintable() else " " for one in text)
    return " ".join(kept.split()).casefold()


def _report_answers(
    source: Source, answers: Sequence[str | None], splits: Splits, known: Sequence[str]
) -> None:
    names = set(known)
    unknown = {s: sum(answers[i] not in names for i in splits[s]) for s in SPLITS}
    log.info(
        "%s: %s questions (train + valid + test) with %d answers; no answer of the training split "
        "for %s of them, which count as wrong",
        source.path,
        " + ".join(f"{len(splits[s]):,}" for s in SPLITS),
        len(known),
        " + ".join(str(unknown[s]) for s in SPLITS),
    )


def report_cut(source: Source, what: str, lengths: Sequence[int], most: int) -> None:
    """Warn of texts or series that are longer than a model takes."""
    longer = sum(length > most for length in lengths)
    if longer:
        log.warning(
            "%s: of %d %s that are longer than %d, the end is left out",
            source.path,
            longer,
            what,
            most,
        )


def known_classes(
    source: Source,
    records: Sequence[Record],
    splits: Splits,
    metadata: Mapping[str, Any] | None,
) -> list[str]:
    """Classes of the training split, or those of a model.

    Raises
    ------
    InputError
        As `class_list`; when an example has a class that the model has not.
    """
    if metadata is None:
        return class_list(source, records, splits)
    classes = list(metadata["classes"])
    known = set(classes)
    for record in records:
        for name in classes_of(record):
            if name not in known:
                raise source.error(
                    f"the model has no class '{name}'; it has {few(classes, 8)}",
                    "Give examples of the classes of the model",
                    record,
                )
    return classes


def _report_classes(source: Source, records: Sequence[Record], splits: Splits) -> None:
    """Log the number of examples of each class and split."""
    counts = {
        split: Counter(name for i in rows for name in classes_of(records[i]))
        for split, rows in splits.items()
    }
    names = few(
        (
            f"{name} {' + '.join(str(counts[s][name]) for s in SPLITS)}"
            for name in sorted(counts["train"])
        ),
        20,
    )
    log.info("%s: examples of each class (train + valid + test): %s", source.path, names)


_MAKERS = {
    "classes": _classes,
    "labels": _labels,
    "frames": _frames,
    "values": _values,
    "captions": _captions,
    "questions": _questions,
}
