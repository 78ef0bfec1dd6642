"""Examples from files that are decoded when they are needed."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from danq.vision.dataset import SPLITS, Dataset
from danq.vision.own_data.checked_files import CheckedFile
from danq.vision.own_data.decoders import labels_at
from danq.vision.own_data.frame_classes import (
    RUNS,
    all_runs,
    refuse_no_classes,
    report_frame_classes,
)
from danq.vision.own_data.frame_sampling import sampled_frames
from danq.vision.own_data.input_settings import InputSettings
from danq.vision.own_data.media import (
    VIDEO,
    Media,
    augmentation,
    describe_decoder,
    describe_sound,
    report_media,
    report_sounds,
)
from danq.vision.own_data.records import Record, Source
from danq.vision.own_data.sound_files import SoundFacts
from danq.vision.own_data.source_check import checked, without_repeats
from danq.vision.own_data.splits import divided, report_leaks
from danq.vision.own_data.streamed_examples import StreamedExamples
from danq.vision.own_data.targets import Targets, make_targets

log = logging.getLogger("danq")


def file_examples(source: Source, media: Media, settings: InputSettings) -> Dataset:
    """Make the dataset of a source of images or clips.

    Raises
    ------
    InputError
        When files, targets or splits cannot be used.
    """
    sounds: list[SoundFacts] = []
    for notice in source.notices:
        log.info("%s: %s", source.path, notice)
    if source.kind not in {"captions", "questions"}:
        source = source._replace(records=without_repeats(source, source.records))
    records, files = checked(source, media.name, settings, media.what)
    if source.sounds:
        records, files, sounds = with_sounds(source, records, files, settings)
    digests = [file.digest for file in files]
    by_class = source.kind in {"classes", "labels", "frames"}
    splits = divided(source, records, digests, settings.seed, by_class)
    report_leaks(source, records, digests, splits)
    targets = make_targets(source, records, splits, None)
    training = [files[i].facts for i in splits["train"]]
    decoder = describe_decoder(media, source.kind, training, settings)
    report_media(source, media, [file.facts for file in files], decoder)
    if source.sounds:
        samples = [one.samples for one in sounds]
        decoder |= describe_sound([samples[i] for i in splits["train"]])
        report_sounds(source, samples, decoder)
    metadata = {
        "shape": decoder["shape"],
        "decoder": decoder,
        **targets.metadata,
    }
    if source.sounds:
        metadata["sound_shape"] = decoder["sound_shape"]
    if settings.normalisation is not None:
        metadata["normalisation"] = settings.normalisation
    varied = decoder | {"augment": augmentation(decoder, settings, source.kind)}
    whole = streamed(source, records, files, targets, varied, settings)
    parts = {split: whole.rows(np.array(splits[split], np.int64)) for split in SPLITS}
    if source.kind == "frames":
        report_frame_classes(source, whole.arrays)
        for split, examples in parts.items():
            refuse_no_classes(source, split, examples.arrays)
    return Dataset(metadata=metadata, **parts)


def file_inputs(
    source: Source, media: Media, metadata: Mapping[str, Any], settings: InputSettings
) -> StreamedExamples:
    """Examples of files for a model: with the targets that the source gives, or without.

    Parameters
    ----------
    source
        The files.
    media
        Images or clips.
    metadata
        That of the model.
    settings
        Workers, and whether damaged files are left out.

    Raises
    ------
    InputError
        As `file_examples`; and when targets are not those of the model.
    """
    for notice in source.notices:
        log.info("%s: %s", source.path, notice)
    records, files = checked(source, media.name, settings, media.what)
    if source.sounds:
        records, files, sounds = with_sounds(source, records, files, settings)
        report_sounds(source, [one.samples for one in sounds], metadata["decoder"])
    targets = Targets({}, dict(metadata))
    decoder = dict(metadata["decoder"])
    if source.kind != "none":
        targets = make_targets(source, records, {}, metadata)
    elif media is VIDEO:
        decoder["labels"] = False
    return streamed(source, records, files, targets, decoder, settings)


def with_sounds(
    source: Source,
    records: Sequence[Record],
    files: Sequence[CheckedFile],
    settings: InputSettings,
) -> tuple[list[Record], list[CheckedFile], list[SoundFacts]]:
    """Examples of videos whose sounds can be read as well; files, whose checksums are of both.

    Raises
    ------
    InputError
        As `checked`.
    """
    paths = [record._replace(path=record.more, more=i) for i, record in enumerate(records)]
    kept, sounds = checked(source._replace(records=paths), "sound", settings, "sounds")
    rows = [record.more for record in kept]
    both = [
        CheckedFile(
            f"{files[i].digest} {sound.digest}",
            files[i].facts,
            _stamp_of_both(records[i], files[i], sound),
        )
        for i, sound in zip(rows, sounds, strict=True)
    ]
    return [records[i] for i in rows], both, [sound.facts for sound in sounds]


def _stamp_of_both(record: Record, file: CheckedFile, sound: CheckedFile) -> tuple[int, int]:
    if record.more == record.path:
        return file.stamp
    sizes, times = zip(file.stamp, sound.stamp, strict=True)
    return sum(sizes), max(times)


def streamed(
    source: Source,
    records: Sequence[Record],
    files: Sequence[CheckedFile],
    targets: Targets,
    decoder: dict[str, Any],
    settings: InputSettings,
) -> StreamedExamples:
    """Examples of all records."""
    arrays = dict(targets.arrays)
    sources: list[Any] = [record.path for record in records]
    if decoder["kind"] != "image":
        facts = [file.facts for file in files]
        sources = [
            {"path": record.path, "frames": one.frames}
            for record, one in zip(records, facts, strict=True)
        ]
        if source.sounds:
            for one, record in zip(sources, records, strict=True):
                one["sound"] = record.more
        if decoder["labels"]:
            steps = decoder["shape"][0]
            found = all_runs(source, records, facts, targets.metadata["classes"])
            arrays[RUNS] = np.array([json.dumps(runs) for runs in found])
            for one, runs in zip(sources, found, strict=True):
                one["labels"] = runs
            rows = [
                labels_at(runs, sampled_frames(one.frames, steps), steps)
                for one, runs in zip(facts, found, strict=True)
            ]
            arrays["labels"] = np.stack(rows)
    digests = [file.digest for file in files]
    stamps = np.array([file.stamp for file in files], np.int64)
    return StreamedExamples(arrays, decoder, sources, digests, stamps, settings.workers)
