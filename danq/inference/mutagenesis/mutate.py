"""Saturation mutagenesis: what every single-base change does to the predictions."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

import danq
from danq.device import resolve_device, resolve_precision, set_threads
from danq.errors import InputError
from danq.genome.alphabet import N, encode
from danq.inference.ensemble import AnyModel, Engine, Ensemble
from danq.inference.forward import Strand
from danq.inference.incremental import DEFAULT_TOLERANCE
from danq.inference.mutagenesis.effects import (
    BLOCK,
    UNITS,
    BaseEffects,
    Effect,
    Judge,
    base_effects,
    pair_effects,
)
from danq.inference.mutagenesis.stretches import (
    Selection,
    Stretch,
    Tally,
    open_stretches,
    scenes,
    stretch_of,
)
from danq.inference.mutagenesis.writers import ChangeLayout, mutation_kind, open_mutations
from danq.inference.sources.request import Location
from danq.memory import kept_memory
from danq.output import check_target
from danq.typing import Codes

_PAIRS = re.compile(r"(?:(?P<name>\S+):)?(?P<start>[0-9][0-9,]*)-(?P<end>[0-9][0-9,]*)")

Progress = Callable[[int, int], None]


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
        As `danq.inference.incremental.Incremental` takes it; 0 is exact.
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
    parts = scenes(stretch_of(codes), ensemble.window, ensemble.bin)
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
        Called with the effects of each scene.
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
    place = None if pairs is None else _parse_pairs(pairs)
    selection = Selection(input, region, genome, chrom_map)
    ensemble = Ensemble.load(models, tracks)
    with open_stretches(selection, ensemble.window) as stretches:
        chosen = None if place is None else _find_pairs(*place, stretches, ensemble.window)
        if check is not None:
            check(ensemble, stretches)
        judge = _judge(ensemble, strand, device, precision, threads, effect, tolerance, batch_size)
        words = selection.provenance() | ({} if pairs is None else {"pairs": pairs})
        layout = _layout(ensemble, words, selection.key, judge, tolerance)
        tally = Tally()
        total = 3 * sum(stretch.size for stretch in stretches) + _pair_count(place)
        done = changes = 0
        with open_mutations(
            out, layout, effect, pairs=pairs is not None, overwrite=overwrite
        ) as writer:
            parts = (
                scene
                for stretch in stretches
                for scene in scenes(stretch, ensemble.window, ensemble.bin)
            )
            for effects in base_effects(judge, parts):
                scene = effects.scene
                writer.write(effects)
                tally.count(scene)
                done += 3 * (scene.high - scene.low)
                changes += 3 * int((effects.codes != N).sum())
                if watch is not None:
                    watch(effects)
                if progress is not None:
                    progress(done, total)
                if scene.stretch is not chosen or place is None:
                    continue
                low, high = (position - scene.first for position in place[1:])
                for part in pair_effects(judge, scene, low, high):
                    writer.write_pairs(part)
                    done += len(part.changes.window)
                    changes += len(part.changes.window)
                    if progress is not None:
                        progress(done, total)
    tally.report(ensemble.window, ensemble.bin)
    return Mutated(Path(out), len(stretches), changes, layout.columns)


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
    engine = Engine(strand, str(where), resolve_precision(precision, where))
    if threads is not None:
        set_threads(threads)
    block = BLOCK if batch_size is None else batch_size
    return Judge(ensemble, engine, effect=effect, tolerance=tolerance, block=block)


def _layout(
    ensemble: Ensemble, words: dict[str, str], key: str, judge: Judge, tolerance: float
) -> ChangeLayout:
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
            "danq": danq.__version__,
            **ensemble.provenance(),
            **words,
            "window": f"{ensemble.window} bases, centred on the sequence, or on each tile of "
            f"{ensemble.bin} bases of a longer one",
            "strand": engine.strand,
            "precision": f"{engine.precision} on {engine.device}",
            "tolerance": f"{tolerance:g}",
            "coordinates": "pos is 1-based; position, start and end in HDF5 are 0-based, half-open",
            "values": values,
        },
    )


def _parse_pairs(text: str) -> tuple[str | None, int, int]:
    """Name or None, and a 0-based half-open part."""
    match = _PAIRS.fullmatch(text.strip())
    if match is None:
        raise InputError(
            f"the pairs '{text}' are not start-end",
            remedy="Write start-end or NAME:start-end, 1-based with both ends included",
        )
    start, end = (int(match[part].replace(",", "")) for part in ("start", "end"))
    if start < 1 or end <= start:
        raise InputError(
            f"the pairs {start}-{end} hold no two bases",
            remedy="Write start-end, 1-based with both ends included, the end above the start",
        )
    return match["name"], start - 1, end


def _pair_count(place: tuple[str | None, int, int] | None) -> int:
    if place is None:
        return 0
    bases = place[2] - place[1]
    return 9 * bases * (bases - 1) // 2


def _find_pairs(
    name: str | None, start: int, end: int, stretches: list[Stretch], window: int
) -> Stretch:
    """The first stretch that holds the pairs."""
    if name is None and len(stretches) > 1:
        raise InputError(
            f"pairs {start + 1}-{end} could be in any of {len(stretches):,} sequences",
            remedy="Put the sequence's name in front: NAME:start-end",
        )
    mine = [one for one in stretches if name in (None, one.name)]
    if not mine:
        raise InputError(
            f"pairs are wanted in '{name}', and no sequence has that name",
            remedy=f"The first sequence is {stretches[0].name}",
        )
    inside = [one for one in mine if one.start <= start and end <= one.end]
    if not inside:
        raise InputError(
            f"pairs {start + 1}-{end} are not inside {mine[0].words} (1-based, closed)",
            remedy="Count along the contig or record, as the output does",
        )
    if inside[0].size > window:
        raise InputError(
            f"pairs are wanted in {inside[0].words}, whose {inside[0].size:,} bases are more than "
            f"the window of {window:,}",
            remedy="Choose a region around them that is no longer than the window",
        )
    return inside[0]
