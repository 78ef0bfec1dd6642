"""Saturation mutagenesis of a region into a file and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from danq.errors import InputError
from danq.inference.ensemble import AnyModel, Ensemble
from danq.inference.mutagenesis.effects import UNITS, BaseEffects
from danq.inference.mutagenesis.mutate import Mutated, mutate_file
from danq.inference.mutagenesis.targets import Stretch
from danq.interpretation.mutation_heat_map import (
    MAX_TRACKS,
    check_plot_format,
    plot_effects,
    save_plot,
)
from danq.output import check_target, replacing
from danq.typing import Location

PLOTTED = 3
"""Tracks that are drawn unless a few are named: those with the largest effects."""

LONGEST = 5000
"""Most bases in a picture."""


def mutate_and_plot(
    models: AnyModel | Sequence[AnyModel],
    out: Location,
    *,
    plot: Location | None = None,
    tracks: Sequence[str] | None = None,
    overwrite: bool = False,
    **given: Any,
) -> Mutated:
    """`danq.inference.mutagenesis.mutate.mutate_file`, with a picture of one sequence besides.

    Parameters
    ----------
    models, out, overwrite, given
        As `danq.inference.mutagenesis.mutate.mutate_file` takes them.
    plot
        ``.png``, ``.svg`` or ``.pdf``; see `danq.interpretation.mutation_heat_map.plot_effects`.
    tracks
        Tracks to write and to draw, in that order. Where none or more than 12 are named, those
        three are drawn that have the largest effects.

    Raises
    ------
    InputError
        As `danq.inference.mutagenesis.mutate.mutate_file`; when there is more than one sequence
        to draw or one that is too long, or the picture exists, has an unknown ending or cannot be
        written.
    """
    if plot is None:
        return mutate_file(models, out, tracks=tracks, overwrite=overwrite, **given)
    path = check_target(plot, overwrite)
    check_plot_format(path)
    named = tracks is not None and len(tracks) <= MAX_TRACKS
    picture = _Picture(named, given.get("effect", "logit"))
    done = mutate_file(
        models,
        out,
        tracks=tracks,
        overwrite=overwrite,
        watch=picture.seen.append,
        check=picture.check,
        **given,
    )
    with replacing(path, overwrite) as temporary:
        picture.save(temporary, path.suffix)
    return done


class _Picture:
    """Effects of the one sequence that is drawn."""

    def __init__(self, every: bool, effect: str) -> None:
        self.every, self.unit = every, UNITS[effect].partition(",")[0]  # type: ignore[index]
        self.seen: list[BaseEffects] = []
        self.tracks: tuple[str, ...] = ()

    def check(self, ensemble: Ensemble, stretches: list[Stretch]) -> None:
        self.tracks = ensemble.tracks
        if len(stretches) != 1:
            raise InputError(
                f"a picture shows one sequence, and there are {len(stretches):,}",
                remedy="Give one region or record, or leave the picture out",
            )
        if stretches[0].size > LONGEST:
            raise InputError(
                f"a picture shows at most {LONGEST:,} bases, and {stretches[0].words} has "
                f"{stretches[0].size:,}",
                remedy="Choose a smaller region, or leave the picture out",
            )

    def save(self, path: Path, ending: str) -> None:
        effects = np.concatenate([one.mean for one in self.seen])
        first = self.seen[0]
        picked = list(range(len(self.tracks)))
        if not self.every:
            size = np.nan_to_num(np.abs(effects)).max(axis=(0, 1))
            picked = np.argsort(-size, kind="stable")[:PLOTTED].tolist()
        figure = plot_effects(
            np.concatenate([one.codes for one in self.seen]),
            effects[:, :, picked],
            tracks=[self.tracks[track] for track in picked],
            unit=self.unit,
            name=first.judged.stretch.name,
            start=first.judged.stretch.start,
            reference=first.reference[picked] if len(self.seen) == 1 else None,
        )
        save_plot(figure, path, ending)
