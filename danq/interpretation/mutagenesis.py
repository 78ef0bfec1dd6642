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
from danq.inference.mutagenesis.stretches import Stretch
from danq.inference.sources.request import Location
from danq.interpretation.effect_map import MOST_TRACKS, check_ending, plot_effects, save_picture
from danq.output import check_target, replacing

PLOTTED = 3
"""Tracks that are drawn unless they are named: those with the largest effects."""

LONGEST = 5000
"""Most bases in a picture."""


def mutate_and_plot(
    models: AnyModel | Sequence[AnyModel],
    out: Location,
    *,
    plot: Location | None = None,
    plot_tracks: Sequence[str] = (),
    overwrite: bool = False,
    **given: Any,
) -> Mutated:
    """`danq.inference.mutagenesis.mutate.mutate_file`, with a picture of one sequence besides.

    Parameters
    ----------
    models, out, overwrite, given
        As `danq.inference.mutagenesis.mutate.mutate_file` takes them.
    plot
        ``.png``, ``.svg`` or ``.pdf``; see `danq.interpretation.effect_map.plot_effects`.
    plot_tracks
        Tracks to draw, among those that are written; none for the three with the largest effects.

    Raises
    ------
    InputError
        As `danq.inference.mutagenesis.mutate.mutate_file`; when tracks to draw are named without a
        picture, unknown or too many, there is more than one sequence to draw or one that is too
        long, or the picture exists, has an unknown ending or cannot be written.
    """
    if plot is None:
        if plot_tracks:
            raise InputError(
                "tracks to draw were named, but no picture was asked for",
                remedy="Name the picture with the plot option",
            )
        return mutate_file(models, out, overwrite=overwrite, **given)
    path = check_target(plot, overwrite)
    check_ending(path)
    picture = _Picture(plot_tracks, given.get("effect", "logit"))
    done = mutate_file(
        models, out, overwrite=overwrite, watch=picture.seen.append, check=picture.check, **given
    )
    with replacing(path, overwrite) as temporary:
        picture.save(temporary, path.suffix)
    return done


class _Picture:
    """Effects of the one sequence that is drawn."""

    def __init__(self, wanted: Sequence[str], effect: str) -> None:
        self.wanted, self.unit = tuple(wanted), UNITS[effect].partition(",")[0]  # type: ignore[index]
        self.seen: list[BaseEffects] = []
        self.tracks: tuple[str, ...] = ()

    def check(self, ensemble: Ensemble, stretches: list[Stretch]) -> None:
        self.tracks = ensemble.tracks
        for name in self.wanted:
            if name not in self.tracks:
                few = ", ".join(self.tracks[:5]) + (", ..." if len(self.tracks) > 5 else "")
                raise InputError(
                    f"track '{name}' is to be drawn, but it is not among those written",
                    remedy=f"There are {len(self.tracks):,}: {few}",
                )
        if len(set(self.wanted)) != len(self.wanted) or len(self.wanted) > MOST_TRACKS:
            raise InputError(
                f"{len(self.wanted)} tracks are to be drawn: one twice, or more than {MOST_TRACKS}"
            )
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
        if self.wanted:
            picked = [self.tracks.index(name) for name in self.wanted]
        else:
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
        save_picture(figure, path, ending)
