"""Training on measured amounts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from danq.amounts import AmountUnit
from danq.datasets.column_summary import summarise_columns, total_amounts
from danq.datasets.track_amounts import Amounts, WindowValues
from danq.errors import InputError
from danq.models import load_model, read_spec, summary
from danq.models.targets import TargetGroup, target_loss
from danq.training import ModelSettings, Recipe, RunSettings, train
from danq.training.amount_problem import AmountProblem
from danq.training.amount_targets import check_amounts, target_groups
from tests.amount_dataset import amount_dataset

SMALL = ModelSettings(filters=12, width=8, pool=4, hidden=6, dense=(8,))
CPU = RunSettings(threads=1, device="cpu", precision="fp32", evaluate=False, quiet=True)
LOG = AmountUnit(unit="reads", transform="log1p")


def groups(dataset, preset="danq-small", **recipe):
    return target_groups(dataset, Recipe(**recipe), preset, check_amounts(dataset))


def changed(dataset, values):
    measured = dataset.measured
    return replace(dataset, measured=Amounts(values, measured.units, measured.step))


def test_the_summary_of_columns_equals_that_of_numpy():
    dataset = amount_dataset(200, peaks=True, steps=4)
    rows = dataset.indices("train")
    values = dataset.target_values(rows).astype(np.float64)
    found = summarise_columns(dataset, rows)
    assert found.track.tolist() == [0] + [1] * 4 + [2] * 4
    np.testing.assert_array_equal(found.count, (~np.isnan(values)).sum(axis=0))
    np.testing.assert_allclose(found.mean, np.nanmean(values, axis=0))
    np.testing.assert_allclose(found.deviation, np.nanstd(values, axis=0))
    np.testing.assert_array_equal(found.lowest, np.nanmin(values, axis=0))
    np.testing.assert_array_equal(found.highest, np.nanmax(values, axis=0))
    assert found.whole.all()
    total = total_amounts(dataset, rows)
    assert np.isnan(total[0, 0])
    np.testing.assert_array_equal(total[:, 1], values[:, 5:].sum(axis=1))


@pytest.mark.parametrize(
    ("settings", "recipe", "preset", "losses"),
    [
        ({}, {}, "danq-small", ["poisson"]),
        ({"unit": LOG}, {}, "danq-small", ["gaussian"]),
        ({}, {"amount_loss": "gaussian"}, "danq-small", ["gaussian"]),
        ({}, {}, "dream-rnn", ["soft-bins"]),
        ({"peaks": True}, {}, "danq-small", ["binary", "poisson"]),
        ({"peaks": True, "steps": 5}, {}, "danq-small", ["binary", "profile"]),
    ],
)
def test_the_losses_follow_from_the_amounts(settings, recipe, preset, losses):
    found = groups(amount_dataset(300, **settings), preset, **recipe)
    assert [group.loss for group in found] == losses


def test_negative_amounts_are_gaussian_and_standalone_fractions_too():
    dataset = amount_dataset(300)
    values = dataset.measured.values
    assert groups(changed(dataset, values - 30))[0].loss == "gaussian"
    fractions = changed(dataset, values + np.float32(0.25))
    assert groups(fractions)[0].loss == "poisson"
    assert groups(replace(fractions, build={"standalone": True}))[0].loss == "gaussian"
    with pytest.raises(InputError, match="'strong' has negative amounts, down to .*'poisson'"):
        groups(changed(dataset, values - 30), amount_loss="poisson")


def test_soft_bins_span_the_training_amounts():
    (group,) = groups(amount_dataset(300), "dream-rnn", bins=18)
    found = check_amounts(amount_dataset(300))
    assert group.lowest == found.lowest.min()
    assert group.lowest + 17 * group.bin_width == pytest.approx(found.highest.max())


@pytest.mark.parametrize("loss", ["gaussian", "poisson"])
def test_amounts_are_standardised_by_their_training_values(loss):
    dataset = amount_dataset(300, peaks=True, scale=10.0)
    peaks, amounts = groups(dataset, amount_loss=loss, amount_weight=2.0, peak_weight=3.0)
    assert (peaks.weight, amounts.weight) == (3.0, 2.0)
    found = check_amounts(dataset)
    assert amounts.means == pytest.approx(found.mean[1:])
    assert amounts.deviations == pytest.approx(found.deviation[1:] if loss == "gaussian" else ())


def test_constant_amounts_have_the_deviation_1_and_zeros_the_mean_1():
    dataset = amount_dataset(300)
    values = dataset.measured.values.copy()
    values[:, 1] = 0
    constant = changed(dataset, values)
    assert groups(constant, amount_loss="gaussian")[0].deviations[1] == 1.0
    assert groups(constant, amount_loss="poisson")[0].means[1] == 1.0


def test_a_model_of_counts_learns_them(tmp_path):
    dataset = amount_dataset(1500)
    recipe = Recipe(epochs=15, lr=4e-3, batch_size=32, averaging=0.9)
    result = train(dataset, out=tmp_path / "run", model=SMALL, recipe=recipe, run=CPU)
    assert result.history[-1]["valid_pearson"] > 0.7
    spec = read_spec(tmp_path / "run")
    means = tuple(check_amounts(dataset).mean.tolist())
    assert spec.targets == (TargetGroup(loss="poisson", tracks=2, means=means),)
    assert spec.kinds == ("amounts", "amounts")
    assert spec.units == dataset.units
    assert spec.temperature is None
    assert not spec.oriented
    text = summary(tmp_path / "run")
    assert "2 of amounts (poisson, weight 1)" in text
    assert "strong reads, adenines reads" in text
    assert "temperature" not in text


def test_a_model_of_profiles_learns_their_totals(tmp_path):
    recipe = Recipe(epochs=5, batch_size=32, averaging=0.9)
    dataset = amount_dataset(1500, steps=4)
    result = train(dataset, out=tmp_path / "run", model=SMALL, recipe=recipe, run=CPU)
    assert result.history[-1]["valid_pearson"] > 0.6


def test_the_weight_of_totals_grows_with_the_counts():
    (few,) = groups(amount_dataset(300, steps=4))
    (many,) = groups(amount_dataset(300, steps=4, scale=10.0))
    mean = check_amounts(amount_dataset(300, steps=4)).mean.sum() / 2
    assert few.total_weight == pytest.approx(mean / 2)
    assert many.total_weight == pytest.approx(10 * few.total_weight)


@pytest.mark.parametrize(
    "settings", [{"peaks": True}, {"peaks": True, "steps": 4}, {"weights": True, "unit": LOG}]
)
def test_all_kinds_of_tracks_train_and_report_their_metrics(settings, tmp_path):
    dataset = amount_dataset(300, **settings)
    recipe = Recipe(epochs=1, batch_size=32)
    result = train(dataset, out=tmp_path / "run", model=SMALL, recipe=recipe, run=CPU)
    expected = {"valid_loss", "valid_pearson"}
    expected |= {"valid_aupr", "valid_auroc"} if "peaks" in settings else set()
    assert {name for name in result.history[0] if name.startswith("valid")} == expected
    monitor = read_spec(tmp_path / "run").training["recipe"]["monitor"]
    assert monitor == ("loss" if "peaks" in settings else "pearson")


def test_weights_of_windows_count_in_the_loss():
    dataset = amount_dataset(300, weights=True)
    found = groups(dataset)
    problem = AmountProblem(dataset, Recipe(batch_size=16), found)
    batch = next(problem.batches(0, torch.device("cpu")).epoch(0))
    codes, targets, weights = (torch.from_numpy(part) for part in batch)

    class Fixed(torch.nn.Module):
        def forward(self, codes):
            return torch.linspace(0, 1, 2 * len(codes)).reshape(-1, 2)

    fixed = Fixed()
    loss = problem.loss(fixed, (codes, targets, weights))
    assert float(loss) == float(target_loss(fixed(codes), targets, found, weights))
    assert float(loss) != float(target_loss(fixed(codes), targets, found))


def test_oriented_sequences_are_never_reverse_complemented(tmp_path):
    dataset = amount_dataset(300, oriented=True)
    recipe = Recipe(epochs=1, batch_size=32)
    train(dataset, out=tmp_path / "run", model=SMALL, recipe=recipe, run=CPU)
    model = load_model(tmp_path / "run")
    assert model.spec.training["recipe"]["reverse_complement"] is False
    assert model.options.strand == "forward"
    assert "forward only" in summary(tmp_path / "run")
    for ask in (
        lambda: load_model(tmp_path / "run", strand="both"),
        lambda: model.with_options(strand="both"),
    ):
        with pytest.raises(InputError, match="both strands .* oriented sequences"):
            ask()
    with pytest.raises(InputError, match="reverse_complement is True, but the sequences are"):
        train(
            dataset,
            out=tmp_path / "other",
            model=SMALL,
            recipe=Recipe(epochs=1, reverse_complement=True),
            run=CPU,
        )
    assert not (tmp_path / "other").exists()


def test_resumed_training_reaches_the_same_weights(tmp_path, monkeypatch):
    dataset = amount_dataset(300)
    recipe = Recipe(epochs=3, batch_size=32)
    train(dataset, out=tmp_path / "whole", model=SMALL, recipe=recipe, run=CPU)
    import danq.training.fit as fit_module

    class Stop(Exception):
        pass

    def stop(self, log, epoch=fit_module.Fit._epoch):
        if self.progress.epoch == 2:
            raise Stop
        epoch(self, log)

    with monkeypatch.context() as patch:
        patch.setattr(fit_module.Fit, "_epoch", stop)
        with pytest.raises(Stop):
            train(dataset, out=tmp_path / "cut", model=SMALL, recipe=recipe, run=CPU)
    train(dataset, out=tmp_path / "cut", resume=True)
    ours, theirs = (load_model(tmp_path / name).module.state_dict() for name in ("whole", "cut"))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_track_without_amounts_in_a_split_is_refused(tmp_path):
    dataset = amount_dataset(300)
    values = dataset.measured.values.copy()
    values[dataset.indices("valid"), 1] = np.nan
    with pytest.raises(InputError, match=r"1 tracks .* the valid split \('?adenines"):
        train(changed(dataset, values), out=tmp_path / "run", model=SMALL, run=CPU)
    assert not (tmp_path / "run").exists()


def test_constant_tracks_are_named_and_refused_if_there_is_no_other(tmp_path, caplog):
    dataset = amount_dataset(300)
    values = dataset.measured.values.copy()
    values[:, 1] = 0
    recipe = Recipe(epochs=1, batch_size=32)
    result = train(
        changed(dataset, values), out=tmp_path / "run", model=SMALL, recipe=recipe, run=CPU
    )
    assert caplog.text.count("equal for 1 tracks") == 1
    assert "adenines" in caplog.text
    assert np.isfinite(result.history[0]["valid_pearson"])
    with pytest.raises(InputError, match="the training amounts of every track are equal"):
        train(changed(dataset, 0 * values), out=tmp_path / "other", model=SMALL, run=CPU)


@pytest.mark.parametrize(
    ("monitor", "settings", "kind"),
    [("aupr", {}, "peaks"), ("pearson", None, "amounts")],
)
def test_a_monitor_without_its_tracks_is_refused(monitor, settings, kind, tmp_path, planted_set):
    dataset = planted_set if settings is None else amount_dataset(300, **settings)
    with pytest.raises(InputError, match=f"monitor '{monitor}' is for tracks of {kind}"):
        train(dataset, out=tmp_path / "run", model=SMALL, recipe=Recipe(monitor=monitor), run=CPU)


def test_weighted_peaks_alone_train(tmp_path, planted_set):
    weights = np.linspace(0, 1, len(planted_set)).astype(np.float32)
    weighted = replace(planted_set, values=WindowValues(weights=weights))
    recipe = Recipe(epochs=1, batch_size=64)
    result = train(weighted, out=tmp_path / "run", model=SMALL, recipe=recipe, run=CPU)
    assert set(result.history[0]) >= {"valid_loss", "valid_aupr"}
    assert read_spec(tmp_path / "run").targets == (TargetGroup(loss="binary", tracks=2),)
