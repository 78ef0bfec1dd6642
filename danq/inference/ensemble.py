"""Ensembles: models whose predictions are averaged."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from itertools import tee

import numpy as np

from danq.amounts import AmountUnit, columns_of_units
from danq.bounded_queue import read_ahead
from danq.device import set_threads
from danq.errors import InputError
from danq.inference.engine.forward import predict_blocks
from danq.inference.engine.overlapping_windows import OverlappingWindows
from danq.inference.engine.whole_windows import effect_options
from danq.inference.sources.tiling import Chunk, Rows, RowStream, Selection, every_chunk
from danq.inference.track_levels import Kind, TrackLevels
from danq.inference.writers.layout import TrackProfile, Values
from danq.models import Model, ModelSpec, RunOptions
from danq.models.model_file import check_loaded
from danq.models.targets import reverse_tracks
from danq.track_names import select_tracks

Models = Model | Sequence[Model]
"""A loaded model, or several whose predictions are averaged."""


@dataclass(frozen=True)
class Ensemble:
    """One model, or several that agree on tracks, window, bin and options.

    Attributes
    ----------
    models
        The members.
    track_indices
        ``(P,)`` indices of the selected tracks, in the requested order.
    """

    models: tuple[Model, ...]
    track_indices: tuple[int, ...]

    @classmethod
    def of(cls, models: Models, tracks: Sequence[str] | None = None) -> Ensemble:
        """Check models and select tracks.

        Parameters
        ----------
        models
            A loaded model, or several.
        tracks
            Names of the selected tracks, in that order. None selects all.

        Raises
        ------
        InputError
            When there is no model, a model is a path and not loaded, two members are the same
            model or disagree, or a track is unknown or repeated.
        """
        members: tuple[Model, ...] = (
            tuple(models) if isinstance(models, list | tuple) else (models,)  # type: ignore[arg-type]
        )
        if not members:
            raise InputError("no model was given", remedy="Load one with danq.load")
        for one in members:
            check_loaded(one, "a model", remedy="Give a loaded model, or a list of them")
        first, *others = members
        for number, other in enumerate(others, start=2):
            _check_agreement(first, other, number)
        _check_distinct(members)
        if first.options.threads is not None:
            set_threads(first.options.threads)
        return cls(members, _track_indices(first, tracks))

    def check_measured(self) -> None:
        """Check that measured amounts are requested only where a selected track is of amounts.

        Raises
        ------
        InputError
            When all selected tracks are of peaks.
        """
        if self.options.measured and "amounts" not in self.kinds:
            raise InputError(
                "measured amounts were asked for, but every track is of peaks",
                remedy="Leave this setting out",
            )

    def for_effects(self) -> Ensemble:
        """The same models in the precision in which effects are computed."""
        precision = effect_options(self.options).precision
        models = tuple(model.with_options(precision=precision) for model in self.models)
        return replace(self, models=models)

    @property
    def options(self) -> RunOptions:
        """How the members run."""
        return self.models[0].options

    @property
    def window(self) -> int:
        """Bases of the input window."""
        return self.models[0].spec.window

    @property
    def bin(self) -> int:
        """Bases in the middle of the window that a prediction is for."""
        return self.models[0].spec.bin

    @property
    def tracks(self) -> tuple[str, ...]:
        """Names of the selected tracks."""
        return tuple(self.models[0].spec.tracks[number] for number in self.track_indices)

    @property
    def reverse_tracks(self) -> tuple[int, ...]:
        """As `danq.models.targets.reverse_tracks` of the models."""
        return reverse_tracks(self.models[0].spec.targets)

    @property
    def groups(self) -> tuple[str, ...]:
        """Groups of the selected tracks."""
        return tuple(self.models[0].spec.groups[number] for number in self.track_indices)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What each selected track measures."""
        kinds = self.levels.kinds
        return tuple(kinds[number] for number in self.track_indices)

    @property
    def units(self) -> tuple[AmountUnit | None, ...]:
        """Unit of the predictions of each selected track; None for peaks."""
        units = self.models[0].spec.track_units
        chosen = [units[number] for number in self.track_indices]
        if self.options.measured:
            return tuple(one and AmountUnit(unit=one.unit) for one in chosen)
        return tuple(chosen)

    @property
    def levels(self) -> TrackLevels:
        """Computes levels of all tracks, also of those that are not selected."""
        spec = self.models[0].spec
        return TrackLevels.of(spec.tracks, spec.track_units, measured=self.options.measured)

    @property
    def spread(self) -> bool:
        """Whether there is more than one model."""
        return len(self.models) > 1

    @property
    def names(self) -> tuple[str, ...]:
        """Path of each member, or its number."""
        return tuple(_name(model, number) for number, model in self._numbered())

    def provenance(self) -> dict[str, str]:
        """Path and checksum of each member, as text for the header of an output."""
        texts = [f"{_name(model, n)} sha256:{model.sha256}" for n, model in self._numbered()]
        if not self.spread:
            return {"model": texts[0]}
        return {f"model {number}": text for number, text in enumerate(texts, start=1)}

    def running(self) -> dict[str, str]:
        """Strand, precision and device, as text for the header of an output."""
        options = self.options
        return {
            "strand": options.strand,
            "precision": f"{options.resolved_precision} on {options.torch_device}",
        }

    def batches(self) -> dict[str, str]:
        """Windows per batch, on which the last bits of results depend, for the same header."""
        return {"batch size": f"{self.options.windows_per_batch} windows"}

    @property
    def profiles(self) -> tuple[TrackProfile, ...]:
        """Profiles of the selected tracks that have one, in the order of the tracks."""
        targets = self.models[0].spec.targets
        of = [group for group in targets for _ in range(group.tracks)]
        return tuple(
            TrackProfile(column, of[number].steps, of[number].step_bases)
            for column, number in enumerate(self.track_indices)
            if of and of[number].loss == "profile"
        )

    def predict(
        self, source: RowStream, *, steps: bool = False, selected: Selection = every_chunk
    ) -> Generator[tuple[Rows, Values], None, None]:
        """Predict the rows of a source, which is read ahead in a separate thread.

        Parameters
        ----------
        source
            Rows and their windows.
        steps
            Whether the columns of the tracks are followed by the steps of `profiles`.
        selected
            Which chunks of ``source`` are predicted. Their values do not depend on which others
            are.

        Yields
        ------
        rows, values
            ``(B, P)`` probabilities or amounts of the selected tracks. For several models the mean,
            followed by the ``(B, P)`` sample standard deviations.
        """
        size = self.options.windows_per_batch
        chunks: Iterator[Chunk] = source.chunks(size, selected)
        if self.options.torch_device.type != "cpu":
            chunks = _cut(chunks)
        every = self.track_indices == tuple(range(len(self.models[0].spec.tracks)))
        tracks = None if every else self.track_indices
        with ExitStack() as stack:
            ready = stack.enter_context(read_ahead(chunks))
            loaded = ((rows, source.load(windows)) for rows, windows in ready)
            inputs, *streams = tee(loaded, 1 + len(self.models))
            results = [
                stack.enter_context(
                    closing(
                        predict_blocks(
                            model.module,
                            (windows for _, windows in stream),
                            self.options,
                            tracks,
                            model.spec.targets,
                            steps=steps,
                            # All chunks before the last have this size.
                            largest=0 if selected(0) else size,
                        )
                    )
                )
                for model, stream in zip(self.models, streams, strict=True)
            ]
            for values in zip(*results, strict=True):
                yield next(inputs)[0], _mean_and_spread(self._in_units(np.stack(values)))

    def _in_units(self, values: np.ndarray) -> np.ndarray:
        """Predictions ``(M, B, P)`` of the models in `units`."""
        if not self.options.measured:
            return values
        units = self.models[0].spec.track_units
        of_column = [units[number] for number in self.track_indices]
        for profile in self.profiles if values.shape[2] > len(of_column) else ():
            of_column += [of_column[profile.column]] * profile.steps
        for unit, columns in columns_of_units(of_column):
            if unit is not None:
                values[:, :, columns] = unit.undo(values[:, :, columns])
        return values

    def _numbered(self) -> Iterator[tuple[int, Model]]:
        return iter(enumerate(self.models, start=1))


