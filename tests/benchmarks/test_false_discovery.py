"""q-values of a trained model keep the false discovery rate on a genome with known truth."""

from __future__ import annotations

import pytest

from benchmarks.studies.false_discovery import SHARES, false_discovery_rates
from danq.demo import run_demo
from danq.models import load_model
from danq.models.run_options import RunOptions


@pytest.mark.slow
def test_false_discovery_rates_are_at_most_the_nominal_ones(tmp_path):
    """Background variants are matched on kind and on peaks."""
    options = RunOptions(device="cpu")
    run_demo(tmp_path / "demo", options=options)
    model = load_model(tmp_path / "demo" / "run", **vars(options))
    rates = false_discovery_rates(
        model, tmp_path / "demo" / "simulation", tmp_path, background=30_000, matched=True
    )
    assert len(rates) == 2 * len(SHARES)
    for rate in rates:
        assert rate.strict <= rate.level + 2 * rate.strict_error, rate
        assert rate.by_variant <= rate.level + 2 * rate.by_variant_error, rate
    # Otherwise the rates would be 0 because nothing is selected.
    assert rates[-1].power > 0.2
    assert rates[-1].selected > 20
