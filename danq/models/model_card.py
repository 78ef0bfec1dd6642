"""The card of a model: who made it, from which data, under which licence and for what use."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from danq.errors import InputError, describe_validation_error
from danq.files.toml_file import read_toml
from danq.typing import Location

CARD = "card"
"""Entry of the field ``training`` of a header."""

MAX_TEXT = 4_000
"""Largest number of characters of a text."""

MAX_AUTHORS = 1_000


def _checked_text(text: str) -> str:
    text = text.strip()
    if not text:
        raise ValueError("is empty")
    if len(text) > MAX_TEXT:
        raise ValueError(f"has {len(text):,} characters; at most {MAX_TEXT:,} are allowed")
    for one in text:
        if one != "\n" and not one.isprintable():
            raise ValueError(f"contains {one!a} (U+{ord(one):04X}), which cannot be printed")
    return text


class ModelCard(BaseModel):
    """What a person who receives a model has to know and its weights do not show.

    Entries may be left out. A text has at most 4,000 characters, all of which can be printed, and
    may have several lines.

    Raises
    ------
    InputError
        When an entry does not exist or its value is not allowed.

    Examples
    --------
    >>> card = ModelCard(authors=["Ada Byron"], license="CC-BY-4.0")
    >>> card.license
    'CC-BY-4.0'
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str | None = None
    """Name of the model."""
    authors: tuple[str, ...] = Field(default=(), max_length=MAX_AUTHORS)
    """Who trained the model."""
    contact: str | None = None
    """Address for questions."""
    date: datetime.date | None = None
    """Date of the training; None for the day on which the training starts (UTC)."""
    license: str | None = None
    """Licence of the model, such as the SPDX identifier ``CC-BY-4.0``."""
    data: str | None = None
    """Origin of the training data, such as accessions and publications."""
    data_license: str | None = None
    """Licence of the training data."""
    genome: str | None = None
    """Assembly of the genome, such as ``sacCer3``."""
    intended_use: str | None = None
    """What the model is for."""
    limitations: str | None = None
    """What the model is not for, and where it is known to fail."""
    citation: str | None = None
    """Publication to cite."""

    def __init__(self, /, **values: Any) -> None:
        known = type(self).model_fields
        for name in values:
            if name not in known:
                raise InputError(
                    f"'{name}' is not an entry of a model card",
                    remedy=f"The entries are {', '.join(known)}",
                )
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InputError(describe_validation_error(error)) from error

    @field_validator("authors", mode="before")
    @classmethod
    def _list_authors(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("date", mode="before")
    @classmethod
    def _check_date(cls, value: object) -> object:
        # pydantic would also take a number, as seconds since 1970.
        if value is None or isinstance(value, str) or type(value) is datetime.date:
            return value
        raise ValueError("is not a date such as 2026-12-01")

    @field_validator("*")
    @classmethod
    def _check_texts(cls, value: Any) -> Any:
        if isinstance(value, str):
            return _checked_text(value)
        if isinstance(value, tuple):
            return tuple(map(_checked_text, value))
        if isinstance(value, dict):
            return {_checked_text(name): number for name, number in value.items()}
        return value

    def stored(self) -> dict[str, Any]:
        """The entries that are given, as JSON types."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def entries(self) -> dict[str, str]:
        """Name and text of each entry that is given."""
        return {name.replace("_", " "): _as_text(value) for name, value in self.stored().items()}


class FilledModelCard(ModelCard):
    """A model card with what the training adds.

    The header of a model file has it in addition to the tracks, the settings, the checksum of the
    dataset and the metrics of the validation split.
    """

    dataset: str | None = None
    """Name of the dataset."""
    test_metrics: dict[str, float | None] = {}
    """Means over the tracks on the test split, if the run evaluates it; None for one that is
    undefined."""


def read_card(path: Location) -> ModelCard:
    """Read a model card from a TOML file.

    Raises
    ------
    InputError
        When the file cannot be read, is not TOML, has no entry, or an entry is unknown or not
        allowed.
    """
    values = read_toml(path)
    try:
        card = ModelCard(**values)
    except InputError as error:
        raise InputError(error.problem, file=path, remedy=error.remedy or "Correct it") from error
    if card == ModelCard():
        raise InputError(
            "has no entry of a model card",
            file=path,
            remedy=f"Write at least one of {', '.join(ModelCard.model_fields)}",
        )
    return card


def stored_card(training: Mapping[str, Any], file: Path | None) -> FilledModelCard | None:
    """Card in the field ``training`` of a header; None if it has none.

    Raises
    ------
    InputError
        When it is not as danq writes it.
    """
    value = training.get(CARD)
    if value is None:
        return None
    problem = "it is not a JSON object"
    try:
        if isinstance(value, dict):
            return FilledModelCard(**value)
    except InputError as error:
        problem = error.problem
    raise InputError(
        f"damaged model card: {problem}",
        file=file,
        remedy="Copy the file again, or train the model again",
    )


def _as_text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    if isinstance(value, dict):
        numbers = {n: "undefined" if x is None else f"{x:.4f}" for n, x in value.items()}
        return ", ".join(f"{name} {number}" for name, number in numbers.items())
    return str(value)
