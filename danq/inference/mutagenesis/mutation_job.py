"""What to mutate, with which models, and the columns of the result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from danq._version import __version__
from danq.amounts import describe_units
from danq.inference.ensemble import Ensemble, Models
from danq.inference.mutagenesis.batches import Batch, batches
from danq.inference.mutagenesis.effect_kinds import BITS, Effect, describe_effect
from danq.inference.mutagenesis.effects import BaseEffects, EffectScorer, base_effects
from danq.inference.mutagenesis.targets import Target, tile_size
from danq.inference.shard_run import shard_provenance
from danq.inference.sources import Source, Tiles
from danq.inference.writers.mutation_layout import MutationLayout
from danq.provenance import Provenance


@dataclass(frozen=True)
class MutationJob:
    """What to mutate, and with which models.

    Attributes
    ----------
    ensemble
        Models in the precision of effects.
    source
        Sequences.
    scorer
        Computes effects.
    """

    ensemble: Ensemble
    source: Source
    scorer: EffectScorer

    @classmethod
    def of(
        cls, model: Models, source: Source, effect: Effect | None, tracks: Sequence[str] | None
    ) -> MutationJob:
        """Check the arguments of `danq.mutate`.

        Raises
        ------
        InputError
            When the models disagree, a track is unknown, or no track has the effect.
        """
        ensemble = Ensemble.of(model, tracks).for_effects()
        ensemble.check_measured()
        return cls(ensemble, source, EffectScorer(ensemble, effect))

    @property
    def tile(self) -> int:
        """Bases of a tile of a sequence longer than the window.

        Raises
        ------
        InputError
            As `danq.inference.mutagenesis.targets.tile_size`.
        """
        return tile_size(self.source, self.ensemble.window, self.ensemble.bin)

    def batches(self, targets: list[Target]) -> Iterator[Batch]:
        """The bases to mutate, in batches that are scored together."""
        return batches(targets, self.ensemble.window, self.tile, self.scorer.block)

    @property
    def _windows(self) -> str:
        """Which window a base is scored in, for the header."""
        window = f"{self.ensemble.window} bases, centred on"
        if isinstance(self.source, Tiles):
            return f"{window} each tile of {self.tile} bases; the last of a contig may be shorter"
        return f"{window} the sequence, or on each tile of {self.tile} bases of a longer one"

    def units(self) -> dict[str, str]:
        """Units of the effects on amounts, or of the amounts without a mutation."""
        if "amounts" not in self.ensemble.kinds:
            return {}
        text = describe_units(self.ensemble.tracks, self.ensemble.units)
        return {"units of the reference" if self.scorer.effect in BITS else "units": text}

    def effects(self, some: Iterable[Batch]) -> Iterator[BaseEffects]:
        """Effects of the substitutions of some batches."""
        return base_effects(self.scorer, some, self.ensemble.window)

    def identity(self, format: str) -> Provenance:
        """What all shards of a run share.

        Raises
        ------
        InputError
            When a file of the source cannot be read.
        """
        settings = {
            "format": format,
            "effect": self.scorer.effect,
            "tolerance": f"{self.ensemble.options.tolerance:g}",
            **self.scorer.batches(),
            "substitutions per batch": str(self.scorer.block),
        }
        return shard_provenance(self.ensemble, self.source, settings)

    def layout(self, pairs: str | None = None) -> MutationLayout:
        """Columns of the effects; ``pairs`` is the interval whose pairs are mutated."""
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
                "window": self._windows,
                **ensemble.running(),
                **self.scorer.batches(),
                "tolerance": f"{ensemble.options.tolerance:g}",
                "coordinates": "pos is 1-based; position, start and end in HDF5 are 0-based, "
                "half-open",
                "values": values,
                **self.units(),
            },
        )
