"""Initial weights: from a motif file to filters."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from danq.genome.motif_files import write_meme
from danq.genome.motif_matrix import Motif
from danq.models import build, first_layer, initialise_jaspar
from danq.training.initial_weights import initialise
from danq.training.recipe import Recipe

JASPAR = """>MA0001.1 word
A  [ 0 10 0 0 4 10 ]
C  [ 0 0 0 10 2 0 ]
G  [ 10 0 0 0 2 0 ]
T  [ 0 0 10 0 2 0 ]
>MA0002.1 other
A  [ 1 0 ]
C  [ 1 0 ]
G  [ 1 4 ]
T  [ 1 0 ]
"""


def test_a_jaspar_file_becomes_filters(planted_set, tmp_path):
    path = tmp_path / "some.jaspar"
    path.write_text(JASPAR)
    module = build("danq-jaspar", tracks=2, window=200, filters=8, hidden=4, dense=(4,))
    recipe = Recipe(base="paper", initial_motifs=str(path))
    assert len(initialise(module, "danq-jaspar", planted_set, recipe, seed=0)) == 2
    layer = first_layer(module)
    rows = np.array([[0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 1, 0, 0], [0.4, 0.2, 0.2, 0.2]])
    expected = torch.from_numpy((rows - 0.25).T).float()
    weight = layer.weight.detach()
    places = [
        at for at in range(25) if torch.allclose(weight[0, :, at : at + 5], expected, atol=1e-6)
    ]
    assert len(places) == 1
    assert 3 <= places[0] <= 27 - 6
    outside = np.setdiff1d(np.arange(30), np.arange(places[0], places[0] + 6))
    assert weight[0][:, outside].abs().max() <= 0.05
    assert weight[0][:, outside].abs().min() > 0
    assert (layer.bias[:2] < 0).all()
    assert (layer.bias[:2] >= -1).all()
    assert not layer.bias[2:].any()


@pytest.mark.parametrize("width", [6, 21, 24])
def test_motifs_start_at_every_position_of_the_rule(width):
    """Positions 3 to 27 - W of the filter, both included, and no others."""
    module = build("danq-jaspar", tracks=1, window=100, hidden=2, dense=(2,))
    motif = np.tile([1.0, 0, 0, 0], (width, 1))
    assert initialise_jaspar(module, [motif] * 1024, seed=0) == 1024
    layer = first_layer(module)
    is_motif = (layer.weight[:, 0] == 0.75).numpy()
    assert (is_motif.sum(axis=1) == width).all()
    assert set(is_motif.argmax(axis=1)) == set(range(3, 28 - width))
    bias = layer.bias.detach().numpy()
    assert abs(bias.mean() + 0.5) < 0.05
    assert bias.min() < -0.95
    assert bias.max() > -0.05


@pytest.mark.parametrize(("preset", "room"), [("danq-jaspar", 4), ("danq", 1)])
def test_more_motifs_than_filters_are_reported(planted_set, tmp_path, caplog, preset, room):
    rows = np.random.default_rng(0).dirichlet(np.ones(4), (6, 8))
    write_meme(tmp_path / "six.meme", [Motif(f"m{k}", one) for k, one in enumerate(rows)])
    module = build(preset, tracks=2, window=200, filters=4, hidden=4, dense=(4,))
    recipe = Recipe(initial_motifs=str(tmp_path / "six.meme"))
    with caplog.at_level(logging.WARNING, logger="danq"):
        initialise(module, preset, planted_set, recipe, seed=0)
    assert f"6 motifs are too many for 4 filters; using the first {room}" in caplog.text


@pytest.mark.parametrize("preset", ["danq-jaspar", "danq"])
def test_motifs_wider_than_the_filters_are_counted(planted_set, tmp_path, caplog, preset):
    rows = np.random.default_rng(0).dirichlet(np.ones(4), (2, 40))
    motifs = [Motif("narrow", rows[0, :8]), Motif("wide", rows[1])]
    write_meme(tmp_path / "two.meme", motifs)
    module = build(preset, tracks=2, window=200, filters=8, hidden=4, dense=(4,))
    recipe = Recipe(initial_motifs=str(tmp_path / "two.meme"))
    width = first_layer(module).width
    with caplog.at_level(logging.WARNING, logger="danq"):
        initialise(module, preset, planted_set, recipe, seed=0)
    text = f"1 motifs are wider than the filters; using their middle {width} positions"
    assert text in caplog.text
