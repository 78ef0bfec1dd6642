"""The k-mer baseline of amounts against scikit-learn's ridge regression."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from danq.errors import InputError
from danq.evaluation.amount_baseline import count_kmers_of_lengths, fit_amount_baseline
from danq.evaluation.kmer_baseline import _plain_count_kmers


def planted(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Windows whose first amount is the number of GATA, the second that of GC."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (rows, 60)).astype(np.uint8)
    codes[rng.random(codes.shape) < 0.02] = 4
    for row in np.flatnonzero(rng.random(rows) < 0.5):
        at = rng.integers(0, 55)
        codes[row, at : at + 4] = [2, 0, 3, 0]
    text = ["".join("ACGTN"[c] for c in row) for row in codes]
    amounts = np.array([[3 * t.count("GATA"), t.count("G") + t.count("C")] for t in text], float)
    return codes, amounts + rng.normal(0, 0.3, amounts.shape)


def test_counts_of_one_strand_by_hand():
    codes = np.array([[0, 1, 2, 3, 4, 0, 1]], np.uint8)  # ACGTNAC
    counts = count_kmers_of_lengths(codes, (1, 2), oriented=True)[0]
    names = [*"ACGT", *(a + b for a in "ACGT" for b in "ACGT")]
    found = {n: int(c) for n, c in zip(names, counts, strict=True) if c}
    assert found == {"A": 2, "C": 2, "G": 1, "T": 1, "AC": 2, "CG": 1, "GT": 1}


def test_counts_of_both_strands_equal_the_plain_twin():
    codes, _ = planted(20, 0)
    wanted = [_plain_count_kmers(codes, k) for k in (3, 4)]
    np.testing.assert_array_equal(count_kmers_of_lengths(codes, (3, 4)), np.hstack(wanted))


@pytest.mark.parametrize("oriented", [True, False])
def test_equals_scikit_learns_ridge(oriented):
    codes, amounts = planted(900, 1)
    batches = [(codes[:200], amounts[:200]), (codes[200:700], amounts[200:700])]
    lengths = (2, 3)
    fitted = fit_amount_baseline(
        batches, [(codes[700:], amounts[700:])], lengths=lengths, oriented=oriented,
        penalties=(0.05,),
    )  # fmt: skip
    counts = count_kmers_of_lengths(codes, lengths, oriented=oriented).astype(float)
    oracle = make_pipeline(StandardScaler(), Ridge(alpha=0.05 * 700))
    oracle.fit(counts[:700], amounts[:700])
    np.testing.assert_allclose(fitted.predict(codes), oracle.predict(counts), atol=1e-4)
    assert fitted.predict(codes).dtype == np.float32


def test_missing_amounts_count_as_the_mean_of_their_track():
    codes, amounts = planted(400, 2)
    amounts[:30] = np.nan
    amounts[30:90, 1] = np.nan
    valid = planted(200, 3)
    fitted = fit_amount_baseline([(codes, amounts)], [valid], lengths=(3,), penalties=(0.1,))
    filled = np.where(np.isnan(amounts), np.nanmean(amounts, axis=0), amounts)[30:]
    counts = count_kmers_of_lengths(codes, (3,)).astype(float)
    oracle = make_pipeline(StandardScaler(), Ridge(alpha=0.1 * 370)).fit(counts[30:], filled)
    np.testing.assert_allclose(fitted.predict(codes), oracle.predict(counts), atol=1e-4)


def test_the_penalty_is_selected_on_the_validation_windows():
    train, valid = planted(300, 4), planted(300, 5)
    valid[1][:20, 0] = np.nan
    fitted = fit_amount_baseline([train], [valid], lengths=(3, 4), penalties=(1e-6, 0.1, 1e5))
    scores = fitted.predict(valid[0])
    wanted = np.mean(
        [pearsonr(scores[20:, 0], valid[1][20:, 0])[0], pearsonr(scores[:, 1], valid[1][:, 1])[0]]
    )
    assert fitted.tried[fitted.penalty] == pytest.approx(wanted, abs=1e-5)
    assert fitted.tried[fitted.penalty] == max(fitted.tried.values())
    assert fitted.penalty == 0.1


def test_constant_kmers_have_no_effect():
    codes, amounts = planted(200, 6)
    codes[codes == 1], codes[codes == 2] = 0, 3
    fitted = fit_amount_baseline([(codes, amounts)], [(codes, amounts)])
    assert np.isfinite(fitted.predict(codes)).all()


def test_bad_input_is_refused():
    codes, amounts = planted(50, 7)
    good = [(codes, amounts)]
    with pytest.raises(InputError, match="no training windows"):
        fit_amount_baseline([], good)
    with pytest.raises(InputError, match="no validation windows"):
        fit_amount_baseline(good, [])
    with pytest.raises(InputError, match="no validation windows"):
        fit_amount_baseline(good, [(codes, amounts * np.nan)])
    with pytest.raises(InputError, match="track 1 has no amount in the training windows"):
        fit_amount_baseline([(codes, amounts * [1, np.nan])], good)
    with pytest.raises(InputError, match="k is 7, not between 1 and 6"):
        fit_amount_baseline(good, good, lengths=(3, 7))
    with pytest.raises(InputError, match="not positive"):
        fit_amount_baseline(good, good, penalties=(0.0,))
