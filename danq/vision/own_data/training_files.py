"""Checksums of the examples of a training, which show whether others were part of it."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from danq.errors import InputError
from danq.files.json_file import read_json
from danq.output import replacing
from danq.vision.dataset import Dataset, Examples
from danq.vision.own_data.streamed_examples import StreamedExamples

TRAINING_FILES = "training_files.json"
"""File of a run directory with the checksums of training and validation examples."""

MOST = 1_500_000
"""Largest number of examples whose checksums are written."""

_SPLITS = {"train": "training", "valid": "validation"}

log = logging.getLogger("danq")


def input_digests(examples: Examples, inputs: Sequence[str]) -> list[str]:
    """Checksum of each example: of its files, or of its inputs in memory.

    Parameters
    ----------
    examples
        The examples.
    inputs
        Fields that a model reads.
    """
    if isinstance(examples, StreamedExamples):
        return examples.digests
    arrays = [np.ascontiguousarray(examples[name]) for name in inputs]
    return [
        hashlib.sha256(b"".join(array[i].tobytes() for array in arrays)).hexdigest()
        for i in range(len(examples))
    ]


def write_training_files(directory: Path, data: Dataset, inputs: Sequence[str]) -> None:
    """Write the checksums of training and validation examples to a run directory.

    Of more than `MOST` examples, nothing is written.
    """
    if len(data.train) + len(data.valid) > MOST:
        return
    content: dict[str, object] = {"data_sha256": data.sha256}
    for split in _SPLITS:
        content[split] = sorted(set(map(_short, input_digests(getattr(data, split), inputs))))
    with replacing(directory / TRAINING_FILES, overwrite=True) as temporary:
        temporary.write_text(json.dumps(content, indent=0) + "\n", encoding="utf-8")


def report_training_files(
    source: str | Path, model: Path, data_sha256: str, examples: Examples, inputs: Sequence[str]
) -> None:
    """Warn if examples of an evaluation were in the training or validation split of a model.

    Parameters
    ----------
    source
        What is evaluated, for messages.
    model
        Model file or run directory.
    data_sha256
        Checksum of the training data, in the header of the model.
    examples, inputs
        As in `input_digests`.
    """
    known = _known(model if model.is_dir() else model.parent, data_sha256)
    if known is None:
        log.warning(
            "%s: whether these examples were in the training split is not known, because %s is not "
            "beside the model",
            source,
            TRAINING_FILES,
        )
        return
    digests = list(map(_short, input_digests(examples, inputs)))
    counts = {split: sum(one in known[split] for one in digests) for split in _SPLITS}
    found = [f"{count:,} in the {_SPLITS[split]} split" for split, count in counts.items() if count]
    if found:
        log.warning(
            "%s: of %s examples, the model had the same %s%s, so the metrics are too good. Leave "
            "them out, or give no files: the test split of the training is evaluated then",
            source,
            f"{len(digests):,}",
            " and ".join(found),
            " (words that the model does not know count as equal)" * ("words" in inputs),
        )


def _short(digest: str) -> str:
    return hashlib.sha256(digest.encode()).hexdigest()[:16]


def _known(directory: Path, data_sha256: str) -> dict[str, set[str]] | None:
    """Checksums of both splits; None where they are not known."""
    path = directory / TRAINING_FILES
    if not path.is_file():
        return None
    remedy = "Remove it; danq then does not know which examples were in the training"
    content = read_json(path, "the checksums of training examples", remedy=remedy)
    try:
        if content["data_sha256"] != data_sha256:
            return None
        return {split: set(map(str, content[split])) for split in _SPLITS}
    except (TypeError, KeyError) as error:
        raise InputError("has no checksums of examples", file=path, remedy=remedy) from error
