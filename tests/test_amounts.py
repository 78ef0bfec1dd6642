"""Units of amounts: transforms, their inverses, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from danq.amounts import LARGEST, AmountUnit, library_scale
from danq.errors import InputError


@pytest.mark.parametrize("transform", ["none", "log1p", "asinh"])
@pytest.mark.parametrize("scale", [1.0, 0.013, 250.0])
def test_undo_gives_the_measured_values_back(transform, scale):
    unit = AmountUnit(unit="reads", transform=transform, scale=scale)
    measured = np.array([0, 0.5, 3, 1e4, np.nan], np.float32)
    if transform != "log1p":
        measured = np.concatenate([measured, -measured])
    values = unit.apply(measured)
    assert values.dtype == np.float32
    np.testing.assert_allclose(unit.undo(values), measured, rtol=2e-6, atol=1e-6)


def test_transforms_equal_their_formulas():
    x = np.array([0.0, 1.5, 40.0])
    log = AmountUnit(transform="log1p", scale=2)
    np.testing.assert_allclose(log.apply(x), np.log(1 + 2 * x), rtol=1e-6)
    asinh = AmountUnit(transform="asinh", scale=2)
    np.testing.assert_allclose(asinh.apply(-x), -np.log(2 * x + np.sqrt(4 * x * x + 1)), rtol=1e-6)


def test_values_that_cannot_be_transformed_are_refused():
    log = AmountUnit(transform="log1p")
    with pytest.raises(InputError, match="2 values are negative, down to -3; log1p needs value"):
        log.apply(np.array([1, -0.5, -3, np.nan]))
    with pytest.raises(InputError, match="too large for float32"):
        AmountUnit(scale=1e30).apply(np.array([1e20]))


def test_large_predictions_stay_finite():
    assert AmountUnit(transform="log1p").undo(np.array([1e4]))[0] == np.float32(LARGEST)
    assert AmountUnit(transform="asinh").undo(np.array([-1e4]))[0] == -np.float32(LARGEST)


def test_scaling_to_the_size_of_a_library():
    values = np.array([3.0, 0, 17])
    assert (values * library_scale(values.sum())).sum() == pytest.approx(1e6)
    for total in (0, -5, np.nan):
        with pytest.raises(InputError, match="add up to .* cannot be scaled to 1e\\+06"):
            library_scale(total)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scale": 0}, "greater than 0"),
        ({"scale": float("inf")}, "finite"),
        ({"scale": 1e31}, "less than or equal"),
        ({"transform": "log2"}, "Input should be"),
        ({"unit": "a\tb"}, "the unit contains"),
        ({"unit": " "}, "the unit is empty"),
        ({"other": 1}, "Extra inputs"),
    ],
)
def test_units_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        AmountUnit(**changes)


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        (AmountUnit(), ""),
        (AmountUnit(unit="reads"), "reads"),
        (AmountUnit(scale=2), "2 x value"),
        (AmountUnit(unit="reads", transform="log1p"), "log1p(reads)"),
        (AmountUnit(unit="reads", transform="asinh", scale=0.25), "asinh(0.25 x reads)"),
    ],
)
def test_text_of_a_unit(unit, text):
    assert str(unit) == text


X = np.array([-3.0, -0.2, 0.0, 1e-7, 0.5, 3.0, 900.0], np.float32)


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        (AmountUnit(), lambda x: np.sign(x) * np.log2(1 + np.abs(x))),
        (AmountUnit(unit="reads", scale=2), lambda x: np.sign(x) * np.log2(1 + np.abs(x) / 2)),
        (AmountUnit(unit="log2 YFP"), lambda x: x),
        (AmountUnit(unit="Log10(RPKM)", scale=2), lambda x: x / 2 * np.log2(10)),
        (AmountUnit(unit="ln ratio"), lambda x: x / np.log(2)),
        (AmountUnit(unit="log20"), lambda x: np.sign(x) * np.log2(1 + np.abs(x))),
        (AmountUnit(unit="lncRNA"), lambda x: np.sign(x) * np.log2(1 + np.abs(x))),
    ],
)
def test_differences_in_bits_are_fold_changes(unit, expected):
    np.testing.assert_allclose(unit.bits(X), expected(X.astype(np.float64)), rtol=1e-12)


@pytest.mark.parametrize("scale", [1.0, 0.25])
@pytest.mark.parametrize("transform", ["log1p", "asinh"])
def test_fold_changes_are_of_measured_amounts(transform, scale):
    unit = AmountUnit(unit="reads", transform=transform, scale=scale)
    measured = np.array([0.0, 0.3, 1.0, 7.0, 2500.0])
    found = unit.bits(unit.apply(measured))
    np.testing.assert_allclose(found, np.log2(1 + measured), rtol=1e-5, atol=1e-6)
    assert np.isfinite(unit.bits(np.array([-1e30, 1e30], np.float32))).all()
