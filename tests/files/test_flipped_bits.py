"""A thousand flipped bits in a file of each format with a checksum: every one is detected."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest
import torch

from danq.datasets import Dataset
from danq.errors import InputError
from danq.inference.blocks import FinishedBlock, FinishedBlocks
from danq.inference.blocks.folder import JOURNAL, folder_of
from danq.inference.variants.background import Background, StratumScores, ranks, tail_ranks
from danq.inference.variants.background_file import read_background, write_background_file
from danq.inference.variants.finished_output import FinishedOutput, read_finished, seal_table
from danq.inference.variants.strata import ALL, Stratum
from danq.inference.writers.variant_hdf5 import VariantHdf5
from danq.inference.writers.variant_layout import VariantLayout
from danq.interpretation.variant_classification.effect_features import read_effects
from danq.models import architecture, load_model, save_model, untrained
from danq.provenance import Provenance
from danq.training.checkpoint import Checkpoints, TrainingState
from danq.training.progress import TrainingProgress
from danq.vision import load_vision_model
from danq.vision.task import Sizes
from danq.vision.task_registry import load_task
from danq.vision.vision_model_file import VisionSpec, build
from tests.small_dataset import small_dataset

BITS = 1000
IDENTITY = Provenance(settings={"strand": "both"})
BLOCKS = 2


class Sealed(NamedTuple):
    """A file, and the function that reads it.

    Attributes
    ----------
    path
        The file.
    read
        Reads the file; raises InputError if it is damaged.
    """

    path: Path
    read: Callable[[], object]


def dataset(folder: Path) -> Sealed:
    path = folder / "a.h5"
    small_dataset(30, 700).save(path)
    return Sealed(path, lambda: Dataset.open(path))


def model(folder: Path) -> Sealed:
    path = folder / "a.safetensors"
    shape = {"filters": 8, "width": 5, "pool": 3, "hidden": 4, "dense": (6,)}
    made = untrained("danq-small", architecture("danq-small", **shape), ("Reb1", "Abf1"), 40, 10)
    save_model(path, made.module, made.spec)
    return Sealed(path, lambda: load_model(path, device="cpu", precision="fp32"))


def vision_model(folder: Path) -> Sealed:
    path = folder / "a.safetensors"
    spec = VisionSpec(
        task="direction",
        model="frame-mean",
        hyperparameters={"channels": [4], "features": 6, "hidden": 0, "pooling": "mean"},
        metadata=load_task("direction").make(0, Sizes(2, 2, 2)).metadata,
    )
    save_model(path, build(spec), spec)
    return Sealed(path, lambda: load_vision_model(path))


def checkpoint(folder: Path) -> Sealed:
    module = torch.nn.Linear(6, 3)
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.ones(6)).sum().backward()
    optimizer.step()
    state = TrainingState(module, None, optimizer, TrainingProgress(step=1, batch=1))
    checkpoints = Checkpoints(folder, IDENTITY)
    checkpoints.save(state)
    return Sealed(checkpoints.path, lambda: checkpoints.restore(state))


def background(folder: Path) -> Sealed:
    path, count = folder / "a.h5", 1200
    values = np.sort(np.random.default_rng(1).random((2, count), np.float32))
    rank, tail = ranks(count), tail_ranks(count)
    stratum = StratumScores(Stratum("SNV", ALL), count, tail, values[:, tail - 1])
    scores = values[:, rank - 1]
    made = Background(("A", "B"), count, rank, *[scores] * 3, {}, {}, strata=(stratum,))
    write_background_file(path, made)
    return Sealed(path, lambda: read_background(path))


def variant_effects(folder: Path) -> Sealed:
    path, rows = folder / "a.h5", 20
    layout = VariantLayout(tracks=("A", "B"), groups=("", ""), scores=("logit", "diff"), total=rows)
    keys = {"record": range(rows), "allele": [1] * rows, "chrom": ["chr1"] * rows}
    texts = {name: [name] * rows for name in ("id", "ref", "alt")}
    table = pl.DataFrame(keys | {"pos": range(rows)} | texts | {"flags": ["."] * rows})
    with VariantHdf5.open(path, layout, False) as writer:
        values = np.random.default_rng(0).random((rows, len(layout.columns)), np.float32)
        writer.write(table, values)
    return Sealed(path, lambda: read_effects(path))


def finished_output(folder: Path) -> Sealed:
    """An output that a resumed run believes to be complete."""
    path = folder / "a.tsv"
    path.write_text("chrom\tpos\n" + "chr1\t17\n" * 40)
    note = FinishedOutput.of("run", {"records": 40}, path, [path])
    return Sealed(path, lambda: note.check(path))


def rejects(folder: Path) -> Sealed:
    """The table whose note says what is complete; without its note, no output is."""
    path = folder / "a.tsv.rejected.tsv"
    note = FinishedOutput("run", {"records": 40}, {"": (9, "0" * 64)})
    head = f"# {note.text()}\n"
    path.write_text(head + "chrom\tpos\treason\n" + "chr1\t17\tref\n" * 9)
    seal_table(path, head.encode())

    def read() -> None:
        if read_finished(path) is None:
            raise InputError("has no note", file=path)

    return Sealed(path, read)


MAKERS = (
    dataset,
    model,
    vision_model,
    checkpoint,
    background,
    variant_effects,
    finished_output,
    rejects,
)


def flipped(content: bytes, seed: int) -> Iterator[tuple[int, bytes]]:
    """`BITS` copies with one bit flipped each, and the index of its byte."""
    rng = np.random.default_rng(seed)
    bits = rng.choice(8 * len(content), BITS, replace=8 * len(content) < BITS)
    for bit in bits.tolist():
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        yield bit // 8, bytes(changed)


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_each_of_a_thousand_flipped_bits_is_refused_by_name(make, tmp_path: Path):
    path, read = make(tmp_path)
    content = path.read_bytes()
    read()
    for _, changed in flipped(content, 13):
        path.write_bytes(changed)
        with pytest.raises(InputError) as caught:
            read()
        assert caught.value.file == str(path)
    path.write_bytes(content)
    read()


def block(number: int) -> FinishedBlock:
    rows = pl.DataFrame({"chrom": ["chr1"] * 5, "pos": range(number, number + 5)})
    values = np.random.default_rng(number).random((5, 4), np.float32)
    return FinishedBlock({"rows": rows}, {"values": values}, {"records": 5})


@pytest.mark.parametrize("name", [JOURNAL, "000000.values.npy", "000001.rows.arrow"])
def test_each_of_a_thousand_flipped_bits_of_an_unfinished_run_is_detected(
    name: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(os, "fsync", lambda _: None)  # 3,000 of them take 10 s
    out = tmp_path / "a.tsv"
    with FinishedBlocks(out, IDENTITY, kind="variants") as finished:
        for number in range(BLOCKS):
            finished.add(block(number))
    folder = folder_of(out)
    whole = {file.name: file.read_bytes() for file in folder.iterdir()}
    head = whole[JOURNAL].index(b"\n")
    for at, changed in flipped(whole[name], 14):
        for other, content in whole.items():
            (folder / other).write_bytes(content)
        (folder / name).write_bytes(changed)
        caplog.clear()
        if name == JOURNAL and at <= head:
            # The first line shows that danq wrote the folder.
            with pytest.raises(InputError, match=r"a\.tsv\.unfinished: .*not replaced"):
                FinishedBlocks(out, IDENTITY, kind="variants", resume=True)
            continue
        with FinishedBlocks(out, IDENTITY, kind="variants", resume=True) as finished:
            kept = list(finished)
        assert len(kept) < BLOCKS
        for number, found in enumerate(kept):
            assert found.arrays["values"].tobytes() == block(number).arrays["values"].tobytes()
            assert found.tables["rows"].equals(block(number).tables["rows"])
        # Without its line end, the last line looks as a killed process leaves it.
        if name != JOURNAL or at < len(changed) - 1:
            assert name in caplog.text
            assert "is computed again" in caplog.text
