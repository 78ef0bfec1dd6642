"""Attribute a prediction to the bases of a sequence."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np
import polars as pl

from danq.bounded_queue import write_behind
from danq.files.inputs_in_use import protects_inputs
from danq.inference.ensemble import Models
from danq.inference.mutagenesis.targets import SequenceTally
from danq.inference.sources import Source, as_source
from danq.inference.writers.attribution_hdf5 import worse
from danq.inference.writers.attribution_layout import (
    AttributionLayout,
    Completeness,
    WindowAttributions,
)
from danq.inference.writers.open_output import Output, find_output
from danq.inference.writers.writer import Writer
from danq.interpretation.attribution.attribution_job import AttributionJob
from danq.interpretation.attribution.attributions import Attributions
from danq.interpretation.attribution.dataset_split import DatasetSplit
from danq.interpretation.attribution.explained_sequences import ExplainedSequences, open_sequences
from danq.interpretation.attribution.methods import Integration, Method
from danq.interpretation.attribution.written_attributions import (
    CompletenessTally,
    WrittenAttributions,
)
from danq.progress import stage
from danq.typing import Location

log = logging.getLogger("danq")

LARGE_ERROR = 0.01
"""Share of the differences above which errors of completeness are a warning."""


class AttributionObserver(Protocol):
    """Receives the attributions while `write_attributions` writes them, for a plot."""

    def writer(self, output: Output, layout: AttributionLayout) -> AbstractContextManager[Writer]:
        """Writer of the output, which may get its name together with that of the plot."""
        ...

    def begin(self, job: AttributionJob, sequences: ExplainedSequences) -> None:
        """Check models and sequences before any window is explained."""

    def window(self, block: WindowAttributions) -> None:
        """Receive the attributions of one window."""

    def end(self) -> None:
        """Finish after the last window, before the output gets its name."""


def attribute(
    model: Models,
    source: Any,
    *,
    method: Method = "ism",
    tracks: Sequence[str] | None = None,
    integration: Integration | None = None,
) -> Attributions:
    """How much each base of a sequence contributes to the prediction of each track.

    Contributions are to the output that `danq.mutate` mutates: for peaks log2 odds (bits), for
    amounts the amount; with peaks and amounts, the probability and the amount. They are means over
    both strands (unless the option ``strand`` of the model is ``"forward"``) and over models.

    A sequence no longer than the model's window is explained in one window centred on it, padded
    with N. A longer one is split into tiles of the model's bin, and each base is explained in the
    window centred on its tile. Sequences that are N in more than half of their bases are left out,
    with a warning.

    Every method gives each base at each position a *hypothetical* contribution, which it would have
    there. The contribution of the sequence's own base is one of these four. A base N has none.

    Parameters
    ----------
    model
        A loaded model, or several.
    source
        Sequences in memory or in a FASTA file, as for `danq.predict`; `danq.Regions`; or
        `danq.DatasetSplit`, the positive windows of a split of a dataset.
    method
        ``"ism"``: effects of all substitutions (`danq.mutate`), minus their mean over the four
        bases. ``"gradient"``: gradients of the output with respect to the one-hot sequence, minus
        their mean over the four bases. ``"input-x-gradient"``: the gradients themselves.
        ``"integrated-gradients"``: mean gradients on straight paths from baselines to the sequence,
        times the difference between the two; contributions add up to the difference between the
        outputs for the window and for the baselines.
    tracks
        Names of the selected tracks, in that order. None selects all.
    integration
        Baseline and steps of integrated gradients.

    Raises
    ------
    InputError
        As `danq.mutate`; when there is no such method, a model has no gradients or its precision is
        bf16, ``integration`` is given with another method, a dataset does not match the models or
        has no positive window, or all sequences are mostly N.

    Notes
    -----
    Mutagenesis: Zhou & Troyanskaya, Nature Methods 2015. Gradients: Simonyan, Vedaldi & Zisserman,
    arXiv:1312.6034 (2013); without their mean: Majdandzic et al., Genome Biology 2023. Input x
    gradient: Shrikumar et al., arXiv:1605.01713 (2016). Integrated gradients: Sundararajan, Taly &
    Yan, ICML 2017. Hypothetical contributions: Shrikumar et al., arXiv:1811.00416 (2018).

    Examples
    --------
    >>> model = danq.load("runs/yeast")  # doctest: +SKIP
    >>> found = danq.attribute(model, danq.Regions("chrIV:1008588-1009087", "sacCer3.fa"),
    ...                        tracks=["Reb1"])  # doctest: +SKIP
    >>> found.to_polars().sort("Reb1").tail(8)  # doctest: +SKIP
    """
    job = AttributionJob.of(model, _source(source), method, tracks, integration)
    with open_sequences(job.source, job.ensemble) as sequences:
        layout = job.layout(sequences)
        done, tally = [], _Tally()
        with stage("explaining", "bases", sequences.bases) as now:
            for block in job.explain(sequences):
                done.append(block)
                tally.count(block)
                now.add(len(block.codes))
        tally.report(job)
        return _joined(done, layout, sequences)


@protects_inputs
def write_attributions(
    model: Models,
    source: Any,
    out: Location,
    *,
    method: Method = "ism",
    tracks: Sequence[str] | None = None,
    integration: Integration | None = None,
    overwrite: bool = False,
    observer: AttributionObserver | None = None,
) -> WrittenAttributions:
    """Write how much each base of a sequence contributes to the prediction of each track.

    As `danq.attribute`. Memory does not grow with the number and length of regions.

    Parameters
    ----------
    model, source, method, tracks, integration
        As for `danq.attribute`.
    out
        ``.h5`` or ``.hdf5``: all contributions. ``.tsv``, ``.tsv.gz`` or ``.parquet``:
        contributions of the bases that are there. ``.bw``, or a name without an extension: a
        directory of bigWig files of the same, one per track, for regions that do not overlap.
        ``.npz``: hypothetical contributions to one track, and beside it ``.onehot.npz``, the two
        files that the command line of TF-MoDISco reads. See docs/formats.md.
    overwrite
        Replace an existing output.
    observer
        Receives the attributions of each window.

    Raises
    ------
    InputError
        As `danq.attribute`; when the output exists, has an unknown extension or cannot be written,
        when it is bigWig and sequences are not on a genome or overlap, or when it is an npz and
        there are several tracks or lengths.
    """
    given = _source(source)
    output = find_output(out, AttributionLayout)
    output.check(overwrite=overwrite)
    job = AttributionJob.of(model, given, method, tracks, integration)
    with open_sequences(given, job.ensemble) as sequences:
        if observer is not None:
            observer.begin(job, sequences)
        if output.writer.ordered:
            sequences.sort_for_tracks()
        layout, tally = job.layout(sequences), _Tally()
        output.writer.check_layout(layout)
        blocks = job.explain(sequences)
        with (
            stage("explaining", "bases", sequences.bases) as now,
            output.open(layout, overwrite=overwrite)
            if observer is None
            else observer.writer(output, layout) as writer,
        ):
            with write_behind(writer.write) as write:
                for block in blocks:
                    write(block)
                    tally.count(block)
                    now.add(len(block.codes))
                    if observer is not None:
                        observer.window(block)
            if observer is not None:
                observer.end()
    tally.report(job)
    return WrittenAttributions(
        output.path,
        job.method,
        sequences.sequences,
        tally.known,
        layout.tracks,
        tally.completeness.result(),
    )


class _Tally:
    """Counts for the notices at the end of a run."""

    def __init__(self) -> None:
        self._sequences, self.completeness = SequenceTally(), CompletenessTally()

    @property
    def known(self) -> int:
        return self._sequences.bases - self._sequences.unknown

    def count(self, block: WindowAttributions) -> None:
        self._sequences.count(block.window)
        self.completeness.count(block.completeness)

    def report(self, job: AttributionJob) -> None:
        self._sequences.report(job.ensemble.window, job.ensemble.bin)
        errors = self.completeness.result()
        if errors is not None and errors.share > LARGE_ERROR:
            log.warning("%s. Use more steps", errors.describe())


def _source(source: Any) -> Source | DatasetSplit:
    return source if isinstance(source, DatasetSplit) else as_source(source)


def _joined(
    blocks: list[WindowAttributions], layout: AttributionLayout, sequences: ExplainedSequences
) -> Attributions:
    names, start, end = zip(*sequences.intervals, strict=True)
    sizes = np.array(end) - np.array(start)
    base = np.concatenate([one.codes for one in blocks])
    found: dict[str, Any] = {}
    if layout.baseline:
        worst: list[Completeness] = []
        for one in blocks:
            assert one.completeness is not None
            begins = one.window.first + one.window.low == one.window.target.start
            before = None if begins else worst.pop()
            worst.append(worse(before, one.completeness))
        for number, name in enumerate(("completeness", "difference")):
            found[name] = np.stack([one[number] for one in worst]).astype(np.float32)
    return Attributions(
        method=layout.method,
        baseline=layout.baseline,
        key=layout.key,
        tracks=layout.tracks,
        groups=layout.groups,
        sequences=pl.DataFrame({layout.key: names, "start": start, "end": end}),
        sequence=np.repeat(np.arange(len(sizes)), sizes).astype(np.uint32),
        position=np.concatenate([one.positions for one in blocks]),
        base=base,
        attributions=np.concatenate([one.attributions for one in blocks]),
        hypothetical=np.concatenate([one.hypothetical for one in blocks]),
        provenance=layout.provenance,
        **found,
    )
