"""Models with tracks of two strands: a sequence and its reverse complement exchange them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from danq.amounts import AmountUnit
from danq.datasets import Dataset
from danq.errors import InputError
from danq.genome.nucleotide_codes import decode, encode, reverse_complement
from danq.inference import evaluate, mutate, predict, score_variants
from danq.inference.ensemble import Ensemble
from danq.inference.evaluation.fit_baselines import fit_amounts
from danq.inference.variant_benchmark.baselines import KmerEffects, fit_kmers
from danq.inference.variants.scorer import Scorer, distinct
from danq.models import Model, TargetGroup, architecture, load_model, untrained
from danq.models.targets import reverse_tracks, track_values
from danq.training import ModelSettings, Recipe, RunSettings, train
from tests.amount_dataset import amount_dataset

SEQUENCE = "ACGTTGCATGCCGATAAGTCTTAGCCTAGGCATCGATTAC"
ORDER = [0, 1, 3, 2]
GROUPS = (
    TargetGroup(loss="binary", tracks=1),
    TargetGroup(loss="poisson", tracks=3, means=(1.0, 2.0, 3.0), reverse=(0, 2, 1)),
)


def other_strand(text: str) -> str:
    return decode(reverse_complement(encode(text)))


def made(seed: int, groups: tuple[TargetGroup, ...]) -> Model:
    torch.manual_seed(seed)
    small = architecture("danq", filters=8, width=5, pool=3, hidden=4, dense=(6,))
    names = ("peak", "mnase", "rna.plus", "rna.minus")
    made = untrained("danq", small, names, 40, 8, groups, (AmountUnit(),) * 3)
    for value in made.module.parameters():
        torch.nn.init.normal_(value, std=0.4)
    return made.with_options(device="cpu", threads=1, tolerance=0.0)


@pytest.fixture
def model() -> Model:
    return made(0, GROUPS)


def test_tracks_of_the_reverse_strand():
    assert reverse_tracks(GROUPS) == (0, 1, 3, 2)
    assert reverse_tracks(GROUPS[:1]) == ()


def test_models_that_exchange_other_tracks_do_not_predict_together(model):
    plain = GROUPS[1].model_copy(update={"reverse": ()})
    other = made(1, (GROUPS[0], plain))
    with pytest.raises(InputError, match="they exchange other tracks for the reverse strand"):
        mutate([model, other], SEQUENCE)


@pytest.mark.parametrize("selected", [None, ["rna.minus", "mnase"]])
def test_predictions_of_reverse_complements_are_exchanged(model, selected):
    forward = predict(model, SEQUENCE, tracks=selected).values
    names = model.tracks if selected is None else selected
    swapped = [model.tracks[ORDER[model.tracks.index(name)]] for name in names]
    reverse = predict(model, other_strand(SEQUENCE), tracks=swapped).values
    np.testing.assert_allclose(reverse, forward, rtol=1e-5)
    one = predict(model.with_options(strand="forward"), SEQUENCE, tracks=selected).values
    assert np.abs(one - forward).max() > 0.01


@pytest.mark.parametrize("gpu", [False, True])
def test_effects_on_reverse_complements_are_exchanged(model, gpu, as_on_a_gpu):
    if gpu:
        as_on_a_gpu()
    forward = mutate(model, SEQUENCE, effect="difference").values
    reverse = mutate(model, other_strand(SEQUENCE), effect="difference").values
    found = reverse.reshape(40, 4, 4)[::-1, ::-1][:, :, ORDER]
    np.testing.assert_allclose(found, forward.reshape(40, 4, 4), rtol=1e-3, atol=1e-5)
    assert np.abs(found[..., 2] - found[..., 3]).max() > 0.01
    one = mutate(model, SEQUENCE, effect="difference", tracks=["rna.minus"]).values
    np.testing.assert_allclose(one.reshape(40, 4), forward.reshape(40, 4, 4)[..., 3], rtol=1e-5)


class _Columns:
    compares_tracks = True


class _Engine:
    """Gives the number of each track and the first base of the windows as logits."""

    def logits(self, reference, alternate, owner):
        return tuple(part[:, :1] * 10.0 + np.arange(4.0) for part in (reference, alternate))


def test_scores_of_variants_take_the_tracks_of_the_reverse_strand(model, monkeypatch):
    ensemble = Ensemble.of(model)
    assert ensemble.reverse_tracks == (0, 1, 3, 2)
    order = ensemble.reverse_tracks
    scorer = Scorer([_Engine()], (0, 1, 2, 3), True, 8, None, reverse_tracks=order)
    monkeypatch.setattr(Scorer, "columns", _Columns())
    windows = distinct(encode("ACG")[None], encode("ATG")[None])
    forward, reverse = scorer._strands(scorer.engines[0], windows)
    assert forward.reference.tolist() == [[0, 1, 2, 3]]
    assert reverse.reference.tolist() == [[10, 11, 13, 12]]


def paired(windows: int = 600) -> Dataset:
    """Amounts of two strands: the numbers of A and of T in the bin."""
    dataset = amount_dataset(windows)
    rows = np.arange(windows)
    bins = dataset.codes(rows)[:, 20:40]
    values = np.stack([(bins == 0).sum(axis=1), (bins == 3).sum(axis=1)], axis=1)
    return replace(
        dataset,
        tracks=("a.plus", "a.minus"),
        measured=replace(dataset.measured, values=values.astype(np.float32), reverse=(1, 0)),
    )


def test_a_training_keeps_the_strands(tmp_path):
    dataset = paired(1500)
    small = ModelSettings(filters=12, width=8, pool=4, hidden=6, dense=(8,))
    run = RunSettings(threads=1, device="cpu", precision="fp32", evaluate=False, quiet=True)
    recipe = Recipe(epochs=12, lr=4e-3, batch_size=32, averaging=0.9)
    result = train(dataset, out=tmp_path / "run", model=small, recipe=recipe, run=run)
    # The mean of both strands, A + T, has a correlation of .58 with A, and less is learned.
    assert result.history[-1]["valid_pearson"] > 0.65
    model = load_model(tmp_path / "run", device="cpu", threads=1)
    assert model.spec.targets[0].reverse == (1, 0)
    report = evaluate(model, dataset, baseline=True, bootstrap=0)
    assert report.macro_pearson > 0.65
    alone = replace(dataset, measured=replace(dataset.measured, reverse=()))
    with pytest.raises(InputError, match="the tracks of two strands are others"):
        evaluate(model, alone)


def test_the_baseline_of_two_strands_counts_the_given_strand():
    dataset = paired(1500)
    rows = dataset.indices("test")
    fitted, metrics = fit_amounts(dataset, rows, dataset.amounts(rows))
    assert fitted.oriented
    alone = replace(dataset, measured=replace(dataset.measured, reverse=()))
    _, symmetric = fit_amounts(alone, rows, dataset.amounts(rows))
    assert (metrics.pearson > symmetric.pearson).all()
    codes = dataset.codes(rows)
    found = fitted.predict(codes)
    np.testing.assert_allclose(
        fitted.predict(reverse_complement(codes)), found[:, ::-1], rtol=1e-5, atol=1e-5
    )
    assert np.abs(found[:, 0] - found[:, 1]).max() > 0.5


def test_the_baseline_of_variants_is_that_of_an_evaluation(tmp_path):
    dataset = paired(900)
    dataset.save(tmp_path / "data.h5")
    small = architecture("danq", filters=8, width=5, pool=3, hidden=4, dense=(6,))
    group = TargetGroup(loss="gaussian", tracks=2, reverse=(1, 0))
    model = untrained("danq", small, dataset.tracks, 60, 20, (group,), dataset.units)
    (found,) = fit_kmers(tmp_path / "data.h5", Ensemble.of(model))
    assert isinstance(found, KmerEffects)
    rows = dataset.indices("test")
    fitted, _ = fit_amounts(dataset, rows, dataset.amounts(rows))
    codes = dataset.codes(rows)
    np.testing.assert_array_equal(found.model.predict(codes), fitted.predict(codes))
    assert found.model.reverse == (1, 0)


def test_scores_of_variants_are_means_of_both_strands(model, tmp_path, as_on_a_gpu):
    (tmp_path / "v.vcf").write_text(
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        f"chr1\t31\tv\t{SEQUENCE[30]}\tG\t.\t.\t.\n"
    )
    genome = {"chr1": SEQUENCE + SEQUENCE}
    found = score_variants(model, tmp_path / "v.vcf", genome)
    window = encode(genome["chr1"])[11:51]
    mutant = window.copy()
    mutant[19] = 2
    levels = []
    for codes in (window, mutant):
        both = [codes, reverse_complement(codes)]
        with torch.no_grad():
            outputs = [model.module(torch.from_numpy(one.copy()[None])) for one in both]
        values = [track_values(one, GROUPS)[0].numpy() for one in outputs]
        levels.append((values[0] + values[1][ORDER]) / 2)
    table = found.to_polars()
    for track, (reference, alternate) in zip(model.tracks, zip(*levels, strict=True), strict=True):
        assert table[f"{track}_ref"][0] == pytest.approx(reference, rel=1e-4)
        assert table[f"{track}_alt"][0] == pytest.approx(alternate, rel=1e-4)
    as_on_a_gpu()
    whole = score_variants(model, tmp_path / "v.vcf", genome)
    np.testing.assert_allclose(whole.values, found.values, rtol=1e-4, atol=1e-6)
