"""danq's commands from file to file, and what the model and the writer could do alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import torch

from benchmarks.gpu.model_rows import model_rate
from benchmarks.gpu.setting import Setting, rate
from benchmarks.harness.reference_model import danq_model, danq_module, random_codes
from benchmarks.harness.timing import Measurement
from benchmarks.speed.variants import write_snvs
from danq.genome.nucleotide_codes import decode
from danq.inference import Tiles, write_mutations, write_predictions, write_variant_scores
from danq.inference.engine.forward import prepared
from danq.inference.engine.whole_windows import BATCH, WholeWindows, effect_options
from danq.models import Model, load_model, save_model

SELECTED = 3
"""Tracks of the variants with one score."""


def predict(setting: Setting) -> Iterator[Measurement]:
    """`danq predict`: tiles of a genome, both strands, all tracks, to HDF5."""
    windows = setting.some(40, 60_000)
    model = _model(setting)
    genome, out = setting.folder / "tiles.fa", setting.folder / "predictions.h5"
    text = decode(np.random.default_rng(0).integers(0, 4, model.spec.bin * windows, dtype=np.uint8))
    genome.write_text(f">chr1\n{text}\n")

    def call() -> None:
        write_predictions(model, Tiles(genome, model.spec.bin), out, overwrite=True)

    call()
    seconds = setting.seconds_of(call)
    row = rate("predict, both strands, HDF5", windows, seconds, "windows/s", bytes=_size(out))
    plain = prepared(model.module, model.options)
    alone = model_rate(setting, plain, model.options.resolved_precision) / 2
    row.note = f"{row.value / alone:.0%} of the model alone"  # type: ignore[operator]
    row.details["model_windows_per_second"] = alone
    yield row
    yield from _writer(setting, out, windows, model)


def _writer(setting: Setting, out: Path, windows: int, model: Model) -> Iterator[Measurement]:
    """MB/s of h5py for an array of the predictions' size, without danq."""
    values = np.random.default_rng(1).random((windows, len(model.tracks)), dtype=np.float32)
    file = setting.folder / "plain.h5"

    def write() -> None:
        with h5py.File(file, "w") as opened:
            opened.create_dataset("values", data=values)

    seconds = min(setting.seconds_of(write) for _ in range(2))
    yield rate("h5py alone, uncompressed", values.nbytes, seconds * 1e6, "MB/s", file=str(out.name))


def variants(setting: Setting) -> Iterator[Measurement]:
    """`danq variants`: SNVs, one strand, one score of some tracks, or all scores."""
    model = _model(setting).with_options(strand="forward")
    alone = _variants_alone(setting, model)
    counts = setting.some(60, 200_000), setting.some(40, 40_000)
    cases = (("one score, TSV", "a.tsv", ["logit"]), ("all scores, HDF5", "a.h5", None))
    for (name, file, scores), count in zip(cases, counts, strict=True):
        folder = setting.folder / file
        folder.mkdir(exist_ok=True)
        write_snvs(folder, count, setting.size.length)
        tracks = list(model.tracks[:SELECTED]) if scores else None

        def call(folder=folder, file=file, scores=scores, tracks=tracks) -> None:
            write_variant_scores(
                model,
                folder / "snvs.vcf",
                folder / "genome.fa",
                folder / file,
                scores=scores,
                tracks=tracks,
                overwrite=True,
            )

        first = setting.seconds_of(call)
        seconds = setting.seconds_of(call)
        row = rate(f"variants, {name}", count, seconds, "variants/s", first_seconds=first)
        row.note = f"{row.value / alone:.0%} of the model alone"  # type: ignore[operator]
        row.details |= {"model_variants_per_second": alone, "bytes": _size(folder / file)}
        yield row


def _variants_alone(setting: Setting, model: Model) -> float:
    """Variants per second of the model on windows that are on the device."""
    engine = WholeWindows(model.module, effect_options(model.options))

    count = setting.some(64, 2 * BATCH)
    codes = torch.from_numpy(random_codes(setting.size, count)).to(setting.device)
    engine.logits(codes)
    engine.logits(codes)
    repeats = setting.some(1, 8)
    seconds = setting.seconds_of(lambda: [engine.logits(codes) for _ in range(repeats)])
    return count * repeats / 2 / seconds


def mutate(setting: Setting) -> Iterator[Measurement]:
    """`danq mutate`: sequences of the window's length, both strands, all tracks, to HDF5."""
    sequences = setting.some(2, 100)
    codes = random_codes(setting.size, sequences, unknown=0)
    fasta, out = setting.folder / "sequences.fa", setting.folder / "effects.h5"
    if setting.quick:
        codes = codes[:, :30]
    lines = (f">s{number}\n{decode(one)}\n" for number, one in enumerate(codes))
    fasta.write_text("".join(lines))
    model = _model(setting)

    def call() -> None:
        write_mutations(model, fasta, out, overwrite=True)

    first = setting.seconds_of(call)
    seconds = setting.seconds_of(call)
    row = Measurement(f"mutate, {sequences} sequences", seconds, unit="s")
    row.details = {"first_seconds": first, "bases": codes.size, "bytes": _size(out)}
    row.note = f"{3 * codes.size / seconds:,.0f} substitutions/s"
    yield row


def _model(setting: Setting) -> Model:
    """A model with random weights, from a file."""
    file = setting.folder / "model.safetensors"
    if not file.exists():
        module = danq_module(setting.size).eval()
        save_model(file, module, danq_model(setting.size, module).spec)
    return load_model(file, device=str(setting.device))


def _size(path: Path) -> int:
    return path.stat().st_size
