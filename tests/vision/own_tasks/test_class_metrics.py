"""Metrics of classes, labels and values equal scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from danq.vision.own_tasks.class_metrics import class_metrics, label_metrics, value_metrics


@pytest.mark.parametrize("classes", [2, 5])
def test_classes(classes):
    rng = np.random.default_rng(classes)
    true, predicted = rng.integers(0, classes, (2, 60))
    true[true == 1] = 0  # a class that is only predicted
    found = class_metrics(true, predicted)
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        balanced = metrics.balanced_accuracy_score(true, predicted)
    assert found == {
        "accuracy": pytest.approx(metrics.accuracy_score(true, predicted)),
        "balanced_accuracy": pytest.approx(balanced),
        "f1": pytest.approx(metrics.f1_score(true, predicted, average="macro")),
    }


def test_classes_that_are_unknown_count_in_the_accuracy_alone():
    true, predicted = np.array([0, 1, -1, 1]), np.array([0, 1, 1, 0])
    known = class_metrics(true[true >= 0], predicted[true >= 0])
    assert class_metrics(true, predicted) == known | {"accuracy": 0.5}
    assert np.isnan(class_metrics(np.array([-1]), np.array([0]))["f1"])


def test_labels():
    rng = np.random.default_rng(0)
    true, scores = rng.random((50, 4)) < 0.3, rng.normal(size=(50, 4)).astype(np.float32)
    true[:, 3] = False
    scores[0, 3] = 1  # found somewhere, and true nowhere
    found = label_metrics(true, scores)
    average = metrics.average_precision_score(true[:, :3], scores[:, :3])
    assert found == {
        "f1": pytest.approx(metrics.f1_score(true, scores > 0, average="macro")),
        "micro_f1": pytest.approx(metrics.f1_score(true, scores > 0, average="micro")),
        "aupr": pytest.approx(average, abs=1e-6),
    }
    assert np.isnan(label_metrics(true[:, 3:], scores[:, 3:])["aupr"])


def test_values_with_missing_ones():
    rng = np.random.default_rng(0)
    true, predicted = rng.normal(size=(2, 40, 2))
    true[:5, 0] = np.nan
    found = value_metrics(true, predicted)
    pairs = [(true[5:, 0], predicted[5:, 0]), (true[:, 1], predicted[:, 1])]
    assert found["r2"] == pytest.approx(np.mean([metrics.r2_score(*pair) for pair in pairs]))
    errors = [metrics.mean_absolute_error(*pair) for pair in pairs]
    assert found["mae"] == pytest.approx(np.mean(errors))
    assert np.isnan(value_metrics(np.full((3, 1), 2.0), np.zeros((3, 1)))["r2"])


def test_examples_of_unknown_classes_alone_are_all_wrong():
    found = class_metrics(np.array([-1, -1]), np.array([0, 1]))
    assert found["accuracy"] == 0
    assert np.isnan([found["balanced_accuracy"], found["f1"]]).all()
    assert np.isnan(list(class_metrics(np.zeros(0, int), np.zeros(0, int)).values())).all()
