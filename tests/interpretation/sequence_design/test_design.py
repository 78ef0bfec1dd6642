"""Designs equal those of a naive beam search, and reach optima that are known by hand."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

import danq
from benchmarks.studies.design import naive_beam
from danq.core import CnnRnn, Flatten, Mlp, MultiLabel, OneHotConv
from danq.genome.nucleotide_codes import decode, encode
from danq.inference.ensemble import Ensemble
from danq.interpretation.sequence_design.beam_search import choose
from danq.interpretation.sequence_design.first_order import FirstOrder
from danq.interpretation.sequence_design.goals import Objective
from danq.models import Model, ModelSpec, RunOptions, TargetGroup, architecture, untrained

WINDOW = 30
SHAPE = {"filters": 8, "width": 5, "pool": 3, "hidden": 4, "dense": (6,)}
TRACKS = ("Reb1", "Abf1", "Rap1")
MOTIF = "GATAAG"


def random_model(seed: int, targets=(), tracks=TRACKS) -> Model:
    made = untrained("danq-small", architecture("danq-small", **SHAPE), tracks, WINDOW, 10, targets)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in made.module.parameters():
            weights.normal_(0, 0.5, generator=generator)
    return made.with_options(device="cpu", precision="fp32", threads=1)


def motif_model(length: int = 20, pool: int | None = None) -> Model:
    """Its log odds are the largest number of matches with GATAAG at any position.

    With a pool of 1, the logit is the mean of the matches at all positions: a linear model.
    """
    positions = length - len(MOTIF) + 1
    first = OneHotConv(1, len(MOTIF), pool=pool or positions, activation="identity")
    steps = positions // (pool or positions)
    module = CnnRnn(first, None, Flatten(1, steps), MultiLabel(Mlp(steps, ()), 1))
    with torch.no_grad():
        first.weight.zero_()
        first.weight[0, encode(MOTIF).astype(int), np.arange(len(MOTIF))] = 1
        module.head.output.weight.fill_(1 / steps)
        module.head.output.bias.zero_()
    spec = ModelSpec(
        preset="danq-small",
        architecture=architecture("danq-small", **SHAPE),
        tracks=("motif",),
        groups=("",),
        window=length,
        bin=10,
    )
    return Model(module.eval(), spec, options=RunOptions("cpu", "fp32", strand="forward"))


def maximize(*tracks: str, **others) -> danq.DesignGoals:
    return danq.DesignGoals(tracks, **others)


def reverse_complement(text: str) -> str:
    return text[::-1].translate(str.maketrans("ACGT", "TGCA"))


def log_odds(models: list[Model], texts, both: bool) -> np.ndarray:
    """Mean log2 odds ``(texts, tracks)``, by the modules alone."""
    strands = [list(texts)] + [[reverse_complement(text) for text in texts]] * both
    each = []
    with torch.inference_mode():
        for model, strand in itertools.product(models, strands):
            codes = torch.from_numpy(np.stack([encode(text) for text in strand]))
            each.append(model.module(codes).double().numpy())
    return np.mean(each, axis=0) / np.log(2)


@pytest.mark.parametrize("width", [1, 4])
@pytest.mark.parametrize("case", ["one track", "difference", "forward strand", "two models"])
def test_edits_equal_those_of_a_naive_beam_search(case, width):
    models = [random_model(seed) for seed in (3, 4)[: 1 + (case == "two models")]]
    both = case != "forward strand"
    models = [one.with_options(strand="both" if both else "forward") for one in models]
    goals = maximize("Abf1", minimize=["Rap1"] if case == "difference" else [])

    def objective(texts):
        bits = log_odds(models, texts, both)
        return bits[:, 1] - bits[:, 2] if case == "difference" else bits[:, 1]

    report = danq.design(models, danq.RandomStarts(2, seed=5), goals, edits=4, beam=width)
    assert report.table["edits"].max() == 4
    for row in report.table.iter_rows(named=True):
        start, found = row["start_sequence"], row["sequence"]
        assert row["changes"] == naive_beam(objective, start, 4, width)
        values = [row["start_objective"], row["objective"]]
        np.testing.assert_allclose(values, objective([start, found]), atol=1e-5)
    again = danq.design(models, danq.RandomStarts(2, seed=5), goals, edits=4, beam=width)
    assert again.table.equals(report.table)


def test_a_beam_of_all_mutants_finds_the_best_pair_of_edits():
    model, start = random_model(7), "ACGTTGCATGCCAATGTACCGATTGGCATC"
    allowed = "ACGTTGCA"  # only the first eight positions change
    texts = {
        "".join(one)
        for one in itertools.product(*("ACGT" for _ in allowed))
        if sum(a != b for a, b in zip(one, allowed, strict=True)) <= 2
    }
    texts = sorted(text + start[8:] for text in texts)
    best = log_odds([model], texts, True)[:, 0].max()
    free = danq.DesignConstraints(fixed=["9-30"])
    report = danq.design(model, start, maximize("Reb1"), constraints=free, edits=2, beam=24)
    assert report.table["objective"].item() == pytest.approx(best, abs=1e-5)


def test_the_known_motif_is_written_with_the_fewest_edits():
    model, starts = motif_model(), {"C": "C" * 20, "near": "C" * 9 + "GATCAG" + "C" * 5}
    report = danq.design(model, starts, maximize("motif"), beam=1)
    table = report.table
    assert table["sequence"].to_list() == [MOTIF + "C" * 14, "C" * 9 + MOTIF + "C" * 5]
    assert table["changes"].to_list() == ["C1G C2A C3T C4A C5A C6G", "C13A"]
    bits = [matches / np.log(2) for matches in (0, 1, 2, 3, 4, 5, 6, 5, 6)]
    np.testing.assert_allclose(report.trajectory["objective"], bits, atol=1e-6)
    assert report.trajectory["start"].to_list() == ["C"] * 7 + ["near"] * 2
    assert report.trajectory["edits"].to_list() == [0, 1, 2, 3, 4, 5, 6, 0, 1]
    assert report.trajectory["from"].to_list() == [None, *"CCCCCC", None, "C"]
    beam = danq.design(model, starts, maximize("motif")).table
    assert beam["edits"].to_list() == [6, 1]
    assert all(MOTIF in text for text in beam["sequence"])
    forbidden = danq.DesignConstraints(forbidden=[MOTIF])
    report = danq.design(model, "C" * 20, maximize("motif"), constraints=forbidden)
    assert report.table["objective"].item() == pytest.approx(5 / np.log(2))


def test_a_target_is_a_probability_that_danq_predicts():
    model, start = random_model(2), danq.RandomStarts(2)
    before = danq.predict(model, dict(_starts(model, start))).track("Rap1")
    target = float(before.mean() + 0.6 * (before.max() - before.mean()))
    goals = danq.DesignGoals(target={"Rap1": target}, weights={"Rap1": 3})
    report = danq.design(model, start, goals, edits=6, beam=3)
    found = danq.predict(model, dict(report.table.select("name", "sequence").iter_rows()))
    np.testing.assert_allclose(report.table["Rap1_predicted"], found.track("Rap1"), atol=1e-6)
    np.testing.assert_allclose(report.table["Rap1_start"], before, atol=1e-6)
    odds = [np.log2(p / (1 - p)) for p in (found.track("Rap1").astype(float), target)]
    np.testing.assert_allclose(report.table["objective"], -3 * np.abs(odds[0] - odds[1]), atol=1e-4)
    assert (np.abs(odds[0] - odds[1]) < 0.05).all()


def _starts(model: Model, starts: danq.RandomStarts) -> dict[str, str]:
    drawn = starts.draw(model.window, (), None)
    return {name: decode(codes) for name, codes in zip(*drawn, strict=True)}


def test_amounts_count_with_their_value_and_tracks_of_strands_are_exchanged():
    groups = (
        TargetGroup(loss="binary", tracks=1),
        TargetGroup(loss="gaussian", tracks=2, means=(1, 3), deviations=(2, 4), reverse=(1, 0)),
    )
    model = random_model(5, groups, ("Reb1", "plus", "minus"))
    model = replace(model, spec=model.spec.model_copy(update={"oriented": False}))
    goals = danq.DesignGoals(["plus"], ["Reb1"], weights={"plus": 0.5})
    report = danq.design(model, danq.RandomStarts(1), goals, edits=3, beam=2)

    def objective(texts):
        strands = [texts, [reverse_complement(text) for text in texts]]
        raw = [
            model.module(torch.from_numpy(np.stack([encode(text) for text in strand])))
            for strand in strands
        ]
        forward, reverse = (one.detach().double().numpy() for one in raw)
        amount = (1 + 2 * forward[:, 1] + 3 + 4 * reverse[:, 2]) / 2
        return 0.5 * amount - (forward[:, 0] + reverse[:, 0]) / 2 / np.log(2)

    row = report.table.row(0, named=True)
    assert row["changes"] == naive_beam(objective, row["start_sequence"], 3, 2)
    predicted = danq.predict(model, row["sequence"])
    assert row["plus_predicted"] == pytest.approx(predicted.track("plus").item(), abs=1e-5)
    goals = danq.DesignGoals(target={"plus": 2.5})
    report = danq.design(model, danq.RandomStarts(2), goals, edits=6)
    np.testing.assert_allclose(report.table["plus_predicted"], 2.5, atol=0.2)


def test_first_order_effects_of_a_linear_model_are_exact():
    model = motif_model(pool=1).with_options(strand="both")
    with torch.no_grad():
        model.module.encoder.weight.normal_(generator=torch.Generator().manual_seed(1))
    start = "ACGTTGCATGCCAATGTACC"
    goals = maximize("motif")
    ensemble = Ensemble.of(model, ["motif"])
    found = FirstOrder(ensemble, Objective(goals, ensemble))(encode(start)[None])
    effects = danq.mutate(model, start).values[:, :, 0]
    assert np.ptp(effects) > 0.1
    np.testing.assert_allclose(found[0], effects, atol=1e-5)
    exact = danq.design(model, start, goals, edits=5, beam=1)
    proposed = danq.design(model, start, goals, edits=5, beam=1, proposals=3)
    assert proposed.table.equals(exact.table)


def test_first_order_effects_are_derivatives_of_the_objective():
    models = [random_model(seed) for seed in (8, 9)]
    goals = danq.DesignGoals(["Reb1"], target={"Abf1": 0.3})
    ensemble = Ensemble.of(models, goals.tracks)
    codes = encode("ACGTTGCATGCCAATGTACCGATTGGCATC")
    found = FirstOrder(ensemble, Objective(goals, ensemble))(codes[None])[0]

    def objective(x: torch.Tensor) -> torch.Tensor:
        logits = [[one.module(each) for each in (x, x.flip(1, 2))] for one in models]
        every = torch.stack([one for pair in logits for one in pair])
        mean = every.sigmoid().mean(dim=0)[:, 1]
        distance = torch.log2(mean / (1 - mean)) - np.log2(0.3 / 0.7)
        return every.mean(dim=0)[:, 0] / np.log(2) - distance.abs()

    for one in models:
        one.module.double()
    x = torch.eye(4, dtype=torch.float64)[codes.astype(int)].T[None].clone()
    for position, base in ((0, 1), (7, 3), (29, 0)):
        ends = []
        for sign in (1, -1):
            moved = x.clone()
            moved[0, base, position] += sign * 1e-6
            moved[0, codes[position], position] -= sign * 1e-6
            with torch.no_grad():
                ends.append(objective(moved).item())
        rate = (ends[0] - ends[1]) / 2e-6
        assert abs(rate) > 0.01
        assert found[position, base] == pytest.approx(rate, abs=1e-5)
    assert (found[np.arange(30), codes] == 0).all()


def test_proposals_of_all_substitutions_change_nothing():
    model, goals = random_model(1), maximize("Reb1")
    every = danq.design(model, danq.RandomStarts(1), goals, edits=3, proposals=3 * WINDOW)
    assert every.table.equals(danq.design(model, danq.RandomStarts(1), goals, edits=3).table)


def test_equal_objectives_take_the_first_sequence_and_each_sequence_once():
    values = np.array([1, 2, 2 + 9e-6, 2, 0.5, 1 + 5e-6])
    mutants = np.array([[0], [1], [2], [1], [3], [4]], dtype=np.uint8)
    assert choose(values, mutants, 3) == [1, 2, 0]
    assert choose(values, mutants, 10) == [1, 2, 0, 5, 4]


def both_strands(pattern: str, text: str) -> bool:
    return any(re.search(pattern, strand) for strand in (text, reverse_complement(text)))


@pytest.mark.parametrize("seed", range(3))
def test_designs_meet_the_constraints(seed, tmp_path):
    (tmp_path / "fixed.bed").write_text("random1\t0\t4\nrandom1\t20\t22\n")
    constraints = danq.DesignConstraints(
        fixed=["11-15", tmp_path / "fixed.bed"], forbidden=["AWG", "GCN", "TTT"], gc=(0.35, 0.45)
    )
    starts, goals = danq.RandomStarts(2, seed=seed), maximize("Reb1", minimize=["Abf1"])
    report = danq.design(
        random_model(seed), starts, goals, constraints=constraints, edits=8, beam=3
    )
    assert report.table["edits"].min() > 1
    for row in report.table.iter_rows(named=True):
        before, after = row["start_sequence"], row["sequence"]
        changed = [n for n, (a, b) in enumerate(zip(before, after, strict=True), 1) if a != b]
        assert len(changed) == row["edits"] <= 8
        assert not set(changed) & set(range(11, 16))
        if row["name"] == "random1":
            assert not set(changed) & {1, 2, 3, 4, 21, 22}
        assert not both_strands("A[AT]G|GC|TTT", after)
        assert 0.35 <= sum(after.count(base) for base in "GC") / WINDOW <= 0.45
        assert row["gc"] == pytest.approx(sum(after.count(base) for base in "GC") / WINDOW)


def test_a_start_that_breaks_the_constraints_is_mended():
    start = "AAAAAAAACCTATAAAGGTTAAATATATAA"
    constraints = danq.DesignConstraints(forbidden=["TATAAA", "AAAAAA"], gc=(0.3, 0.6))
    report = danq.design(
        random_model(6), start, maximize("Reb1"), constraints=constraints, edits=8, beam=2
    )
    found = report.table["sequence"].item()
    assert not both_strands("TATAAA|AAAAAA", found)
    assert 0.3 <= report.table["gc"].item() <= 0.6
    # The objective of the start is larger, but it does not meet the constraints.
    fewest = danq.DesignConstraints(forbidden=["TATAAA", "AAAAAA"])
    report = danq.design(
        random_model(6), start, danq.DesignGoals(minimize=["Reb1"]), constraints=fewest, edits=2
    )
    assert report.table["edits"].item() == 2
    assert not both_strands("TATAAA|AAAAAA", report.table["sequence"].item())


def test_a_search_ends_where_no_edit_is_better():
    model = motif_model()
    text = "C" * 5 + MOTIF + "C" * 9
    report = danq.design(model, text, maximize("motif"))
    assert report.table["sequence"].item() == text
    assert report.table["changes"].item() == ""
    assert "starts that no allowed edit improves: 1" in report.describe()
    assert report.trajectory.height == 1


def test_random_starts_depend_on_the_seed_alone():
    model = random_model(1)
    few, many = (_starts(model, danq.RandomStarts(n, seed=3)) for n in (2, 4))
    assert few.items() < many.items()
    assert _starts(model, danq.RandomStarts(2, seed=4)).values() != few.values()
    drawn = danq.RandomStarts(200, seed=1).draw(WINDOW, (), (0.7, 0.9))
    assert np.isin(np.stack(drawn.codes), (1, 2)).mean() == pytest.approx(0.8, abs=0.02)


def test_a_difference_from_full_evaluation_is_a_warning(caplog):
    model = random_model(3).with_options(tolerance=0.3)
    report = danq.design(model, danq.RandomStarts(1), maximize("Abf1"), edits=3)
    assert report.difference > 1e-3
    assert "differ from full evaluation" in caplog.text
    exact = log_odds([model], report.table["sequence"], True)[:, 1]
    np.testing.assert_allclose(report.table["objective"], exact, atol=1e-5)


def test_precision_is_fp32_unless_it_is_set():
    model = random_model(3).with_options(precision="auto")
    report = danq.design(model, danq.RandomStarts(1), maximize("Abf1"), edits=2)
    assert report.provenance["precision"] == "fp32 on cpu"


def test_on_a_gpu_designs_are_the_same(monkeypatch):
    goals = maximize("Rap1")
    expected = danq.design(random_model(4), danq.RandomStarts(2), goals, edits=3)
    name = "danq.inference.mutagenesis.mutant_levels.evaluates_whole_windows"
    monkeypatch.setattr(name, lambda device: True)
    found = danq.design(random_model(4), danq.RandomStarts(2), goals, edits=3)
    assert found.table["changes"].to_list() == expected.table["changes"].to_list()
    assert isinstance(found.table, pl.DataFrame)
