from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from Bio import motifs as bio
from Bio.Seq import Seq

from danq.errors import InputError
from danq.genome.nucleotide_codes import encode, reverse_complement
from danq.simulation import binding_kernels
from danq.simulation.background_sequence import BULK, ENTER, ISLAND, LEAVE, _plain_walk, background
from danq.simulation.binding_model import BindingModel
from danq.simulation.factor_catalogue import CONSENSUS, RULES, motif
from danq.simulation.peak_shape import PeakShape


@pytest.fixture(scope="module")
def model() -> BindingModel:
    return BindingModel.of_tracks()


def test_background_kernel_and_plain_twin_agree():
    draws = np.random.default_rng(7).random((3000, 2))
    draws[:, 0] *= 0.01
    chains = np.cumsum(np.stack([BULK, ISLAND]), axis=2)
    plain = _plain_walk(draws, chains, ENTER, LEAVE)

    class Fixed:
        def random(self, shape):
            assert shape == draws.shape
            return draws

    assert np.array_equal(background(3000, Fixed()), plain)  # type: ignore[arg-type]
    assert BULK.sum(axis=1) == pytest.approx(np.ones(4))
    assert ISLAND.sum(axis=1) == pytest.approx(np.ones(4))


def test_transitions_equal_those_of_the_table():
    codes = background(200_000, np.random.default_rng(1))
    counts = np.zeros((4, 4))
    np.add.at(counts, (codes[:-1], codes[1:]), 1)
    shares = counts / counts.sum(axis=1, keepdims=True)
    island = ENTER / (ENTER + LEAVE)
    assert np.abs(shares - BULK).max() < 0.02 + 0.3 * island


@pytest.mark.parametrize("name", sorted(CONSENSUS))
def test_every_catalogue_motif_has_its_consensus(name):
    firm = [(i, letter) for i, letter in enumerate(CONSENSUS[name]) if letter in "ACGT"]
    consensus = motif(name).consensus
    assert len(firm) >= 5
    assert all(consensus[i] == letter for i, letter in firm)


def test_the_grammar_has_every_kind_of_rule():
    assert any(rule.partner and rule.side == "downstream" for rule in RULES)
    assert any(rule.partner and rule.gap[1] - rule.gap[0] > 20 for rule in RULES)
    assert any(rule.blocker for rule in RULES)
    assert any(not rule.partner and not rule.blocker for rule in RULES)
    assert [rule.track for rule in RULES] == sorted(rule.track for rule in RULES)


def test_affinities_are_a_sigmoid_of_biopythons_scores(model):
    number = model.names.index("NRF1")
    one = model.motifs[number]
    base = dict(zip("ACGT", model.background, strict=True))
    counts = {b: list(1e6 * one.probabilities[:, i]) for i, b in enumerate("ACGT")}
    pssm = (
        bio.Motif(alphabet="ACGT", counts=counts)
        .counts.normalize(pseudocounts={b: 1e4 * p for b, p in base.items()})
        .log_odds(base)
    )
    text = "ATTGATGCGCATGCGCACCAGTTTGCGCATGCGCGATCTGCGCACGCGCA"
    out = np.zeros((len(model.motifs), 2, len(text)), dtype=np.float32)
    binding_kernels.affinities(encode(text), model.binding, out)
    for strand, oracle in enumerate((pssm, pssm.reverse_complement())):
        expected = 1 / (1 + np.exp(model.thresholds[number] - oracle.calculate(Seq(text))))
        expected[expected < binding_kernels.FLOOR] = 0
        assert out[number, strand, : expected.size] == pytest.approx(expected, abs=1e-4)
    assert out[number].max() > 0.9


def test_bound_kernel_and_plain_twin_agree(model):
    rng = np.random.default_rng(5)
    affinity = rng.random((len(model.motifs), 2, 400)).astype(np.float32)
    affinity[rng.random(affinity.shape) < 0.97] = 0
    occupancy = np.array([rule.occupancy for rule in model.rules])
    upstream = [replace(rule, side="upstream") for rule in model.rules if rule.side == "downstream"]
    rules = np.stack([rule.row(model.names) for rule in (*model.rules, *upstream)])
    occupancy = np.append(occupancy, [0.9] * len(upstream))
    out = np.zeros((len(rules), 400), dtype=np.float32)
    binding = model.binding._replace(rules=rules, occupancy=occupancy)
    binding_kernels.bound(affinity, binding, out)
    assert (out > 0).sum() > 50
    assert out == pytest.approx(binding_kernels._plain_bound(affinity, binding), abs=1e-5)


