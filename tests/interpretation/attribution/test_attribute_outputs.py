"""Outputs of `danq attribute`, and inputs that are refused."""

from __future__ import annotations

import copy

import numpy as np
import polars as pl
import pybigtools
import pytest
from torch import nn

import danq
from danq.datasets.dataset import Dataset
from danq.errors import InputError
from danq.genome.packed_genome import PackedGenome
from danq.interpretation import write_attributions_and_plot
from danq.models import save_model
from danq_cli.main import run
from tests.bfloat16 import needs_bf16

WINDOW, BIN = 60, 20
RNG = np.random.default_rng(8)
TEXT = "".join(RNG.choice(list("ACGT"), 200))
INTEGRATION = danq.Integration("uniform", steps=4)
INTEGRATES = {"method": "integrated-gradients", "integration": INTEGRATION}


@pytest.fixture
def folder(model, tmp_path, monkeypatch):
    """A model, a genome, sequences, regions and a dataset; also the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DANQ_CACHE", str(tmp_path / "cache"))
    save_model("m.safetensors", model.module, model.spec)
    (tmp_path / "g.fa").write_text(f">chr2\n{TEXT}\n>chr10\n{'N' * 50}{TEXT[:50]}\n")
    (tmp_path / "two.fa").write_text(f">a\n{TEXT[:30]}\n>b\n{TEXT[30:60]}\n")
    (tmp_path / "rows.bed").write_text("chr2\t90\t150\nchr10\t60\t90\nchr2\t10\t40\n")
    dataset().save(tmp_path / "data.h5")
    return tmp_path


def dataset(**changes) -> Dataset:
    codes = np.array(["ACGT".index(letter) for letter in TEXT], np.uint8)
    labels = np.array([[1, 0], [0, 0], [1, 0], [0, 1], [1, 1], [0, 0], [1, 0], [0, 0]], np.uint8)
    settings = {
        "genome": PackedGenome.from_contigs([("c", codes)]),
        "contig": np.zeros(8, np.uint32),
        "start": np.array([0, 20, 40, 60, 80, 100, 120, 140], np.int64),
        "split": np.array([2, 2, 2, 2, 2, 1, 0, 0], np.uint8),
        "packed": np.packbits(labels, axis=1, bitorder="little"),
        "tracks": ("Reb1", "Abf1"),
        "groups": ("", ""),
        "sources": ("", ""),
        "peaks": labels.sum(axis=0).astype(np.int64),
        "window": WINDOW,
        "bin": BIN,
        "stride": BIN,
        "min_overlap": 0.5,
    }
    return Dataset(**{**settings, **changes})


def regions(text="rows.bed"):
    from pathlib import Path

    return danq.Regions(Path(text) if text.endswith(".bed") else text, "g.fa")


def test_files_hold_what_the_function_returns(folder):
    model = danq.load("m.safetensors", precision="fp32")
    found = danq.attribute(model, regions(), **INTEGRATES)
    written = danq.write_attributions(model, regions(), "a.h5", **INTEGRATES)
    stored = danq.read_attributions("a.h5")
    for name in ("sequence", "position", "base", "attributions", "hypothetical", "completeness",
                 "difference"):  # fmt: skip
        np.testing.assert_array_equal(getattr(stored, name), getattr(found, name))
    for name in ("method", "baseline", "key", "tracks", "groups", "provenance"):
        assert getattr(stored, name) == getattr(found, name)
    assert stored.sequences.equals(found.sequences)
    assert (written.sequences, written.bases) == (3, 120)
    assert written.completeness.largest == pytest.approx(np.abs(found.completeness).max(), 1e-5)
    assert written.completeness.share == pytest.approx(
        np.abs(found.completeness).sum() / np.abs(found.difference).sum(), 1e-5
    )
    danq.write_attributions(model, regions(), "a.tsv", **INTEGRATES)
    table = pl.read_csv("a.tsv", separator="\t", comment_prefix="#")
    expected = found.to_polars()
    assert table.columns == expected.columns == ["chrom", "pos", "base", "Reb1", "Abf1"]
    assert table.select("chrom", "pos", "base").equals(expected.select("chrom", "pos", "base"))
    np.testing.assert_allclose(table["Reb1"], expected["Reb1"], rtol=1e-4, atol=1e-5)
    danq.write_attributions(model, regions(), "a.parquet", **INTEGRATES)
    assert pl.read_parquet("a.parquet").equals(expected)


def test_bigwig_files_have_the_contributions_of_known_bases(folder):
    model = danq.load("m.safetensors", precision="fp32")
    (folder / "rows.bed").write_text("chr2\t90\t150\nchr10\t45\t90\nchr2\t10\t40\n")
    danq.write_attributions(model, regions(), "tracks", method="gradient")
    found = danq.attribute(model, regions(), method="gradient")
    assert sorted(one.name for one in (folder / "tracks").glob("*.bw")) == ["Abf1.bw", "Reb1.bw"]
    names = found.sequences["chrom"].gather(found.sequence).to_list()
    expected = {
        (name, int(position)): value
        for name, position, value in zip(names, found.position, found.track("Abf1"), strict=True)
        if not np.isnan(value)
    }
    with pybigtools.open(str(folder / "tracks" / "Abf1.bw")) as file:
        stored = {
            (name, position): value
            for name in ("chr10", "chr2")
            for start, end, value in file.records(name)
            for position in range(start, end)
        }
    assert stored == pytest.approx(expected)
    assert len(stored) == 60 + 40 + 30


def test_npz_files_are_what_modisco_reads(folder):
    model = danq.load("m.safetensors", precision="fp32")
    settings = {"method": "ism", "tracks": ["Abf1"]}
    danq.write_attributions(model, danq.DatasetSplit("data.h5"), "a.npz", **settings)
    found = danq.attribute(model, danq.DatasetSplit("data.h5"), **settings)
    values, one_hot = (np.load(f"a{end}.npz")["arr_0"] for end in ("", ".onehot"))
    assert values.shape == one_hot.shape == (2, 4, WINDOW)
    assert values.dtype == np.float32
    np.testing.assert_array_equal(one_hot.sum(axis=1), 1)
    for number in range(2):
        rows = found.bases(number)
        np.testing.assert_array_equal(values[number].T, found.hypothetical[rows, :, 0])
        np.testing.assert_array_equal(one_hot[number].argmax(axis=0), found.base[rows])
    # Sequences that are longer than the window come in several parts; unknown bases are 0.
    (folder / "long.fa").write_text(f">a\n{TEXT[:99]}N\n>b\n{TEXT[100:]}\n")
    from pathlib import Path

    danq.write_attributions(model, Path("long.fa"), "b.npz", **settings)
    values, one_hot = (np.load(f"b{end}.npz")["arr_0"] for end in ("", ".onehot"))
    assert values.shape == (2, 4, 100)
    assert not values[0, :, 99].any()
    assert not one_hot[0, :, 99].any()
    long = danq.attribute(model, Path("long.fa"), **settings)
    np.testing.assert_array_equal(values[1].T, long.hypothetical[long.bases(1), :, 0])


def test_a_split_has_the_windows_that_are_positive_for_the_tracks(folder):
    model = danq.load("m.safetensors", precision="fp32")
    one = danq.attribute(model, danq.DatasetSplit(dataset()), method="gradient", tracks=["Reb1"])
    # Windows of 60 bases are centred on bins of 20; that of the first bin begins outside.
    assert one.sequences.rows() == [("c", 0, 40), ("c", 20, 80), ("c", 60, 120)]
    every = danq.attribute(model, danq.DatasetSplit(dataset()), method="gradient")
    assert every.sequences["start"].to_list() == [0, 20, 40, 60]
    window = danq.attribute(model, TEXT[20:80], method="gradient", tracks=["Reb1"])
    np.testing.assert_allclose(one.track("Reb1")[one.bases(1)], window.track("Reb1"), atol=1e-6)
    edge = danq.attribute(model, "N" * 20 + TEXT[:40], method="gradient", tracks=["Reb1"])
    np.testing.assert_allclose(one.track("Reb1")[:40], edge.track("Reb1")[20:], atol=1e-6)
    valid = danq.DatasetSplit(dataset(), "valid")
    with pytest.raises(InputError, match="no window of the valid split is positive for Abf1"):
        danq.attribute(model, valid, tracks=["Abf1"])
    with pytest.raises(InputError, match="no split 'all'. The splits are train, valid, test"):
        danq.DatasetSplit(dataset(), "all")
    other = dataset(window=40)
    with pytest.raises(InputError, match="the window of the dataset is 40 bp, that of .* is 60 bp"):
        danq.attribute(model, danq.DatasetSplit(other))


def test_sequences_of_n_are_left_out(folder, caplog):
    model = danq.load("m.safetensors", precision="fp32")
    sequences = {"a": TEXT[:40], "b": "N" * 21 + TEXT[:19], "c": "N" * 20 + TEXT[:20]}
    found = danq.attribute(model, sequences, method="gradient")
    assert found.sequences["name"].to_list() == ["a", "c"]
    text = "left out: 1 of 3 sequences are N in more than half of their bases; the first is b:1-40"
    assert text in caplog.text
    with pytest.raises(InputError, match="there is nothing to explain: 1 of 1 sequences are N"):
        danq.attribute(model, "N" * 40)


REFUSED = {
    "method": ({"method": "saliency"}, "no method 'saliency'. Choose ism, gradient, input-x-grad"),
    "track": ({"tracks": ["Rap1"]}, "the model has no track 'Rap1'"),
    "baseline": (
        {"method": "ism", "integration": INTEGRATION},
        "baseline and steps are of integrated-gradients, and the method is ism",
    ),
    "one track": ({"out": "x.npz"}, r"holds one track, and there are 2 \(Reb1, Abf1\)"),
    "lengths": ({"out": "x.npz", "tracks": ["Reb1"]}, "and these have 30 to 60 bases"),
    "extension": ({"out": "x.txt"}, "not have the extension of an output format for attributions"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_settings_that_do_not_fit_are_refused(folder, name):
    settings, text = REFUSED[name]
    model = danq.load("m.safetensors", precision="fp32")
    with pytest.raises(InputError, match=text):
        danq.write_attributions(model, regions(), **{"out": "x.h5", **settings})
    assert list(folder.glob("*x.*")) == []


def test_bigwig_needs_a_genome_without_overlaps(folder):
    from pathlib import Path

    model = danq.load("m.safetensors", precision="fp32")
    with pytest.raises(InputError, match="bigWig output needs positions on a genome"):
        danq.write_attributions(model, Path("two.fa"), "tracks", method="gradient")
    (folder / "rows.bed").write_text("chr2\t100\t150\nchr2\t90\t101\n")
    with pytest.raises(InputError, match="chr2:91-101 and the one from 101 overlap, and bigWig"):
        danq.write_attributions(model, regions(), "tracks", method="gradient")
    assert not (folder / "tracks").exists()


@pytest.mark.parametrize("name", ["steps", "shuffles", "seed", "baseline"])
def test_impossible_paths_are_refused(name):
    with pytest.raises(InputError, match=f"{name}|zeros"):
        danq.Integration(**{name: "zeros" if name == "baseline" else -1})


def test_models_without_gradients_are_refused(model):
    class Codes(nn.Module):
        """Reads codes only."""

        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(5, 8)
            self.out_features = 8

        def steps(self, length: int) -> int:
            return length // 4

        def forward(self, x):
            return self.table(x.long())[:, 3::4][:, :19]

    module = copy.deepcopy(model.module)
    module.encoder = Codes()
    other = danq.Model(module.eval(), model.spec, options=model.options)
    text = "is a Codes, which reads codes of bases, so that there are no gradients. Use the method"
    with pytest.raises(InputError, match=text):
        danq.attribute(other, TEXT[:60], method="gradient")


@needs_bf16
def test_gradients_in_bfloat16_are_refused(model):
    rounded = model.with_options(precision="bf16")
    with pytest.raises(InputError, match="computes gradients in fp32, and the precision is bf16"):
        danq.attribute(rounded, TEXT[:60], method="gradient")


def test_the_command_writes_what_the_library_returns(folder, capsys):
    words = ["attribute", "m.safetensors", "rows.bed", "--genome", "g.fa", "--precision", "fp32"]
    given = [
        "--method",
        "integrated-gradients",
        "--baseline",
        "uniform",
        "--steps",
        "4",
        "--track",
        "Abf1",
        "--strand",
        "forward",
    ]
    assert run([*words, *given, "--out", "a.h5"]) == 0
    text = capsys.readouterr().out
    assert "a.h5: integrated-gradients, 120 bases in 3 sequences, 1 track" in text
    assert "completeness error: " in text
    model = danq.load("m.safetensors", precision="fp32", strand="forward")
    found = danq.attribute(model, regions(), tracks=["Abf1"], **INTEGRATES)
    stored = danq.read_attributions("a.h5")
    np.testing.assert_allclose(stored.attributions, found.attributions, atol=1e-6)
    assert stored.provenance["strand"] == "forward"
    assert run([*words, "--out", "a.h5"]) == 2
    assert run(["attribute", "m.safetensors", "--region", "chr2:11-60", "--genome", "g.fa",
                "--method", "ism", "--out", "b.h5", "--plot", "b.png", "--json"]) == 0  # fmt: skip
    assert (folder / "b.png").read_bytes()[1:4] == b"PNG"
    assert '"completeness": null' in capsys.readouterr().out
    split = ["attribute", "m.safetensors", "data.h5", "--split", "test", "--track", "Abf1"]
    assert run([*split, "--method", "gradient", "--out", "c.npz"]) == 0
    assert np.load("c.npz")["arr_0"].shape == (2, 4, WINDOW)
    assert run(["attribute", "m.safetensors", "data.h5", "--out", "d.h5"]) == 2
    assert "a dataset with the split whose windows are explained" in capsys.readouterr().err
    assert run([*split, "--genome", "g.fa", "--out", "d.h5"]) == 2
    assert "--split needs a dataset; omit --genome" in capsys.readouterr().err


def test_a_plot_shows_one_sequence(folder):
    from pathlib import Path

    model = danq.load("m.safetensors", precision="fp32")
    for out, source, text in (
        ("x.h5", Path("two.fa"), "a plot shows one sequence, and there are 2"),
        ("x", regions("chr2:1-60"), "a plot goes with one file of attributions"),
    ):
        with pytest.raises(InputError, match=text):
            write_attributions_and_plot(model, source, out, plot="x.png", method="gradient")
    assert not (folder / "x.png").exists()
    assert not (folder / "x.h5").exists()
