"""Dependency maps equal brute force, and are those of toy models with known interactions."""

from __future__ import annotations

import itertools
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

import danq
from danq.errors import InputError
from danq.inference import Regions, Tiles, dependency_map, write_mutations
from danq.inference.engine.forward import predict_codes
from danq.inference.mutagenesis import dependencies
from danq.interpretation.mutate_and_plot import write_mutations_and_plot
from danq.plots import plot_dependencies

TEXT = "GATTACANNCCGTAGGCATT"
BITS = 1 / np.log(2)


class Product(nn.Module):
    """Logit: 1.5 where both bases of a pair of positions are as given."""

    def __init__(self, first: tuple[int, int], second: tuple[int, int]) -> None:
        super().__init__()
        self.bases = first, second
        self.factor = nn.Parameter(torch.tensor(1.5))

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        one, other = (codes[:, position] == base for position, base in self.bases)
        return ((one & other) * self.factor)[:, None]


def brute_force(models, text: str, low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
    """Dependencies and single effects from predictions of all mutants, forward strand."""
    codes = np.array(["ACGTN".index(letter) for letter in text], np.uint8)
    window = models[0].window
    padded = np.full(window, 4, np.uint8)
    first = window // 2 - len(text) // 2
    padded[first : first + len(text)] = codes
    known = [at for at in range(low, high) if codes[at] < 4]

    def bits(changes):
        windows = np.repeat(padded[None], len(changes), 0)
        for window_codes, change in zip(windows, changes, strict=True):
            for at, base in change:
                window_codes[first + at] = base
        p = np.mean([logit(predict_codes(one.module, windows, one.options)) for one in models], 0)
        return p

    def logit(p):
        return np.log2(p / (1 - p))

    singles = [(at, base) for at in known for base in range(4) if base != codes[at]]
    pairs = [
        (one, other) for one, other in itertools.combinations(singles, 2) if one[0] != other[0]
    ]
    reference = bits([()])[0]
    alone = dict(zip(singles, bits([(one,) for one in singles]) - reference, strict=True))
    tracks = len(reference)
    matrix = np.zeros((high - low, high - low, tracks))
    for (one, other), both in zip(pairs, bits(pairs) - reference, strict=True):
        interaction = np.abs(both - alone[one] - alone[other])
        i, j = one[0] - low, other[0] - low
        matrix[i, j] = matrix[j, i] = np.maximum(matrix[i, j], interaction)
    for at in set(range(low, high)) - set(known):
        matrix[at - low] = matrix[:, at - low] = np.nan
    return matrix, np.array(list(alone.values()))


@pytest.mark.parametrize("batch_size", [5, 2048])
@pytest.mark.parametrize("seeds", [[0], [0, 1]])
def test_a_map_equals_brute_force(small_model, batch_size, seeds):
    models = [
        small_model(seed=seed).with_options(strand="forward", tolerance=0.0, batch_size=batch_size)
        for seed in seeds
    ]
    found = dependency_map(models, TEXT)
    expected, alone = brute_force(models, TEXT, 0, len(TEXT))
    assert np.nanmax(expected) > 0.05
    np.testing.assert_allclose(found.values, expected, rtol=0, atol=1e-5)
    single = found.effects[(found.effects != 0).any(axis=2) & ~np.isnan(found.effects).any(axis=2)]
    np.testing.assert_allclose(single, alone, rtol=0, atol=1e-5)
    part = dependency_map(models, TEXT, pairs="4-12", tracks=["Rap1"])
    np.testing.assert_allclose(part.values, expected[3:12, 3:12, 2:], rtol=0, atol=1e-5)
    assert (part.start, part.tracks, part.name) == (3, ("Rap1",), found.name)


def test_an_additive_model_has_no_dependencies(toy):
    for strand in ("forward", "both"):
        model = toy().with_options(strand=strand)
        found = dependency_map(model, TEXT)
        assert np.nanmax(np.abs(found.effects)) > 0.15
        np.testing.assert_allclose(np.nan_to_num(found.values), 0, atol=2e-6)
        assert np.isnan(found.values[:, :, 0]).sum() == 20**2 - 18**2


@pytest.mark.parametrize(("first", "second"), [((4, 0), (15, 2)), ((4, 1), (15, 3))])
def test_only_the_two_positions_of_a_product_depend_on_each_other(toy, first, second):
    # TEXT has A at 4 and G at 15: the product is there, or appears with both changes.
    model = toy(module=Product(first, second), tracks=("product",)).with_options(strand="forward")
    found = dependency_map(model, TEXT).values[:, :, 0]
    expected = np.zeros((20, 20))
    expected[4, 15] = expected[15, 4] = 1.5 * BITS
    np.testing.assert_allclose(np.nan_to_num(found), expected, atol=2e-6)
    table = dependency_map(model, TEXT).to_polars(largest=1)
    assert table.row(0)[:5] == ("product", 5, "A", 16, "G")
    assert table["dependency"].item() == pytest.approx(1.5 * BITS)


def test_the_interactions_of_both_strands_are_averaged(toy):
    model = toy(module=Product((4, 0), (15, 2)), tracks=("product",)).with_options(strand="both")
    found = dependency_map(model, TEXT).values[:, :, 0]
    # On the forward strand, any two changes remove A at 4 and G at 15. On the other strand, C at 4
    # and T at 15 together make the product: one pair of changes does both.
    assert found[4, 15] == pytest.approx(1.5 * BITS, abs=1e-5)


@pytest.mark.parametrize("pairs", ["all", "chrI:all", "1-30"])
def test_hdf5_has_the_map_and_the_pairs(small_model, genome, tmp_path, pairs):
    model = small_model().with_options(batch_size=200)
    source = Regions("chrI:1-30", genome)
    write_mutations(model, source, tmp_path / "a.h5", pairs=pairs)
    found = dependency_map(model, source)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["dependencies/position"][:].tolist() == list(range(30))
        np.testing.assert_array_equal(file["dependencies/interaction"][:], found.values)
        position = file["pairs/position"][:]
        both, single = file["pairs/effects"][:], file["effects"][:]
        i, j = position.T
        a, b = file["pairs/base"][:].T
        largest = np.zeros_like(found.values)
        np.maximum.at(largest, (i, j), np.abs(both - single[i, a] - single[j, b]))
    np.testing.assert_allclose(
        largest + largest.transpose(1, 0, 2), np.nan_to_num(found.values), atol=5e-6
    )


@pytest.mark.parametrize("all_tracks", [True, False])
def test_a_plot_of_pairs_shows_the_map(small_model, genome, tmp_path, monkeypatch, all_tracks):
    from danq.interpretation import mutate_and_plot

    drawn = []
    monkeypatch.setattr(
        mutate_and_plot,
        "plot_dependencies",
        lambda *given, **named: drawn.append((given, named)) or plot_dependencies(*given, **named),
    )
    model = small_model(tracks=("Reb1", "Abf1", "Rap1", "Cbf1"))
    out, plot = tmp_path / "a.tsv", tmp_path / "a.png"
    tracks = ["Rap1", "Abf1"] if all_tracks else None
    write_mutations_and_plot(
        model, Regions("chrI:1-30", genome), out, plot=plot, pairs="5-14", tracks=tracks
    )
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert pl.read_csv(out, separator="\t", comment_prefix="#").height > 3 * 30
    [((codes, values), named)] = drawn
    found = dependency_map(model, Regions("chrI:1-30", genome), pairs="5-14", tracks=tracks)
    np.testing.assert_array_equal(codes, found.codes)
    own = [found.tracks.index(name) for name in named["tracks"]]
    np.testing.assert_array_equal(values, found.values[:, :, own])
    assert len(own) == (2 if all_tracks else 3)
    assert named["start"] == 4
    figure = plot_dependencies(codes, values, **named)
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert sum(label.startswith("Largest interaction: change in log2 odds") for label in labels) > 0


@pytest.mark.parametrize(
    ("source", "options", "problem"),
    [
        ("ACGT" * 11, {}, "44 bases; the maximum is the window of 40"),
        ("A", {}, "which has one base"),
        ({"a": "ACGT", "b": "ACGT"}, {}, "pairs all could be in any of 2 sequences"),
        ({"a": "ACGT", "b": "ACGT"}, {"pairs": "c:all"}, "no sequence has that name"),
        ("ACGT", {"pairs": "3-5"}, "not inside"),
        ("ACGT", {"pairs": "whole"}, "pairs is 'whole', not start-end"),
        ("ACGT", {"tracks": ["Gal4"]}, "no track 'Gal4'"),
        ("ACXT", {}, "'X' at position 3"),
    ],
)
def test_invalid_arguments_are_refused(small_model, source, options, problem):
    with pytest.raises(InputError, match=problem):
        dependency_map(small_model(), source, **options)


def test_what_has_no_map_is_refused(small_model, genome, tmp_path, monkeypatch):
    model, bed = small_model(), tmp_path / "r.bed"
    bed.write_text("chrI\t0\t9\nchrI\t20\t29\n")
    with pytest.raises(InputError, match="pairs all could be in any of 2 sequences"):
        dependency_map(model, Regions(bed, genome))
    with pytest.raises(InputError, match="pairs all could be in any of 2 regions of chrI"):
        dependency_map(model, Regions(bed, genome), pairs="chrI:all")
    with pytest.raises(InputError, match="pairs of bases are mutated in one sequence"):
        dependency_map(model, Tiles(genome, region="chrI:1-30"))
    monkeypatch.setattr(dependencies, "MAX_VALUES", 2000)
    for name in ("a.h5", "a.tsv"):
        source, out = Regions("chrI:1-30", genome), tmp_path / name
        if name == "a.tsv":  # without a map
            write_mutations(model, source, out, pairs="all")
            continue
        with pytest.raises(InputError, match="30 bases and 3 tracks has 2,700 values"):
            write_mutations(model, source, out, pairs="all")
        assert not out.exists()


def test_unknown_bases_and_the_display(small_model):
    found = dependency_map(small_model(), "ANCNG")
    assert np.isnan(found.values[1]).all()
    assert found.to_polars().height == 3 * 3
    assert "dependencies of 10 pairs of positions, 3 tracks" in repr(found)
    assert np.isnan(dependency_map(small_model(), "NN").values).all()
    assert danq.dependency_map is dependency_map


def test_ticks_of_a_plot_show_whole_positions():
    codes = np.arange(20, dtype=np.uint8) % 4
    figure = plot_dependencies(
        codes,
        np.ones((20, 20, 1), np.float32),
        effects=np.zeros((20, 4, 1), np.float32),
        tracks=["a"],
        units=["bits"],
        name="chrIV",
        start=1_008_809,
    )
    figure.draw_without_rendering()
    logo, heat = figure.axes[:2]
    for axis in (logo.xaxis, heat.xaxis, heat.yaxis):
        assert axis.get_offset_text().get_text() == ""
        texts = [label.get_text() for label in axis.get_ticklabels()]
        assert all(text.startswith("1,008,8") for text in texts)


def test_wrong_shapes_are_refused():
    given = {"tracks": ["a"], "units": ["bits"], "name": "x"}
    with pytest.raises(InputError, match="shape"):
        plot_dependencies(
            np.zeros(3, np.uint8), np.zeros((3, 3, 2)), effects=np.zeros((3, 4, 1)), **given
        )
    with pytest.raises(InputError, match="0 tracks"):
        plot_dependencies(
            np.zeros(3, np.uint8),
            np.zeros((3, 3, 0)),
            effects=np.zeros((3, 4, 0)),
            **{**given, "tracks": []},
        )


def test_a_shard_has_no_pairs(small_model, genome, tmp_path: Path):
    with pytest.raises(InputError, match="pairs of bases are mutated in a run without shards"):
        write_mutations(
            small_model(),
            Regions("chrI:1-30", genome),
            tmp_path / "a.h5",
            pairs="all",
            shard=danq.Shard(1, 2),
        )
