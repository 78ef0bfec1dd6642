"""The layout and the format of an output as JSON, so that a merge can open its writer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from danq.inference.writers.layout import Layout
from danq.inference.writers.open_output import WRITERS, Output

LAYOUT, HEADER, FORMAT = "layout", "header", "format"
"""Names in the last line of a journal: columns, the provenance that the output shows, and format.

Shards that were computed in different folders may name their inputs differently; the merge takes
the header of the first shard.
"""

AnyLayout = TypeVar("AnyLayout", bound=Layout)


def stored_layout(layout: Layout, format: str) -> dict[str, Any]:
    """A layout and a format as entries of the last line of a journal."""
    bare = replace(layout, provenance={})
    return {
        LAYOUT: TypeAdapter(type(layout)).dump_python(bare, mode="json"),
        HEADER: dict(layout.provenance),
        FORMAT: format,
    }


def restored_output(
    kind: type[AnyLayout], content: Mapping[str, Any], out: Path
) -> tuple[AnyLayout, Output]:
    """The layout of `stored_layout`, and an output of its format.

    Raises
    ------
    ValueError
        When the content is another one.
    KeyError
        When the content has no layout, or there is no such format.
    """
    try:
        layout = TypeAdapter(kind).validate_python(content[LAYOUT])
        header = TypeAdapter(dict[str, str]).validate_python(content[HEADER])
    except ValidationError as error:
        raise ValueError(str(error).partition("\n")[0]) from error
    format = str(content[FORMAT])
    return replace(layout, provenance=header), Output(out, format, WRITERS[kind][format])
