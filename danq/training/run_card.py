"""The model card of a run: its date, and what the run adds to it."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from danq.errors import InputError, escaped
from danq.models.model_card import CARD, FilledModelCard, ModelCard
from danq.models.model_file import ModelSpec
from danq.models.stored_model import parse_spec, read_stored, write_header
from danq.training.config import CONFIG, read_run_settings
from danq.training.saved_model import UNSCALED

if TYPE_CHECKING:
    from danq.training.session import TrainedSpec

S = TypeVar("S", bound="TrainedSpec")


def card_of_run(directory: Path, given: ModelCard | None, *, resuming: bool) -> ModelCard | None:
    """The card of a run, with a date: that of the run that is resumed, or the one that is given.

    Raises
    ------
    InputError
        When the run that is resumed has another card than the one given.
    """
    file = directory / CONFIG
    if not (resuming and file.is_file()):
        if given is None or given.date is not None:
            return given
        today = datetime.datetime.now(datetime.UTC).date()
        return given.model_copy(update={"date": today})
    kept = read_run_settings(file).card
    if given is None or given == kept:
        return kept
    undated = kept is not None and kept.model_copy(update={"date": None})
    if given == undated:
        return kept
    raise InputError(
        "this run has another model card than the one given"
        if kept is not None
        else "a model card is given, but this run was started without one",
        file=directory,
        remedy="Resume the run without a card, or overwrite it",
    )


def with_card(
    spec: S, card: ModelCard | None, dataset: Path | None, genome: str | None = None
) -> S:
    """A header with a card.

    Parameters
    ----------
    spec
        Header of a model file.
    card
        Card of the run; None for no card.
    dataset
        File of the dataset, if it has one, whose name is added.
    genome
        Name of the genome, which is added to a card that has none.
    """
    if card is None:
        return spec
    named = {"genome": genome, "dataset": None if dataset is None else dataset.name}
    # Names of files may have any character.
    added: dict[str, Any] = {
        n: text for n, one in named.items() if one and (text := escaped(one).strip())
    }
    filled = FilledModelCard(**(added | card.stored()))
    return spec.model_copy(update={"training": spec.training | {CARD: filled.stored()}})


def add_test_metrics(directory: Path, metrics: Mapping[str, float]) -> str:
    """Add metrics of the test split to the card of a run's model; return the file's new checksum.

    The weights do not change. Nothing else than the metrics depends on when this happens, so a run
    that was killed before it adds the same ones when it resumes.

    Raises
    ------
    InputError
        When the model file cannot be read or written.
    """
    stored = read_stored(directory)
    spec = parse_spec(ModelSpec, stored)
    finite = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
    card = spec.training[CARD] | {"test_metrics": finite}
    training = {UNSCALED: stored.sha256} | spec.training | {CARD: card}
    if json.dumps(training) == json.dumps(spec.training):
        return stored.sha256
    return write_header(stored, spec.model_copy(update={"training": training}))
