from __future__ import annotations

import numpy as np
import polars as pl
import pysam
import pytest
import torch

import danq
from danq.models import ModelSpec, architecture, save_model
from danq.models import build as build_model
from danq_cli.main import run

SHAPE = {"filters": 8, "width": 5, "pool": 4, "hidden": 4, "dense": (6,)}
TEXT = "GATTACACCCGTAGGCATTCAGGATCCATGGCAATTGCACGTTTGGCAACCGTACTTGACCATAGG"


@pytest.fixture(autouse=True)
def _same_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A model, a genome, two records and a BED file; also the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DANQ_CACHE", str(tmp_path / "cache"))
    tracks = ("Reb1", "Abf1", "Rap1", "Cbf1")
    for seed, name in enumerate(("m.safetensors", "n.safetensors")):
        torch.manual_seed(seed)
        spec = ModelSpec(
            preset="danq-small",
            architecture=architecture("danq-small", **SHAPE),
            tracks=tracks,
            groups=("",) * 4,
            window=40,
            bin=10,
        )
        save_model(tmp_path / name, build_model(tracks=4, window=40, **SHAPE), spec)
    (tmp_path / "g.fa").write_text(f">chrI\n{TEXT}\n")
    (tmp_path / "two.fa").write_text(f">a\n{TEXT[:20]}\n>b\n{TEXT[5:20]}\n")
    (tmp_path / "rows.bed").write_text("chrI\t3\t9\nchrI\t30\t44\n")
    return tmp_path


REGION = ["--region", "chrI:11-35", "--genome", "g.fa"]


def test_the_command_writes_what_the_library_returns(folder, capsys):
    words = ["mutate", "m.safetensors", "two.fa", "--out", "a.tsv", "--precision", "fp32"]
    assert run(words) == 0
    assert "a.tsv: 105 substitutions in 2 sequences" in capsys.readouterr().out
    table = pl.read_csv("a.tsv", separator="\t", comment_prefix="#")
    assert table.columns == ["name", "pos", "ref", "alt", "Reb1", "Abf1", "Rap1", "Cbf1"]
    model = danq.load("m.safetensors", precision="fp32")
    effects = danq.mutate(model, TEXT[:20]).values
    for name, pos, ref, alt, *values in table.filter(name="a").rows():
        assert name == "a"
        assert TEXT[pos - 1] == ref
        ours = effects[pos - 1, "ACGT".index(alt)]
        np.testing.assert_allclose(values, ours, rtol=0, atol=4e-6)


def test_options_reach_the_library(folder):
    given = [*REGION, "--track", "Rap1", "--effect", "probability", "--strand", "forward"]
    given += ["--pairs", "15-16", "--batch-size", "1k", "--threads", "1", "--tolerance", "0"]
    words = ["mutate", "m.safetensors", "n.safetensors", *given, "--out", "a.tsv"]
    assert run(words) == 0
    head = (folder / "a.tsv").read_text().partition("chrom\t")[0]
    for text in ("strand: forward", "tolerance: 0", "pairs: 15-16", "change in probability"):
        assert text in head
    table = pl.read_csv("a.tsv", separator="\t", comment_prefix="#")
    assert table.columns == ["chrom", "pos", "ref", "alt", "Rap1", "Rap1_sd"]
    assert table.height == 3 * 25 + 9
    assert run(words) == 2
    assert run([*words, "--overwrite"]) == 0


@pytest.mark.parametrize(
    ("tile", "region"), [(["--tile"], []), (["--tile", "7"], ["--region", "chrI:3-60"])]
)
def test_a_tiled_genome(folder, capsys, tile, region):
    words = ["mutate", "m.safetensors", *tile, "--genome", "g.fa", *region, "--track", "Rap1"]
    words += ["--precision", "fp32", "--threads", "1", "--out", "a.tsv.gz"]
    assert run(words) == 0
    low, high = (2, 60) if region else (0, len(TEXT))
    printed = capsys.readouterr().out
    assert f"a.tsv.gz: {3 * (high - low)} substitutions in 1 sequence" in printed
    tiles = danq.Tiles("g.fa", int(tile[1]) if tile[1:] else None, region[1] if region else None)
    model = danq.load("m.safetensors", precision="fp32", threads=1)
    expected = danq.mutate(model, tiles, tracks=["Rap1"]).to_polars()
    with pysam.TabixFile("a.tsv.gz") as index:
        rows = [line.split("\t") for line in index.fetch("chrI", low, high)]
    assert [[row[0], int(row[1]), *row[2:4]] for row in rows] == [
        list(row[:4]) for row in expected.rows()
    ]
    found = np.array([row[4] for row in rows], np.float32)
    np.testing.assert_array_equal(found, expected["Rap1"].to_numpy())
    assert run(words) == 2
    assert "exists already" in capsys.readouterr().err
    assert run([*words, "--overwrite"]) == 0
    assert {path.name for path in folder.glob("a.tsv*")} == {"a.tsv.gz", "a.tsv.gz.tbi"}


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["m.safetensors", "--tile"], "--tile needs the genome to mutate"),
        (["m.safetensors", "g.fa", "--tile", "--genome", "g.fa"], "all arguments are models"),
        (["m.safetensors", "--tile", "0", "--genome", "g.fa"], "0 is below the minimum, 1"),
        (["--tile", "m.safetensors", "--genome", "g.fa"], "'m.safetensors' is not a size"),
        (["m.safetensors", "--tile", "41", "--genome", "g.fa"], "tiles have 41 bases"),
        (["m.safetensors", "--tile", "--genome", "rows.bed"], "only a genome can be tiled"),
        (["m.safetensors", "--tile", "--genome", "g.fa", "--pairs", "all"], "genome is tiled"),
        (["m.safetensors", "--tile", "--genome", "g.fa", "--plot", "a.png"], "genome is tiled"),
        (["m.safetensors", *REGION, "--resume"], "only a shard of a run can be resumed"),
    ],
)
def test_invalid_tiles_are_refused(folder, capsys, words, problem):
    before = {path.name for path in folder.iterdir()} | {"g.fa.fai", "cache"}
    assert run(["mutate", *words, "--out", "a.tsv.gz"]) == 2
    # Messages of click are wrapped.
    assert problem in " ".join(capsys.readouterr().err.split())
    assert {path.name for path in folder.iterdir()} <= before


