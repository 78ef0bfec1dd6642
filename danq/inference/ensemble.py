"""Models that predict together."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import tee
from pathlib import Path

import numpy as np

from danq.errors import InputError
from danq.inference.engine.forward import predict_blocks
from danq.inference.sources.tiling import Chunk, Rows
from danq.inference.writers.layout import Values
from danq.models import Model, RunOptions, load_model
from danq.track_names import select_tracks

AnyModel = str | Path | Model


@dataclass(frozen=True)
class Ensemble:
    """One model, or several that agree on tracks, window and bin.

    Attributes
    ----------
    models
        The members.
    picked
        ``(P,)`` numbers of the tracks wanted, in the order wanted.
    """

    models: tuple[Model, ...]
    picked: tuple[int, ...]

    @classmethod
    def load(
        cls, models: AnyModel | Sequence[AnyModel], tracks: Sequence[str] | None = None
    ) -> Ensemble:
        """Load models and pick tracks.

        Parameters
        ----------
        models
            A model file, run folder or model, or several.
        tracks
            Names of the tracks wanted, in that order; None for all.

        Raises
        ------
        InputError
            When there is no model, two members are one model or disagree, or a track is unknown
            or named twice.
        """
        several = [models] if isinstance(models, str | Path) or _is_model(models) else models
        loaded = tuple(
            load_model(model) if isinstance(model, str | Path) else model
            for model in several  # type: ignore[union-attr]
        )
        if not loaded:
            raise InputError("no model was given")
        first, *others = loaded
        for number, other in enumerate(others, start=2):
            _check_agreement(first, other, number)
        _check_distinct(loaded)
        return cls(loaded, _pick(first, tracks))

    @property
    def window(self) -> int:
        """Bases of the input window."""
        return self.models[0].spec.window

    @property
    def bin(self) -> int:
        """Bases in the middle of the window that the predictions speak of."""
        return self.models[0].spec.bin

    @property
    def tracks(self) -> tuple[str, ...]:
        """Names of the picked tracks."""
        return tuple(self.models[0].spec.tracks[number] for number in self.picked)

    @property
    def groups(self) -> tuple[str, ...]:
        """Groups of the picked tracks."""
        return tuple(self.models[0].spec.groups[number] for number in self.picked)

    @property
    def spread(self) -> bool:
        """Whether there is more than one model."""
        return len(self.models) > 1

    @property
    def names(self) -> tuple[str, ...]:
        """Path of each member, or its number."""
        return tuple(_name(model, number) for number, model in self._numbered())

    def provenance(self) -> dict[str, str]:
        """Path and digest of each member, for the head of an output."""
        words = [f"{_name(model, n)} sha256:{model.digest}" for n, model in self._numbered()]
        if not self.spread:
            return {"model": words[0]}
        return {f"model {number}": text for number, text in enumerate(words, start=1)}

    def predict(
        self, chunks: Iterator[Chunk], options: RunOptions
    ) -> Generator[tuple[Rows, Values], None, None]:
        """Rows and values of a stream of windows.

        Values are ``(B, P)`` probabilities of the picked tracks; of several models, the mean,
        followed by ``(B, P)`` sample standard deviations (divided by the number of models less
        one).
        """
        places, *streams = tee(chunks, 1 + len(self.models))
        with ExitStack() as stack:
            # A module may be there twice, and is as it was only when the streams are closed last
            # in, first out: as the stack does it.
            results = [
                stack.enter_context(
                    closing(
                        predict_blocks(  # type: ignore[type-var]
                            model.module, (chunk.codes for chunk in stream), options
                        )
                    )
                )
                for model, stream in zip(self.models, streams, strict=True)
            ]
            for place in places:
                values = np.stack([next(result)[:, self.picked] for result in results])
                yield place.rows, _summarise(values)

    def _numbered(self) -> Iterator[tuple[int, Model]]:
        return iter(enumerate(self.models, start=1))


def _summarise(values: np.ndarray) -> Values:
    if len(values) == 1:
        return values[0]
    mean = values.mean(axis=0, dtype=np.float64)
    spread = values.std(axis=0, ddof=1, dtype=np.float64)
    return np.concatenate([mean, spread], axis=1).astype(np.float32)


def _is_model(value: object) -> bool:
    return hasattr(value, "module") and hasattr(value, "spec")


def _name(model: Model, number: int) -> str:
    return f"model {number}" if model.path is None else str(model.path)


def _check_agreement(first: Model, other: Model, number: int) -> None:
    names = f"{_name(first, 1)} and {_name(other, number)}"
    for what in ("window", "bin"):
        ours, theirs = getattr(first.spec, what), getattr(other.spec, what)
        if ours != theirs:
            raise InputError(
                f"{names} cannot predict together: {what} {ours} and {theirs}",
                remedy="Give models of one kind, or predict with each by itself",
            )
    if first.spec.tracks == other.spec.tracks:
        return
    ours, theirs = first.spec.tracks, other.spec.tracks
    only = sorted(set(ours) ^ set(theirs))
    detail = f"only one of them has '{only[0]}'" if only else "the tracks differ in order"
    raise InputError(
        f"{names} cannot predict together: {len(ours)} and {len(theirs)} tracks, {detail}",
        remedy="Give models that were trained on the same tracks",
    )


def _check_distinct(models: Sequence[Model]) -> None:
    """Refuse one model file twice, which would count double in every mean."""
    seen: dict[str, int] = {}
    for number, model in enumerate(models, start=1):
        earlier = seen.setdefault(model.digest, number)
        if model.digest and earlier != number:
            first = _name(models[earlier - 1], earlier)
            raise InputError(
                f"{_name(model, number)} is the model of {first} again",
                remedy="Give each model of an ensemble once",
            )


def _pick(model: Model, tracks: Sequence[str] | None) -> tuple[int, ...]:
    known = model.spec.tracks
    if tracks is None:
        return tuple(range(len(known)))
    return select_tracks(tracks, known, owner="the model", listing="the model's summary")
