"""What the header of a model file records of its training: splits, and pretrained layers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from danq.errors import InputError, describe_validation_error

R = TypeVar("R", bound=BaseModel)

SPLITS = "splits"
PRETRAINING = "pretraining"
"""Entries of the field ``training`` of a header."""

Spans = dict[str, tuple[tuple[int, int], ...]]
"""Regions by contig, 0-based and half-open."""


class Splits(BaseModel):
    """Regions of a genome whose windows are in the splits of a dataset."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lengths: dict[str, Annotated[int, Field(gt=0)]]
    """Bases of each contig that has windows."""
    train: Spans = {}
    valid: Spans = {}
    test: Spans = {}
    complete: bool = True
    """Whether all regions are listed; only the longest are, if there are very many."""

    @model_validator(mode="after")
    def _check_spans(self) -> Splits:
        for spans in (self.train, self.valid, self.test):
            for contig, regions in spans.items():
                length = self.lengths.get(contig, 0)
                if any(not 0 <= start < end <= length for start, end in regions):
                    raise ValueError(f"a region outside the {length:,} bases of {contig!r}")
        return self


class LayerOrigin(BaseModel):
    """Where the initial values of a layer come from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """Name of the layer in the model file."""
    shape: tuple[int, ...]
    """Shape of its largest tensor."""
    origin: Literal["taken", "new", "tracks"]
    """The pretrained model, new values, or the pretrained model for some tracks of an output."""
    detail: str = ""
    """Why the layer is new, or how many tracks are taken."""


class Pretraining(BaseModel):
    """The model that a training started from, and the layers that it took."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    """Name of the model file as it was given."""
    sha256: str
    """SHA-256 checksum of the model file."""
    data_sha256: str = ""
    """Checksum of the dataset that it was trained on."""
    splits: Splits | None = None
    """Splits of that dataset, if its file has them."""
    layers: tuple[LayerOrigin, ...]
    tracks: tuple[str, ...] = ()
    """Tracks whose outputs were taken."""


def stored_splits(training: Mapping[str, Any], file: Path | None) -> Splits | None:
    """Splits in the field ``training`` of a header; None if it has none.

    Raises
    ------
    InputError
        When they are not as danq writes them.
    """
    if training.get(SPLITS) is None:
        return None
    return _parsed(Splits, training[SPLITS], file)


def stored_pretrainings(training: Mapping[str, Any], file: Path | None) -> list[Pretraining]:
    """Models that a model was pretrained as, the first one first.

    Raises
    ------
    InputError
        When the records are not as danq writes them.
    """
    return parse_pretrainings(training.get(PRETRAINING, []), file)


def parse_pretrainings(records: Any, file: Path | None) -> list[Pretraining]:
    """Validate a list of records; errors as `stored_pretrainings`."""
    if not isinstance(records, list):
        raise _damaged("the models that it started from are not a list", file)
    return [_parsed(Pretraining, record, file) for record in records]


def _parsed(kind: type[R], value: Any, file: Path | None) -> R:
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise _damaged(describe_validation_error(error), file) from error


def _damaged(problem: str, file: Path | None) -> InputError:
    return InputError(
        f"damaged record of the training: {problem}",
        file=file,
        remedy="Copy the file again, or train the model again",
    )
