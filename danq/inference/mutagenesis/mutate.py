"""In silico saturation mutagenesis: the effect of every single-base substitution."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import polars as pl

from danq._memory import kept_memory
from danq._version import __version__
from danq.amounts import describe_units
from danq.bounded_queue import write_behind
from danq.files.inputs_in_use import protects_inputs
from danq.genome.nucleotide_codes import LETTERS, N
from danq.inference.ensemble import Ensemble, Models
from danq.inference.mutagenesis.effect_kinds import BITS, Effect, describe_effect
from danq.inference.mutagenesis.effects import (
    BaseEffects,
    EffectScorer,
    base_effects,
    pair_effects,
)
from danq.inference.mutagenesis.pairs import PairRegion, parse_pairs
from danq.inference.mutagenesis.targets import (
    SequenceTally,
    Target,
    TargetWindow,
    open_targets,
    target_windows,
)
from danq.inference.result import Result
from danq.inference.sources import Source, as_source
from danq.inference.writers.mutation_layout import MutationLayout
from danq.inference.writers.open_output import Output, find_output
from danq.inference.writers.writer import Writer
from danq.output import name_of_output
from danq.typing import Location, Progress

_LETTERS = np.array(list(LETTERS), dtype=object)


class WrittenMutations(NamedTuple):
    """Effects of mutations in a file.

    Attributes
    ----------
    path
        The file.
    sequences
        Regions or records that were mutated.
    substitutions
        Number of substitutions of one base.
    pairs
        Number of pairs of substitutions.
    columns
        Names of the value columns.
    """

    path: Path
    sequences: int
    substitutions: int
    pairs: int
    columns: tuple[str, ...]

    def describe(self) -> str:
        """Path, substitutions and sequences on one line."""
        pairs = f" and {self.pairs:,} pairs of substitutions" if self.pairs else ""
        return (
            f"{name_of_output(self.path)}: {self.substitutions:,} substitutions{pairs} "
            f"in {self.sequences:,} sequence{'s' * (self.sequences != 1)}"
        )


class MutationObserver(Protocol):
    """Receives the effects while `write_mutations` writes them, for a plot."""

    def writer(self, output: Output, layout: MutationLayout) -> AbstractContextManager[Writer]:
        """Writer of the output, which may get its name together with that of the plot."""
        ...

    def begin(self, ensemble: Ensemble, targets: list[Target]) -> None:
        """Check models and targets before any window is scored."""

    def window(self, effects: BaseEffects) -> None:
        """Receive the effects of one window."""

    def end(self) -> None:
        """Finish after the last window, before the output gets its name."""


@kept_memory()
def mutate(
    model: Models,
    source: Any,
    *,
    effect: Effect | None = None,
    tracks: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> Result:
    """Effect of every single-base substitution on every track (in silico mutagenesis).

    A sequence no longer than the model's window is scored in one window centred on it, padded
    with N. A longer one is split into tiles of the model's bin, as `danq.predict` does; the effect
    of a base is that on the prediction for its tile, in the window centred on the tile. Windows on
    a genome are filled with its bases.

    Parameters
    ----------
    model
        A loaded model; for several, the mean effect and its sample standard deviation are
        reported.
    source
        Sequences in memory or in a FASTA file, as for `danq.predict`; or `danq.Regions`.
    effect
        ``"logit"``: change in log2 odds (bits) of a peak, as in `danq.score_variants`;
        ``"probability"``: change in its probability; ``"log2fc"``: log2 fold change of an amount,
        as in `danq.score_variants`; ``"difference"``: change in an amount, in the unit of the
        model, or of the measured values with the option ``measured``. All are mutant minus
        reference. If there are peaks and amounts, ``"logit"`` and ``"log2fc"`` select both effects
        in bits, the others both differences. None selects ``"logit"`` for peaks alone and
        ``"difference"`` otherwise. A profile counts with its total.
    tracks
        Names of the selected tracks, in that order. None selects all.
    progress
        Called with the number of substitutions done and the total.

    Returns
    -------
    Result
        ``values`` are ``(N, 4, C)``: one row per base, the effect of A, C, G and T at that base;
        0 for the base that is there, NaN for a base N. For one sequence N is its length.

    Raises
    ------
    InputError
        When a sequence is empty or has letters outside the IUPAC codes, a file is missing or
        damaged, the models disagree, a track is unknown, the effect is of another kind than all
        tracks, or a region extends past its contig.

    Examples
    --------
    >>> model = danq.load("runs/yeast")  # doctest: +SKIP
    >>> effects = danq.mutate(model, "ACGT" * 125)  # doctest: +SKIP
    >>> strongest = np.abs(effects.values).max(axis=(0, 1))  # doctest: +SKIP
    """
    job = _Job.of(model, as_source(source), effect, tracks)
    layout = job.layout()
    with open_targets(job.source) as targets:
        counter = _Counter(3 * sum(one.size for one in targets))
        done = []
        for effects in base_effects(job.scorer, job.windows(targets)):
            done.append(effects)
            counter.add(3 * len(effects.codes), 0, progress)
    values = [np.empty((0, 4, len(layout.columns)), np.float32)]
    values += [
        one.mean if one.spread is None else np.concatenate([one.mean, one.spread], axis=2)
        for one in done
    ]
    return Result(
        values=np.concatenate(values),
        columns=layout.columns,
        tracks=layout.tracks,
        rows=_base_rows(layout.key, done),
        provenance=layout.provenance,
    )


@protects_inputs
@kept_memory()
def write_mutations(
    model: Models,
    source: Any,
    out: Location,
    *,
    effect: Effect | None = None,
    tracks: Sequence[str] | None = None,
    pairs: str | None = None,
    overwrite: bool = False,
    observer: MutationObserver | None = None,
    progress: Progress | None = None,
) -> WrittenMutations:
    """Write the effect of every single-base substitution to a file.

    As `danq.mutate`. Memory does not grow with the length of a region; the records of a FASTA file
    and the rows of a BED file are held in memory.

    Parameters
    ----------
    model, source, effect, tracks, progress
        As for `danq.mutate`.
    out
        ``.h5`` or ``.hdf5``, ``.tsv``, ``.tsv.gz`` or ``.parquet``; see docs/formats.md.
    pairs
        Also mutate all pairs of bases of an interval: ``start-end`` (1-based, closed, on the
        contig or record, as in the output), or ``NAME:start-end`` if there are several sequences.
        The sequence must not be longer than the window.
    overwrite
        Replace an existing output.
    observer
        Receives the effects of each window.

    Raises
    ------
    InputError
        As `danq.mutate`; when the pairs are in no sequence or in one that is too long, or the
        output exists, has an unknown extension or cannot be written.
    """
    output = find_output(out, MutationLayout)
    output.check(overwrite=overwrite)
    interval = None if pairs is None else parse_pairs(pairs)
    job = _Job.of(model, as_source(source), effect, tracks)
    with open_targets(job.source) as targets:
        chosen = None if interval is None else interval.target(targets, job.ensemble.window)
        if observer is not None:
            observer.begin(job.ensemble, targets)
        layout = job.layout(pairs)
        tally = SequenceTally()
        counter = _Counter(
            3 * sum(one.size for one in targets) + (interval.substitutions if interval else 0)
        )
        with (
            output.open(layout, overwrite=overwrite)
            if observer is None
            else observer.writer(output, layout) as writer
        ):
            with write_behind(writer.write) as write:
                for effects in base_effects(job.scorer, job.windows(targets)):
                    write(effects)
                    tally.count(effects.window)
                    known = 3 * int((effects.codes != N).sum())
                    counter.add(3 * len(effects.codes), known, progress)
                    if observer is not None:
                        observer.window(effects)
                    if interval is not None and effects.window.target is chosen:
                        _write_pairs(job.scorer, effects.window, interval, write, counter, progress)
            if observer is not None:
                observer.end()
    tally.report(job.ensemble.window, job.ensemble.bin)
    return WrittenMutations(
        output.path, len(targets), counter.substitutions, counter.pairs, layout.columns
    )


def _write_pairs(
    scorer: EffectScorer,
    window: TargetWindow,
    interval: PairRegion,
    write: Callable[..., None],
    counter: _Counter,
    progress: Progress | None,
) -> None:
    low, high = interval.start - window.first, interval.end - window.first
    for part in pair_effects(scorer, window, low, high):
        write(part)
        count = len(part.substitutions.window)
        counter.pairs += count
        counter.add(count, 0, progress)


@dataclass
class _Counter:
    """Single and double substitutions in total and done, and those of bases other than N."""

    total: int
    done: int = 0
    substitutions: int = 0
    pairs: int = 0

    def add(self, done: int, substitutions: int, progress: Progress | None) -> None:
        self.done += done
        self.substitutions += substitutions
        if progress is not None:
            progress(self.done, self.total)


@dataclass(frozen=True)
class _Job:
    """What to mutate, and with which models."""

    ensemble: Ensemble
    source: Source
    scorer: EffectScorer

    @classmethod
    def of(
        cls, model: Models, source: Source, effect: Effect | None, tracks: Sequence[str] | None
    ) -> _Job:
        ensemble = Ensemble.of(model, tracks).for_effects()
        ensemble.check_measured()
        return cls(ensemble, source, EffectScorer(ensemble, effect))

    def windows(self, targets: list[Target]) -> Iterator[TargetWindow]:
        for target in targets:
            yield from target_windows(target, self.ensemble.window, self.ensemble.bin)

    def units(self) -> dict[str, str]:
        """Units of the effects on amounts, or of the amounts without a mutation."""
        if "amounts" not in self.ensemble.kinds:
            return {}
        text = describe_units(self.ensemble.tracks, self.ensemble.units)
        return {"units of the reference" if self.scorer.effect in BITS else "units": text}

    def layout(self, pairs: str | None = None) -> MutationLayout:
        ensemble = self.ensemble
        values = describe_effect(self.scorer.effect, ensemble.kinds)
        if ensemble.spread:
            values = (
                f"mean {values}, over {len(ensemble.models)} models, then sample standard "
                "deviations (_sd)"
            )
        return MutationLayout(
            key=self.source.key,
            effect=self.scorer.effect,
            pairs=pairs is not None,
            tracks=ensemble.tracks,
            groups=ensemble.groups,
            spread=ensemble.spread,
            provenance={
                "danq": __version__,
                **ensemble.provenance(),
                **self.source.provenance(),
                **({} if pairs is None else {"pairs": pairs}),
                "window": f"{ensemble.window} bases, centred on the sequence, or on each tile of "
                f"{ensemble.bin} bases of a longer one",
                **ensemble.running(),
                **self.scorer.batches(),
                "tolerance": f"{ensemble.options.tolerance:g}",
                "coordinates": "pos is 1-based; position, start and end in HDF5 are 0-based, "
                "half-open",
                "values": values,
                **self.units(),
            },
        )


def _base_rows(key: str, done: list[BaseEffects]) -> pl.DataFrame:
    names = [one.window.target.name for one in done for _ in range(len(one.codes))]
    position = [one.window.first + np.arange(one.window.low, one.window.high) + 1 for one in done]
    codes = [one.codes for one in done]
    empty = np.empty(0, np.int64)
    return pl.DataFrame(
        {
            key: names,
            "pos": np.concatenate([empty, *position]),
            "ref": _LETTERS[np.concatenate([empty, *codes])].tolist(),
        },
        schema={key: pl.String, "pos": pl.Int64, "ref": pl.String},
    )
