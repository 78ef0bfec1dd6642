"""The layout of an output as JSON, so that a merge can open the writer of the output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from danq.inference.writers.layout import Layout

LAYOUT, HEADER = "layout", "header"
"""Names in the last line of a journal: columns, and the provenance that the output shows.

Shards that were computed in different folders may name their inputs differently; the merge takes
the header of the first shard.
"""

AnyLayout = TypeVar("AnyLayout", bound=Layout)


def stored_layout(layout: Layout) -> dict[str, Any]:
    """A layout as entries of the last line of a journal."""
    bare = replace(layout, provenance={})
    return {
        LAYOUT: TypeAdapter(type(layout)).dump_python(bare, mode="json"),
        HEADER: dict(layout.provenance),
    }


def restored_layout(kind: type[AnyLayout], content: Mapping[str, Any]) -> AnyLayout:
    """The layout of `stored_layout`.

    Raises
    ------
    ValueError
        When the content is another one.
    KeyError
        When the content has no layout.
    """
    try:
        layout = TypeAdapter(kind).validate_python(content[LAYOUT])
        header = TypeAdapter(dict[str, str]).validate_python(content[HEADER])
    except ValidationError as error:
        raise ValueError(str(error).partition("\n")[0]) from error
    return replace(layout, provenance=header)
