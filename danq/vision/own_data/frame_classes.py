"""Classes of the frames of clips: a class per frame, or segments."""

from __future__ import annotations

import json
import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Int64

from danq.vision.own_data.records import FrameClasses, Record, Source
from danq.vision.own_data.tables import Row, Table

NO_CLASS = -1

RUNS = "runs"
"""Field with the classes of all frames of a clip: JSON, as `runs` returns them."""

log = logging.getLogger("danq")


def classes_per_frame(table: Table, row: Row) -> FrameClasses:
    """Read the column "frames": a class per frame, separated by semicolons; some may be empty."""
    value = row.fields.get("frames")
    names = value if isinstance(value, list) else row.text("frames").split(";")
    segments: list[tuple[int, int, str]] = []
    for number, name in enumerate("" if one is None else str(one).strip() for one in names):
        if segments and segments[-1][2] == name and segments[-1][1] == number:
            segments[-1] = (segments[-1][0], number + 1, name)
        elif name:
            segments.append((number, number + 1, name))
    return FrameClasses(tuple(segments), len(names))


def joined_segments(source: Source) -> Source:
    """Join the rows of each file, whose targets are one segment each, to one example.

    Raises
    ------
    InputError
        When segments overlap, or rows of a file differ in split or group.
    """
    rows: dict[str, list[Record]] = defaultdict(list)
    for record in source.records:
        rows[record.path].append(record)
    records = []
    for same in rows.values():
        same = sorted(same, key=lambda one: one.target.segments[0])
        for before, after in pairwise(same):
            if after.target.segments[0][0] < before.target.segments[0][1]:
                raise source.error(
                    f"two segments of {after.path} overlap", "Correct 'start' and 'end'", after
                )
            if (before.split, before.group) != (after.split, after.group):
                raise source.error(
                    f"rows of {after.path} differ in split or group",
                    "Give all rows of a file the same",
                    after,
                )
        segments = tuple(one.target.segments[0] for one in same)
        records.append(same[0]._replace(target=FrameClasses(segments, None)))
    return source._replace(records=records)


def segment(table: Table, row: Row, name: str) -> FrameClasses:
    """Read the columns "start", "end" and "class" of a row: 0-based frames, half-open.

    Raises
    ------
    InputError
        When they are no whole numbers, or the end is not behind the start.
    """
    ends = []
    for column in ("start", "end"):
        text = row.text(column)
        if not re.fullmatch(r"[0-9]{1,9}", text):
            raise table.error(
                f"the column '{column}' has no number of a frame ('{text}')",
                "Give whole numbers of frames from 0, not seconds",
                row,
            )
        ends.append(int(text))
    if ends[1] <= ends[0]:
        raise table.error(
            f"the segment ends at frame {ends[1]} and starts at {ends[0]}",
            "The first frame is 'start'; 'end' is the frame behind the last one",
            row,
        )
    return FrameClasses(((ends[0], ends[1], name),), None)


def runs(
    source: Source, record: Record, frames: int, index: Mapping[str, int]
) -> list[tuple[int, int]]:
    """Class and number of frames of each run of frames with one class.

    Raises
    ------
    InputError
        When the classes are for another number of frames than the clip has.
    """
    target: FrameClasses = record.target
    last = target.segments[-1][1] if target.segments else 0
    if (target.frames is not None and target.frames != frames) or last > frames:
        raise source.error(
            f"classes of {target.frames or last:,} frames, but {record.path} has {frames:,} frames",
            "Give one class per frame; leave it empty where there is none",
            record,
        )
    found, at = [], 0
    for start, end, name in target.segments:
        if start > at:
            found.append((NO_CLASS, start - at))
        found.append((index[name], end - start))
        at = end
    if at < frames:
        found.append((NO_CLASS, frames - at))
    return found


def all_runs(
    source: Source, records: Sequence[Record], facts: Sequence[Any], classes: Sequence[str]
) -> list[list[tuple[int, int]]]:
    """The runs of each clip."""
    index = {name: number for number, name in enumerate(classes)}
    return [
        runs(source, record, one.frames, index) for record, one in zip(records, facts, strict=True)
    ]


def frames_with_classes(
    texts: Iterable[str], steps: int
) -> Iterator[tuple[Int64[np.ndarray, " M"], Int64[np.ndarray, " M"]]]:
    """Yield, for each clip, the classes of its frames, and the step of the model of each frame.

    A step stands for the segment of the clip in whose middle its frame is. Frames without a class
    are left out.

    Parameters
    ----------
    texts
        The field `RUNS`.
    steps
        Largest number of frames that the model receives.
    """
    for text in texts:
        classes, lengths = np.array(json.loads(text), np.int64).reshape(-1, 2).T
        true = np.repeat(classes, lengths)
        step = np.arange(len(true))
        if len(true) > steps:
            step = step * steps // len(true)
        known = true != NO_CLASS
        yield true[known], step[known]


def report_frame_classes(source: Source, fields: Mapping[str, np.ndarray]) -> None:
    """Log how many of the frames with a class a model receives."""
    received = fields["labels"]
    given = sum(len(true) for true, _ in frames_with_classes(fields[RUNS], received.shape[1]))
    log.info(
        "%s: %s frames have a class; evaluation gives %s of them to the model, and the others the "
        "class of the nearest one. Metrics are of all frames with a class, the loss is of those "
        "that the model receives",
        source.path,
        f"{given:,}",
        f"{(received != NO_CLASS).sum():,}",
    )


def refuse_no_classes(source: Source, split: str, fields: Mapping[str, np.ndarray]) -> None:
    """Check that frames of a split that a model receives have a class; those of a test need none.

    Raises
    ------
    InputError
        When none has.
    """
    if split != "test" and not (fields["labels"] != NO_CLASS).any():
        raise source.error(
            f"no frame of the split '{split}' that the model receives has a class",
            "Give more frames a class, give the model more frames (frames), or give other splits",
        )