def _cut(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """Chunks with the codes of windows instead of segments, which only CPUs use."""
    for rows, windows in chunks:
        yield Chunk(rows, windows.cut() if isinstance(windows, OverlappingWindows) else windows)


def _mean_and_spread(values: np.ndarray) -> Values:
    if len(values) == 1:
        return values[0]
    mean = values.mean(axis=0, dtype=np.float64)
    spread = values.std(axis=0, ddof=1, dtype=np.float64)
    return np.concatenate([mean, spread], axis=1).astype(np.float32)


def _name(model: Model, number: int) -> str:
    return f"model {number}" if model.path is None else str(model.path)


def _check_agreement(first: Model, other: Model, number: int) -> None:
    names = f"{_name(first, 1)} and {_name(other, number)}"
    if first.spec.tracks == other.spec.tracks:
        _check_targets(first.spec, other.spec, names)
    if first.options.resolved() != other.options.resolved():
        raise InputError(
            f"{names} have different run options: {first.options} and {other.options}",
            remedy="Use model.with_options to give them the same options",
        )
    for what in ("window", "bin"):
        ours, theirs = getattr(first.spec, what), getattr(other.spec, what)
        if ours != theirs:
            raise InputError(
                f"{names} cannot predict together: {what} {ours} and {theirs}",
                remedy="Use models with the same window and bin, or predict with each separately",
            )
    if first.spec.tracks == other.spec.tracks:
        return
    ours, theirs = first.spec.tracks, other.spec.tracks
    only = sorted(set(ours) ^ set(theirs))
    detail = f"only one of them has '{only[0]}'" if only else "the order of the tracks differs"
    raise InputError(
        f"{names} cannot predict together: {len(ours)} and {len(theirs)} tracks, {detail}",
        remedy="Use models that were trained on the same tracks",
    )


def _check_targets(first: ModelSpec, other: ModelSpec, names: str) -> None:
    """Raise when models of the same tracks predict other quantities."""
    what = None
    if first.oriented != other.oriented:
        what = "only one of them was trained on oriented sequences"
    for track, *kinds in zip(first.tracks, first.kinds, other.kinds, strict=True):
        if kinds[0] != kinds[1]:
            what = f"the track '{track}' is of {kinds[0]} and of {kinds[1]}"
            break
    else:
        for track, *units in zip(first.tracks, first.track_units, other.track_units, strict=True):
            if units[0] != units[1]:
                what = f"the unit of the track '{track}' is {units[0]} and {units[1]}"
                break
        if _steps_of(first) != _steps_of(other):
            what = "they have profiles of other steps"
        elif reverse_tracks(first.targets) != reverse_tracks(other.targets):
            what = "they exchange other tracks for the reverse strand"
    if what is not None:
        raise InputError(
            f"{names} cannot predict together: {what}",
            remedy="Predict with each of them separately",
        )


def _steps_of(spec: ModelSpec) -> list[tuple[int, int]]:
    """Steps of the profile of each track with one, and their bases."""
    of = (group for group in spec.targets for _ in range(group.tracks))
    return [(group.steps, group.step_bases) for group in of if group.loss == "profile"]


def _check_distinct(models: Sequence[Model]) -> None:
    """Raise when one model file occurs twice: it would count double in every mean."""
    seen: dict[str, int] = {}
    for number, model in enumerate(models, start=1):
        earlier = seen.setdefault(model.sha256, number)
        if model.sha256 and earlier != number:
            first = _name(models[earlier - 1], earlier)
            raise InputError(
                f"{_name(model, number)} is the same model as {first}",
                remedy="List each model of an ensemble once",
            )


def _track_indices(model: Model, tracks: Sequence[str] | None) -> tuple[int, ...]:
    known = model.spec.tracks
    if tracks is None:
        return tuple(range(len(known)))
    names = tracks if isinstance(tracks, str) else tuple(tracks)
    return select_tracks(names, known, owner="the model", listing="the model's summary")
