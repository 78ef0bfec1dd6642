"""What to explain, with which models and method, and the columns of the result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from danq._version import __version__
from danq.amounts import describe_units
from danq.errors import InputError
from danq.inference.ensemble import Ensemble, Models
from danq.inference.mutagenesis.effect_kinds import BITS, effect_for
from danq.inference.mutagenesis.effects import BaseEffects, EffectScorer, window_effects
from danq.inference.sources import Source
from danq.inference.writers.attribution_layout import AttributionLayout, WindowAttributions
from danq.interpretation.attribution.dataset_split import DatasetSplit
from danq.interpretation.attribution.explained_sequences import ExplainedSequences
from danq.interpretation.attribution.gradient_scorer import GradientScorer
from danq.interpretation.attribution.methods import (
    CONTRIBUTIONS,
    Integration,
    Method,
    check_method,
)


@dataclass(frozen=True)
class AttributionJob:
    """What to explain, and how.

    Attributes
    ----------
    ensemble
        Models in the precision in which contributions are computed.
    source
        Sequences, or windows of a dataset.
    method
        Method of attribution.
    integration
        Baseline and steps of integrated gradients.
    """

    ensemble: Ensemble
    source: Source | DatasetSplit
    method: Method
    integration: Integration

    @classmethod
    def of(
        cls,
        model: Models,
        source: Source | DatasetSplit,
        method: str,
        tracks: Sequence[str] | None,
        integration: Integration | None,
    ) -> AttributionJob:
        """Check the arguments of `danq.attribute`.

        Raises
        ------
        InputError
            When there is no such method, the models disagree, or a track is unknown; when settings
            of integrated gradients are given with another method.
        """
        checked = check_method(method)
        if integration is not None and checked != "integrated-gradients":
            raise InputError(
                f"baseline and steps are of integrated-gradients, and the method is {checked}",
                remedy="Leave them out, or choose the method integrated-gradients",
            )
        ensemble = Ensemble.of(model, tracks)
        if checked == "ism":
            ensemble = ensemble.for_effects()
        ensemble.check_measured()
        return cls(ensemble, source, checked, integration or Integration())

    def explain(self, sequences: ExplainedSequences) -> Iterator[WindowAttributions]:
        """Attributions of all windows, in order.

        Raises
        ------
        InputError
            As `GradientScorer`, before the first window.
        """
        if self.method == "ism":
            scorer = EffectScorer(self.ensemble, None)
            return (
                _of_effects(effects)
                for windows in sequences.batches(substitutions=scorer.block)
                for effects in window_effects(scorer, windows)
            )
        composition = None
        if self.method == "integrated-gradients" and self.integration.baseline == "composition":
            composition = sequences.composition()
        gradients = GradientScorer(self.ensemble, self.method, self.integration, composition)
        return (
            one
            for windows in sequences.batches(windows=gradients.windows)
            for one in gradients.explain(windows)
        )

    def layout(self, sequences: ExplainedSequences) -> AttributionLayout:
        """Columns of the attributions."""
        ensemble = self.ensemble
        members = f", mean over {len(ensemble.models)} models" if ensemble.spread else ""
        path = {}
        if self.method == "integrated-gradients":
            path = {
                "baseline": self.integration.describe(),
                "steps": f"{self.integration.steps} per path (midpoints)",
            }
        return AttributionLayout(
            key=sequences.key,
            method=self.method,
            baseline=path.get("baseline", ""),
            contigs=sequences.contigs,
            intervals=tuple(sequences.intervals),
            tracks=ensemble.tracks,
            groups=ensemble.groups,
            provenance={
                "danq": __version__,
                **ensemble.provenance(),
                **sequences.provenance(),
                "window": f"{ensemble.window} bases, centred on the sequence, or on each tile of "
                f"{ensemble.bin} bases of a longer one",
                **self._running(),
                "method": self.method,
                **path,
                "output": f"{self.output}{members}",
                "values": CONTRIBUTIONS[self.method],
                "coordinates": "pos is 1-based; position, start and end in HDF5 are 0-based, "
                "half-open",
            },
        )

    @property
    def output(self) -> str:
        """What is explained: log2 odds, or the units of the tracks."""
        if effect_for(self.ensemble.kinds, None) in BITS:
            return "log2 odds (bits)"
        return describe_units(self.ensemble.tracks, self.ensemble.units)

    def _running(self) -> dict[str, str]:
        """Strand, precision and device, for the header of an output."""
        running = self.ensemble.running()
        if self.method == "ism":
            return {**running, "tolerance": f"{self.ensemble.options.tolerance:g}"}
        return {**running, "precision": f"fp32 on {self.ensemble.options.torch_device}"}


def _of_effects(effects: BaseEffects) -> WindowAttributions:
    """Effects minus their mean over the four bases; that of the base that is there is 0."""
    mean = effects.mean.mean(axis=1, keepdims=True)
    return WindowAttributions(effects.window, effects.mean - mean)
