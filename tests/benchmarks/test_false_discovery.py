"""q-values of a trained model keep the false discovery rate on a genome with known truth."""

from __future__ import annotations

import pytest

from benchmarks.studies.false_discovery import KIND, PEAKS, SHARES, false_discovery_rates
from danq.demo import run_demo
from danq.models import load_model
from danq.models.run_options import RunOptions


@pytest.mark.slow
def test_false_discovery_rates_are_at_most_the_nominal_ones(tmp_path):
    """For all candidates, with background variants matched on kind, and on kind and peaks."""
    options = RunOptions(device="cpu")
    run_demo(tmp_path / "demo", options=options)
    model = load_model(tmp_path / "demo" / "run", **vars(options))
    rates = false_discovery_rates(
        model, tmp_path / "demo" / "simulation", tmp_path, background=30_000
    )
    for background in (KIND, PEAKS):
        own = [rate for rate in rates if rate.background == background]
        assert len(own) == 2 * (len(SHARES) + 1)
        for rate in own:
            assert rate.controlled, rate
        # Otherwise the rates would be 0 because nothing is selected.
        assert own[-1].power > 0.2
        assert own[-1].selected > 20
    # The absolute logit does not control the rate: the model responds on other tracks, too.
    assert not all(rate.controlled for rate in rates if rate.background == "logit")
