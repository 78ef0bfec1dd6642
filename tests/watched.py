"""Watch how many items a function of danq has done."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from danq.progress import Event, Stage, watch_progress


def watched(
    function: Callable[[int, int | None], Any], unit: str = "variants"
) -> AbstractContextManager[None]:
    """Context in which a function is called with the number of items done and their total.

    Only steps of stages that count ``unit`` are reported.
    """

    def watch(stage: Stage, event: Event) -> None:
        if event == "step" and stage.unit == unit:
            function(stage.done, stage.total)

    return watch_progress(watch)