def place(model: BindingModel, *parts: tuple[str, int, bool]) -> np.ndarray:
    """A window of background without sites, perfect motifs put at places, some reversed."""
    codes = np.tile(encode("AATTATATTTAAAT"), 40)[: model.window].copy()
    for name, at, reverse in parts:
        site = model.motifs[model.names.index(name)].probabilities.argmax(axis=1).astype(np.uint8)
        codes[at : at + site.size] = reverse_complement(site) if reverse else site
    return codes


def chance(model: BindingModel, track: str, *parts: tuple[str, int, bool]) -> float:
    codes = place(model, *parts)
    both = model.probability(np.stack([codes, reverse_complement(codes)]))
    # The middle of a window of even length moves by one base when it is reversed.
    assert both[0] == pytest.approx(both[1], abs=0.02)
    return float(both[0, model.tracks.index(track)])


def test_grammar_of_a_fixed_order_and_spacing(model):
    assert chance(model, "ETS1", ("ETS", 245, False), ("AP1", 257, False)) > 0.9
    assert chance(model, "ETS1", ("ETS", 245, True), ("AP1", 233, False)) > 0.9
    bare = model.noise
    assert chance(model, "ETS1", ("ETS", 245, False)) == pytest.approx(bare)
    assert chance(model, "ETS1", ("AP1", 245, False)) == pytest.approx(bare)
    assert chance(model, "ETS1", ("ETS", 245, False), ("AP1", 233, False)) < 2 * bare
    assert chance(model, "ETS1", ("ETS", 245, False), ("AP1", 265, False)) < 2 * bare


def test_grammar_of_a_range_of_spacings_and_of_distance(model):
    for at in (245 + 9 + 5, 245 + 9 + 12, 245 - 9 - 5, 245 - 9 - 12):
        assert chance(model, "GATA1", ("GATA", 245, False), ("TAL1", at, False)) > 0.8
    for at in (245 + 9 + 2, 245 + 9 + 16, 245 - 9 - 16):
        assert chance(model, "GATA1", ("GATA", 245, False), ("TAL1", at, False)) < 0.05
    assert chance(model, "HNF4A", ("HNF4A", 245, False), ("FOXA", 300, True)) > 0.9
    assert chance(model, "HNF4A", ("HNF4A", 245, False), ("FOXA", 320, True)) < 0.05


def test_grammar_of_competition(model):
    assert chance(model, "SP1", ("SP1", 245, False)) > 0.9
    assert chance(model, "SP1", ("SP1", 245, False), ("REST", 280, True)) < 0.05
    assert chance(model, "SP1", ("SP1", 245, False), ("REST", 330, True)) > 0.9
    assert chance(model, "REST", ("SP1", 245, False), ("REST", 280, True)) > 0.9


def test_probability_falls_with_distance_and_n_has_no_affinity(model):
    at = [chance(model, "CTCF", ("CTCF", 241 + shift, False)) for shift in (0, 60, 100, 140, 160)]
    assert at == sorted(at, reverse=True)
    assert at[0] > 0.9
    assert at[-1] == pytest.approx(model.noise)
    codes = place(model, ("CTCF", 241, False))
    codes[250] = 4
    assert model.probability(codes[None])[0] == pytest.approx(model.noise)


def test_bases_outside_the_window_do_not_matter(model):
    rng = np.random.default_rng(2)
    inner = np.stack([background(500, rng) for _ in range(20)])
    inner[:, 220:239] = place(model, ("CTCF", 220, False))[220:239]
    wider = np.stack(
        [np.concatenate([background(50, rng), one, background(50, rng)]) for one in inner]
    )
    assert model.probability(inner) == pytest.approx(model.probability(wider), abs=1e-3)


def test_cover_equals_that_of_drawn_peaks():
    shape = PeakShape()
    cover = shape.cover(200, 0.5)
    far = cover.size // 2
    assert cover[0] == cover[-1] == 0
    rng = np.random.default_rng(4)
    for distance in (-160, -110, -90, 0, 95, 120):
        peaks = shape.draw(np.full(20_000, 1000 + distance), 5000, rng)
        shared = np.minimum(peaks[:, 1], 1100) - np.maximum(peaks[:, 0], 900)
        assert (shared >= 100).mean() == pytest.approx(cover[far + distance], abs=0.015)


def test_windows_of_another_shape_are_refused(model):
    with pytest.raises(InputError, match=r"are not windows \(B, L\) of at least 200 bases"):
        model.probability(np.zeros((2, 100), dtype=np.uint8))
