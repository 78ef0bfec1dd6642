"""Saturation mutagenesis: what every single-base change does to the predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from danq._memory import kept_memory
from danq._version import __version__
from danq.device import resolve_device, resolve_precision, set_threads
from danq.errors import InputError
from danq.genome.nucleotide_codes import N, encode
from danq.inference.ensemble import AnyModel, Ensemble
from danq.inference.mutagenesis.effects import (
    BLOCK,
    UNITS,
    BaseEffects,
    Effect,
    Judge,
    base_effects,
    pair_effects,
)
from danq.inference.mutagenesis.pairs import parse_pairs
from danq.inference.mutagenesis.targets import (
    JudgedWindow,
    Selection,
    SequenceTally,
    Stretch,
    judged_windows,
    open_stretches,
    stretch_of,
)
from danq.inference.writers.mutation_writers import ChangeLayout, mutation_kind, open_mutations
from danq.models.run_options import DEFAULT_TOLERANCE, RunOptions, Strand
from danq.output import check_target
from danq.typing import Codes, Location, Progress


class Mutated(NamedTuple):
    """What was written.

    Attributes
    ----------
    path
        The file.
    sequences
        Regions or records whose bases were changed.
    changes
        Single-base changes, and changes of two bases.
    columns
        Names of the value columns.
    """

    path: Path
    sequences: int
    changes: int
    columns: tuple[str, ...]


@kept_memory()
def mutate(
    models: AnyModel | Sequence[AnyModel],
    sequence: str | Codes,
    *,
    effect: Effect = "logit",
    tracks: Sequence[str] | None = None,
    strand: Strand = "both",
    tolerance: float = DEFAULT_TOLERANCE,
    batch_size: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
) -> Float32[np.ndarray, "L 4 K"]:
    """Effect of every single-base change of a sequence on every track.

    A sequence no longer than the model's window stands in the middle of one window (it starts at
    ``L // 2 - window // 2`` before the sequence), filled with unknown bases, and every effect is
    that on the prediction for this window. A longer one is cut into tiles of the model's bin, as
    `danq.predict` cuts it, and an effect is that on the prediction for the tile that holds the
    base, read from the window centred on that tile.

    Parameters
    ----------
    models
        Model file, run folder or loaded model; of several, the mean effect is given.
    sequence
        Letters, or ``(L,)`` codes (A 0, C 1, G 2, T 3, unknown 4).
    effect
        ``"logit"``: change in log2 odds (bits), the logits' difference over ln 2, as
        `danq.score_variants` gives it; ``"probability"``: change in probability. Both are
        altered minus unaltered.
    tracks
        Names of the tracks wanted, in that order. None for all.
    strand
        ``"both"`` averages the effects on a window and on its reverse complement; ``"forward"``
        reads the window as it is.
    tolerance
        As `danq.models.RunOptions` takes it; 0 is exact.
    batch_size
        Changed windows at a time. None takes danq's own.
    device, precision
        As `danq.device.resolve_device` and `danq.device.resolve_precision` take them.
    threads
        CPU threads of torch. None leaves them as they are.

    Returns
    -------
    np.ndarray
        ``(L, 4, K)``: effect of A, C, G, T in place of each base; 0 for the base that is there,
        NaN in all four where the base is unknown, since there is nothing to change from.

    Raises
    ------
    InputError
        When the sequence is empty or holds what is no base, a model is missing or damaged, the
        models disagree, a track is unknown, an option is none of its words, or the device is not
        there.

    Examples
    --------
    >>> effects = danq.mutate("runs/yeast", "ACGT" * 125)  # doctest: +SKIP
    >>> strongest = np.abs(effects).max(axis=(0, 1))  # doctest: +SKIP
    """
    codes = _codes(sequence)
    ensemble = Ensemble.load(models, tracks)
    judge = _judge(ensemble, strand, device, precision, threads, effect, tolerance, batch_size)
    parts = judged_windows(stretch_of(codes), ensemble.window, ensemble.bin)
    return np.concatenate([effects.mean for effects in base_effects(judge, parts)])


@kept_memory()
def mutate_file(
    models: AnyModel | Sequence[AnyModel],
    out: Location,
    *,
    input: Location | None = None,
    region: str | None = None,
    genome: Location | None = None,
    chrom_map: Location | None = None,
    pairs: str | None = None,
    effect: Effect = "logit",
    tracks: Sequence[str] | None = None,
    strand: Strand = "both",
    tolerance: float = DEFAULT_TOLERANCE,
    batch_size: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    overwrite: bool = False,
    watch: Callable[[BaseEffects], None] | None = None,
    check: Callable[[Ensemble, list[Stretch]], None] | None = None,
    progress: Progress | None = None,
) -> Mutated:
    """Write the effect of every single-base change of regions or records.

    Each is judged as `mutate` judges a sequence, but windows on a genome are filled from it.
    Memory does not grow with the length of a region; records of a FASTA file and rows of a BED file
    are all held.

    Parameters
    ----------
    models, effect, tracks, strand, tolerance, batch_size, device, precision, threads
        As `mutate` takes them.
    out
        ``.h5`` or ``.hdf5``, ``.tsv``, ``.tsv.gz`` or ``.parquet``; see docs/formats.md.
    input
        FASTA, whose records are changed whole and have nothing around them; or BED, whose rows
        are regions of ``genome``.
    region
        In place of ``input``, a region of ``genome``: ``chr:start-end`` (1-based, closed, as in
        samtools) or ``chr``.
    genome
        FASTA of the genome.
    chrom_map
        Tab-separated file: contig name in the BED file, name in the genome.
    pairs
        Part of a sequence in which every two bases are changed at once as well: ``start-end``
        (1-based, closed, counted along the contig or record as the output counts), with
        ``NAME:`` in front where there are several sequences. The sequence must not be longer
        than the window.
    overwrite
        Replace an output that is there.
    watch
        Called with the effects of each judged window.
    check
        Called with models and stretches before the work begins, to refuse them.
    progress
        Called with the changes done and the changes in all.

    Returns
    -------
    Mutated

    Raises
    ------
    InputError
        As `mutate`; when a file is missing or damaged, what is selected does not go together or
        leaves its contig, the pairs lie in no sequence or in one that is too long, or the output
        exists, has an unknown ending or cannot be written.
    """
    mutation_kind(out)
    check_target(out, overwrite)
    both = None if pairs is None else parse_pairs(pairs)
    selection = Selection(input, region, genome, chrom_map)
    ensemble = Ensemble.load(models, tracks)
    with open_stretches(selection, ensemble.window) as stretches:
        chosen = None if both is None else both.stretch(stretches, ensemble.window)
        if check is not None:
            check(ensemble, stretches)
        judge = _judge(ensemble, strand, device, precision, threads, effect, tolerance, batch_size)
        words = selection.provenance() | ({} if pairs is None else {"pairs": pairs})
        layout = _layout(ensemble, words, selection.key, judge)
        tally = SequenceTally()
        count = _Count(3 * sum(one.size for one in stretches) + (both.changes if both else 0))
        opened = open_mutations(out, layout, effect, pairs=both is not None, overwrite=overwrite)
        with opened as writer:
            for effects in base_effects(judge, _windows(stretches, ensemble)):
                writer.write(effects)
                tally.count(effects.judged)
                count.add(3 * len(effects.codes), 3 * int((effects.codes != N).sum()), progress)
                if watch is not None:
                    watch(effects)
                if both is None or effects.judged.stretch is not chosen:
                    continue
                low, high = (at - effects.judged.first for at in (both.start, both.end))
                for part in pair_effects(judge, effects.judged, low, high):
                    writer.write_pairs(part)
                    count.add(len(part.changes.window), len(part.changes.window), progress)
    tally.report(ensemble.window, ensemble.bin)
    return Mutated(Path(out), len(stretches), count.changes, layout.columns)


@dataclass
class _Count:
    """Changes in all, those done, and those of known bases among them."""

    total: int
    done: int = 0
    changes: int = 0

    def add(self, done: int, changes: int, progress: Progress | None) -> None:
        self.done += done
        self.changes += changes
        if progress is not None:
            progress(self.done, self.total)


def _windows(stretches: list[Stretch], ensemble: Ensemble) -> Iterator[JudgedWindow]:
    for stretch in stretches:
        yield from judged_windows(stretch, ensemble.window, ensemble.bin)


def _codes(sequence: str | Codes) -> Codes:
    codes = encode(sequence) if isinstance(sequence, str) else np.asarray(sequence)
    if codes.dtype != np.uint8 or codes.ndim != 1:
        raise InputError(f"codes are {codes.dtype} of shape {codes.shape}, not one row of uint8")
    if not codes.size:
        raise InputError("the sequence is empty", remedy="Give one base or more")
    if codes.max() > N:
        raise InputError(f"a code of {codes.max()} is above {N}")
    return codes


def _judge(
    ensemble: Ensemble,
    strand: Strand,
    device: str,
    precision: str,
    threads: int | None,
    effect: Effect,
    tolerance: float,
    batch_size: int | None,
) -> Judge:
    where = resolve_device(device)
    engine = RunOptions(
        str(where), resolve_precision(precision, where), strand=strand, tolerance=tolerance
    )
    if threads is not None:
        set_threads(threads)
    block = BLOCK if batch_size is None else batch_size
    return Judge(ensemble, engine, effect=effect, block=block)


def _layout(ensemble: Ensemble, words: dict[str, str], key: str, judge: Judge) -> ChangeLayout:
    engine = judge.engine
    values = UNITS[judge.effect]
    if ensemble.spread:
        values = (
            f"mean {values}, over {len(ensemble.models)} models, then sample standard deviations "
            "(_sd)"
        )
    return ChangeLayout(
        key=key,
        tracks=ensemble.tracks,
        groups=ensemble.groups,
        spread=ensemble.spread,
        provenance={
            "danq": __version__,
            **ensemble.provenance(),
            **words,
            "window": f"{ensemble.window} bases, centred on the sequence, or on each tile of "
            f"{ensemble.bin} bases of a longer one",
            "strand": engine.strand,
            "precision": f"{engine.precision} on {engine.device}",
            "tolerance": f"{engine.tolerance:g}",
            "coordinates": "pos is 1-based; position, start and end in HDF5 are 0-based, half-open",
            "values": values,
        },
    )
