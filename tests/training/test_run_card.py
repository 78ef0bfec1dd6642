"""The model card of a run: what the run adds, and that it is kept."""

from __future__ import annotations

import datetime
import json
import shutil
import tomllib
from dataclasses import replace

import pytest

from danq.errors import InputError
from danq.models import ModelCard, load_model
from danq.training import Folds, ModelSettings, Recipe, RunSettings, read_config, train, train_folds
from danq.training.evaluate_run import EVALUATION
from tests.amount_dataset import amount_dataset

CARD = ModelCard(name="Toy", license="MIT", date=datetime.date(2026, 5, 4))
QUICK = Recipe(epochs=1, batch_size=64, initial_motifs="none")


def run_with(card=None, **changes):
    fixed = {"threads": 1, "device": "cpu", "precision": "fp32", "quiet": True}
    return RunSettings(**fixed, **({} if card is None else {"card": card}), **changes)


@pytest.fixture
def file(planted_set, tmp_path):
    named = replace(planted_set, build={**planted_set.build, "genome": "toy\x1b.fa"})
    named.save(tmp_path / "toy.h5")
    return tmp_path / "toy.h5"


def test_the_run_completes_the_card(file, tiny, tmp_path):
    choices = {"model": ModelSettings(**tiny), "recipe": QUICK}
    out = tmp_path / "run"
    train(file, out=out, run=run_with(CARD), **choices)
    model = load_model(out)
    assert model.card is not None
    assert (model.card.name, model.card.license, model.card.date) == ("Toy", "MIT", CARD.date)
    assert model.card.dataset == "toy.h5"
    assert model.card.genome == "toy\\x1b.fa"
    # The evaluation is of this file, and has the same metrics.
    summary = json.loads((out / EVALUATION / "summary.json").read_text())
    assert summary["model_sha256"] == model.sha256
    overall = summary["overall"]
    means = {"AUPR": overall["aupr_mean"], "AUROC": overall["auroc_mean"]}
    assert model.card.test_metrics == pytest.approx(means)
    assert tomllib.loads((out / "config.toml").read_text())["run"]["card"]["date"] == CARD.date
    # Nothing else in the file depends on the card.
    train(file, out=tmp_path / "plain", run=run_with(), **choices)
    plain = load_model(tmp_path / "plain")
    assert plain.card is None
    kept = {name: value for name, value in model.spec.training.items() if name != "card"}
    kept["unscaled_sha256"] = plain.spec.training["unscaled_sha256"]
    assert plain.spec == model.spec.model_copy(update={"training": kept})
    # A finished run stays as it is, also when it lost its evaluation or model.
    before = (out / "model.safetensors").read_bytes()
    train(out=out, resume=True)
    assert (out / "model.safetensors").read_bytes() == before
    shutil.rmtree(out / EVALUATION)
    train(out=out, resume=True)
    assert (out / "model.safetensors").read_bytes() == before
    (out / "model.safetensors").unlink()
    train(out=out, resume=True)
    assert (out / "model.safetensors").read_bytes() == before
    assert json.loads((out / EVALUATION / "summary.json").read_text()) == summary
    # A resumed run keeps its card.
    undated = CARD.model_copy(update={"date": None})
    for same in (CARD, undated):
        train(file, out=out, run=run_with(same), **choices, resume=True)
    with pytest.raises(InputError, match="this run has another model card than the one given"):
        train(out=out, run=RunSettings(card=ModelCard(name="Other")), resume=True)
    with pytest.raises(InputError, match="this run was started without one"):
        train(out=tmp_path / "plain", run=RunSettings(card=CARD), resume=True)
    assert (out / "model.safetensors").read_bytes() == before
    # A model that starts from it does not have its card.
    start = ModelSettings(pretrained=out)
    train(file, out=tmp_path / "next", model=start, recipe=QUICK, run=run_with(evaluate=False))
    assert load_model(tmp_path / "next").card is None


def test_a_run_without_evaluation_has_no_test_metrics(planted_set, tiny, tmp_path):
    card = ModelCard(genome="sacCer3")
    before = datetime.datetime.now(datetime.UTC).date()
    train(
        planted_set,
        out=tmp_path / "run",
        model=ModelSettings(**tiny),
        recipe=QUICK,
        run=run_with(card, evaluate=False),
    )
    after = datetime.datetime.now(datetime.UTC).date()
    found = load_model(tmp_path / "run").card
    assert found is not None
    assert found.date is not None
    assert before <= found.date <= after
    assert (found.genome, found.dataset, found.test_metrics) == ("sacCer3", None, {})


def test_metrics_of_amounts(tmp_path, tiny):
    out = tmp_path / "run"
    choices = {"model": ModelSettings(**tiny), "recipe": QUICK, "run": run_with(CARD)}
    train(amount_dataset(), out=out, **choices)
    model = load_model(out)
    summary = json.loads((out / EVALUATION / "summary.json").read_text())
    assert summary["model_sha256"] == model.sha256
    expected = summary["amounts"]["overall"]["pearson_mean"]
    assert model.card is not None
    assert model.card.test_metrics["Pearson correlation"] == pytest.approx(expected)
    before = (out / "model.safetensors").read_bytes()
    shutil.rmtree(out / EVALUATION)
    train(amount_dataset(), out=out, **choices, resume=True)
    assert (out / "model.safetensors").read_bytes() == before


def test_every_fold_has_the_card(planted_set, tiny, tmp_path):
    from tests.several_contigs import several_contigs

    out = tmp_path / "folds"
    choices = {"model": ModelSettings(**tiny), "recipe": QUICK, "run": run_with(CARD)}
    train_folds(Folds(several_contigs(), 3), out=out, **choices)
    for fold in ("fold1", "fold3"):
        card = load_model(out / fold).card
        assert card is not None
        assert card.name == "Toy"
        assert set(card.test_metrics) == {"AUPR", "AUROC"}


def test_a_configuration_with_a_card(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text("[run]\nseed = 3\n[run.card]\nlicense = 'MIT'\n")
    assert read_config(path).run.card == ModelCard(license="MIT")
    path.write_text("[run.card]\nlicence = 'MIT'\n")
    problem = r"\[run\]: card: 'licence' is not an entry of a model card. The entries are name"
    with pytest.raises(InputError, match=problem):
        read_config(path)
