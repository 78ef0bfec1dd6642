"""Mutagenesis of a tiled genome: windows, resumed runs, shards and the tabix index."""

from __future__ import annotations

import gzip
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pysam
import pytest

from danq.errors import InputError
from danq.inference import Regions, Tiles, mutate, write_mutations
from danq.inference.blocks import Shard, folder_of
from danq.inference.engine.forward import predict_codes
from danq.inference.merge_shards import merge
from danq.inference.mutagenesis import batches, effects, shards
from danq.inference.writers import tabix
from danq.interpretation.mutate_and_plot import write_mutations_and_plot
from danq.models import load_model, save_model
from tests.output_contents import output_content

WINDOW, TILE = 40, 10


@pytest.fixture
def small_blocks(monkeypatch) -> None:
    """A block holds two or three tiles."""
    monkeypatch.setattr(batches, "BLOCK_BASES", 25)


def codes_of(text: str, first: int) -> np.ndarray:
    """Codes of the window that starts at a position of a contig."""
    letters = (text[i] if 0 <= i < len(text) else "N" for i in range(first, first + WINDOW))
    return np.array(["ACGTN".index(letter) for letter in letters], np.uint8)


def expected(model, sequences, tile: int = TILE, low: int = 0) -> dict[tuple, np.ndarray]:
    """Effects on each substitution, from two predictions of whole windows on both strands."""
    keys, before, after = [], [], []
    for name, text in sequences.items():
        for position in range(low, len(text)):
            start = low + (position - low) // tile * tile
            first = (start + min(start + tile, len(text))) // 2 - WINDOW // 2
            window = codes_of(text, first)
            for base in range(4):
                if text[position] in ("N", "ACGT"[base]):
                    continue
                changed = window.copy()
                changed[position - first] = base
                keys.append((name, position + 1, text[position], "ACGT"[base]))
                before.append(window)
                after.append(changed)
    options = model.options
    logits = []
    for windows in (np.stack(before), np.stack(after)):
        known = np.where(windows < 4, 3 - windows, 4)[:, ::-1]
        each = [predict_codes(model.module, one, options) for one in (windows, known.copy())]
        logits.append([np.log2(p / (1 - p)) for p in each])
    change = np.mean(np.array(logits[1]) - np.array(logits[0]), axis=0)
    return dict(zip(keys, change, strict=True))


def read(path: Path) -> pl.DataFrame:
    content = gzip.decompress(path.read_bytes())
    return pl.read_csv(content, separator="\t", comment_prefix="#")


@pytest.mark.parametrize("tile", [None, 7, WINDOW])
def test_each_base_is_scored_in_the_window_centred_on_its_tile(
    small_model, genome, sequences, tmp_path, tile
):
    model = small_model().with_options(tolerance=0.0, strand="both")
    written = write_mutations(model, Tiles(genome, tile), tmp_path / "map.tsv.gz")
    # The shortest contig is shorter than the window.
    assert min(map(len, sequences.values())) < WINDOW
    own = expected(model.with_options(strand="forward"), sequences, tile or TILE)
    table = read(tmp_path / "map.tsv.gz")
    assert [row[:4] for row in table.rows()] == list(own)
    np.testing.assert_allclose(table[:, 4:].to_numpy(), list(own.values()), rtol=0, atol=1e-5)
    assert written.substitutions == table.height
    assert written.sequences == len(sequences)


def test_a_region_is_tiled_from_its_start(small_model, genome, sequences, tmp_path):
    model = small_model().with_options(tolerance=0.0)
    result = mutate(model, Tiles(genome, TILE, "chrI:6-90"))
    own = expected(model.with_options(strand="forward"), {"chrI": sequences["chrI"][:90]}, low=5)
    table = result.to_polars()
    assert [row[:4] for row in table.rows()] == list(own)
    np.testing.assert_allclose(table[:, 4:].to_numpy(), list(own.values()), rtol=0, atol=1e-5)
    # A region without tiles, longer than the window, has the same windows.
    plain = mutate(model, Regions("chrI:6-90", genome))
    np.testing.assert_array_equal(plain.values, result.values)


KILLED = """
import os, signal, sys
from pathlib import Path
import danq
from danq.inference.mutagenesis import batches, effects
model, genome, out = sys.argv[1:]
batches.BLOCK_BASES = 25
read, calls = effects.read_windows, []
def killed(*given):
    calls.append(1)
    if len(calls) == 9:
        os.kill(os.getpid(), signal.SIGKILL)
    return read(*given)
effects.read_windows = killed
loaded = danq.load(model, device="cpu", precision="fp32", batch_size=7, threads=1)
danq.write_mutations(loaded, danq.Tiles(genome), Path(out))
"""