def test_bed_rows(folder):
    words = ["mutate", "m.safetensors", "rows.bed", "--genome", "g.fa", "--out", "a.parquet"]
    assert run(words) == 0
    assert pl.read_parquet("a.parquet").height == 3 * 20


@pytest.mark.parametrize("name", ["a.png", "a.svg", "a.pdf"])
def test_a_plot(folder, capsys, name):
    words = ["mutate", "m.safetensors", *REGION, "--out", "a.h5", "--plot", name]
    assert run([*words, "--track", "Abf1", "--track", "Cbf1"]) == 0
    assert name in capsys.readouterr().out
    assert (folder / name).stat().st_size > 1000
    assert run([*words, "--overwrite"]) == 0


def test_tracks_are_written_and_plotted_in_the_requested_order(folder, monkeypatch):
    from danq.interpretation import mutate_and_plot as module

    plotted = []

    def plot(*args, tracks, **given):
        plotted.append(tuple(tracks))
        return effects(*args, tracks=tracks, **given)

    effects = module.plot_effects
    monkeypatch.setattr(module, "plot_effects", plot)
    words = ["mutate", "m.safetensors", *REGION, "--overwrite", "--out", "a.tsv", "--plot", "a.png"]
    assert run([*words, "--track", "Cbf1", "--track", "Reb1"]) == 0
    head = pl.read_csv("a.tsv", separator="\t", comment_prefix="#").columns
    assert head[4:] == ["Cbf1", "Reb1"]
    assert run(words) == 0
    table = pl.read_csv("a.tsv", separator="\t", comment_prefix="#")
    sizes = {name: float(table[name].abs().max()) for name in table.columns[4:]}
    largest = tuple(sorted(sizes, key=lambda name: -sizes[name])[:3])
    monkeypatch.setattr(module, "MAX_TRACKS", 3)
    assert run([*words, *(word for name in sizes for word in ("--track", name))]) == 0
    assert plotted == [("Cbf1", "Reb1"), largest, largest]


def test_a_plot_of_a_region_longer_than_the_window(folder):
    words = ["mutate", "m.safetensors", "--region", "chrI", "--genome", "g.fa"]
    assert run([*words, "--out", "a.tsv", "--plot", "a.png"]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["m.safetensors"], "Give a model, then a FASTA"),
        (["m.safetensors", "two.fa", "--region", "chrI:1-5", "--genome", "g.fa"], "two.fa"),
        (["m.safetensors", "--region", "chrI:1-5"], "without its genome"),
        (["m.safetensors", "missing.fa"], "missing.fa"),
        (
            ["m.safetensors", *REGION, "--plot", "a.gif"],
            "does not end in the extension of a plot format",
        ),
        (["m.safetensors", *REGION, "--plot", "g.fa"], "exists already"),
        (["m.safetensors", *REGION, "--track", "Reb"], "no track 'Reb'. Did you mean 'Reb1'?"),
        (
            ["m.safetensors", *REGION, "--plot", "a.png", "--track", "Reb1", "--track", "Reb1"],
            "'Reb1' is named twice",
        ),
        (["m.safetensors", "two.fa", "--plot", "a.png"], "shows one sequence, and there are 2"),
    ],
)
def test_invalid_arguments_are_refused(folder, capsys, words, message):
    assert run(["mutate", *words, "--out", "a.tsv"]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown
    assert not (folder / "a.tsv").exists()
    assert not (folder / "a.png").exists()


def test_help_shows_an_example(capsys):
    assert run(["mutate", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "--out reb1.h5 --plot reb1.png --track Reb1" in shown
    assert "MODEL... [INPUT]" in shown