@pytest.mark.usefixtures("small_blocks")
def test_a_killed_run_is_resumed_to_the_same_bytes(small_model, genome, tmp_path, monkeypatch):
    made = small_model()
    path, out = tmp_path / "model.safetensors", tmp_path / "map.tsv.gz"
    save_model(path, made.module, made.spec)
    command = [sys.executable, "-c", KILLED, str(path), str(genome), str(out)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert folder_of(out).is_dir()
    assert not out.exists()
    model = load_model(path, device="cpu", precision="fp32", batch_size=7, threads=1)
    with pytest.raises(InputError, match="Continue that run"):
        write_mutations(model, Tiles(genome), out)
    scored = count_calls(monkeypatch, effects, "read_windows")
    write_mutations(model, Tiles(genome), out, resume=True)
    resumed = len(scored)
    whole = tmp_path / "whole.tsv.gz"
    write_mutations(model, Tiles(genome), whole)
    assert 0 < resumed < len(scored) - resumed
    for ending in ("", ".tbi"):
        assert Path(f"{out}{ending}").read_bytes() == Path(f"{whole}{ending}").read_bytes()
    assert not folder_of(out).exists()


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("name", ["map.tsv.gz", "map.h5", "map.parquet"])
def test_an_interrupted_output_is_written_from_the_stored_blocks(
    small_model, genome, tmp_path, monkeypatch, name
):
    model, out = small_model().with_options(batch_size=7), tmp_path / name
    write_mutations(model, Tiles(genome), tmp_path / f"whole.{name}")
    with monkeypatch.context() as patch:
        count_calls(patch, shards, "_effects", limit=9)
        with pytest.raises(KeyboardInterrupt):
            write_mutations(model, Tiles(genome), out)
    assert [one.name for one in tmp_path.glob(f"{name}*")] == [folder_of(out).name]
    scored = count_calls(monkeypatch, effects, "read_windows")
    write_mutations(model, Tiles(genome), out, resume=True)
    assert not scored
    assert output_content(out) == output_content(tmp_path / f"whole.{name}")


def count_calls(patch, module, name: str, limit: int = 10**6) -> list[int]:
    """Count the calls of a function, the last of which is interrupted."""
    function, calls = getattr(module, name), []

    def counted(*given):
        calls.append(1)
        if len(calls) == limit:
            raise KeyboardInterrupt
        return function(*given)

    patch.setattr(module, name, counted)
    return calls


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("name", ["map.tsv.gz", "map.h5"])
def test_merged_shards_equal_one_run(small_model, genome, tmp_path, name, caplog):
    caplog.set_level(logging.INFO, "danq")
    model = [small_model(seed=seed).with_options(batch_size=7) for seed in (0, 1)]
    one, many = tmp_path / f"one.{name}", tmp_path / f"many.{name}"
    written = write_mutations(model, Tiles(genome), one)
    notices = caplog.messages
    for index in (1, 2, 3):
        write_mutations(model, Tiles(genome), many, shard=Shard(index, 3))
    caplog.clear()
    assert merge(many).output == written._replace(path=many)
    assert caplog.messages == notices
    assert output_content(many) == output_content(one)
    if name.endswith("gz"):
        indexes = [Path(f"{path}.tbi").read_bytes() for path in (one, many)]
        assert indexes[0] == indexes[1]


def test_tabix_finds_the_rows_of_a_region(small_model, genome, sequences, tmp_path):
    out = tmp_path / "map.tsv.gz"
    write_mutations(small_model(), Tiles(genome), out)
    table = read(out)
    with pysam.TabixFile(str(out)) as index:
        assert index.contigs == list(sequences)
        for name, text in sequences.items():
            for low, high in ((0, len(text)), (0, 1), (len(text) - 1, len(text)), (7, 23)):
                found = [line.split("\t") for line in index.fetch(name, low, high)]
                rows = table.filter(
                    (pl.col("chrom") == name) & pl.col("pos").is_between(low + 1, high)
                )
                assert [[*row[:1], int(row[1]), *row[2:4]] for row in found] == [
                    list(row[:4]) for row in rows.rows()
                ]
                values = np.array([row[4:] for row in found], np.float64)
                np.testing.assert_allclose(
                    values, rows[:, 4:].to_numpy().reshape(values.shape), rtol=1e-7
                )


def test_a_long_contig_gets_a_csi_index(small_model, genome, tmp_path, monkeypatch):
    monkeypatch.setattr(tabix, "LONGEST_TBI", 205)
    out = tmp_path / "map.tsv.gz"
    write_mutations(small_model(), Tiles(genome), out)
    assert {one.name for one in tmp_path.glob("map*")} == {"map.tsv.gz", "map.tsv.gz.csi"}
    with pysam.TabixFile(str(out), index=f"{out}.csi") as index:
        assert {line.split("\t")[1] for line in index.fetch("chrIV", 99, 100)} <= {"100"}


def test_tiles_of_unknown_bases_are_not_evaluated(small_model, write_fasta, tmp_path, caplog):
    caplog.set_level(logging.INFO, "danq")
    known = "ACGGTTCAGT" * 4
    genome = write_fasta({"a": "N" * 25 + known + "N" * 30, "b": "N" * 20, "c": known}, "n.fa")
    model = small_model()
    for out in (tmp_path / "map.tsv.gz", tmp_path / "map.h5"):
        caplog.clear()
        written = write_mutations(model, Tiles(genome), out)
        assert written.substitutions == 3 * 2 * len(known)
        assert "bases N, without effects: 75 of 155" in caplog.text
        assert "1 of 3 sequences consist of N and have no effects; the first is b:1-20" in (
            caplog.text
        )
    assert set(read(tmp_path / "map.tsv.gz")["chrom"]) == {"a", "c"}
    with h5py.File(tmp_path / "map.h5") as file:
        blank = np.isnan(file["windows/reference"][:]).all(axis=1)
        assert file["windows/start"][:][blank].tolist() == [-15, -5, 55, 65, 72, -15, -5]
        assert np.isnan(file["effects"][:]).all(axis=(1, 2)).sum() == 75


@pytest.mark.parametrize(
    ("name", "tiles", "options", "problem"),
    [
        ("map.tsv", {}, {}, "table without compression.*End the name with .tsv.gz"),
        ("-", {}, {}, "table without compression"),
        ("map.txt", {}, {}, "does not have the extension"),
        ("map.tsv.gz", {"size": 41}, {}, "tiles have 41 bases, and each is mutated in one window"),
        ("map.tsv.gz", {"size": 0}, {}, "tiles have 0 bases"),
        ("map.tsv.gz", {"region": "chrX"}, {}, "chrX"),
        ("map.tsv.gz", {"region": "chrI:80-91"}, {}, "not inside chrI, which has 90 bases"),
        ("map.tsv.gz", {}, {"tracks": ["Gal4"]}, "no track 'Gal4'"),
        ("map.tsv.gz", {}, {"pairs": "1-5"}, "pairs of bases are mutated in one sequence"),
        ("map.tsv.gz", {}, {"resume": True, "overwrite": True}, "resume and overwrite"),
        ("old.tsv.gz", {}, {}, "old.tsv.gz: exists already"),
        ("old.tsv.gz", {}, {"resume": True}, "exists already, and no unfinished run"),
        ("indexed.tsv.gz", {}, {}, "indexed.tsv.gz.tbi.*exists already"),
        ("indexed.tsv.gz", {}, {"overwrite": True}, "danq did not write it"),
    ],
)
def test_invalid_arguments_are_refused(
    small_model, genome, tmp_path, monkeypatch, name, tiles, options, problem
):
    monkeypatch.chdir(tmp_path)
    for old in ("old.tsv.gz", "indexed.tsv.gz.tbi"):
        (tmp_path / old).write_text("old")
    before = {path.name for path in tmp_path.iterdir()} | {"genome.fa.fai"}
    with pytest.raises(InputError, match=problem):
        write_mutations(small_model(), Tiles(genome, **tiles), name, **options)
    assert {path.name for path in tmp_path.iterdir()} <= before
    assert (tmp_path / "indexed.tsv.gz.tbi").read_text() == "old"


def test_a_plot_and_a_pipe_are_refused(small_model, genome, tmp_path):
    out = tmp_path / "map.tsv.gz"
    with pytest.raises(InputError, match="a plot shows one sequence, and the genome is tiled"):
        write_mutations_and_plot(small_model(), Tiles(genome), out, plot=tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe.fa")
    with pytest.raises(InputError, match="a run that is resumed reads it again"):
        write_mutations(small_model(), Tiles(tmp_path / "pipe.fa"), out)
    assert not list(tmp_path.glob("map*"))


@pytest.mark.usefixtures("small_blocks")
def test_a_run_with_other_settings_is_not_continued(small_model, genome, tmp_path, monkeypatch):
    model, out = small_model().with_options(batch_size=7), tmp_path / "map.tsv.gz"
    with monkeypatch.context() as patch:
        count_calls(patch, shards, "_effects", limit=1)
        with pytest.raises(KeyboardInterrupt):
            write_mutations(model, Tiles(genome), out)
    with pytest.raises(InputError, match="tile: the model's bin; now it is 7"):
        write_mutations(model, Tiles(genome, 7), out, resume=True)
    with pytest.raises(InputError, match="tracks: Reb1, Abf1, Rap1; now it is Rap1"):
        write_mutations(model, Tiles(genome), out, resume=True, tracks=["Rap1"])
    write_mutations(model, Tiles(genome, 7), out, overwrite=True)
    assert {one.name for one in tmp_path.glob("map*")} == {"map.tsv.gz", "map.tsv.gz.tbi"}
    write_mutations(model, Tiles(genome), out, overwrite=True)
    assert read(out).height == sum(
        3 for name in ("chrIV", "chrI", "chrM") for letter in _text(genome, name) if letter != "N"
    )


def _text(genome: Path, name: str) -> str:
    return genome.read_text().split(f">{name}\n")[1].split("\n")[0]
