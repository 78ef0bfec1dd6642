"""Effects from whole windows on a device equal incremental effects, on the CPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from danq.errors import InputError
from danq.inference import mutate, write_mutations
from danq.inference.ensemble import Ensemble
from danq.inference.mutagenesis import effects, whole_window_effects
from danq.inference.mutagenesis.whole_window_effects import device_odds
from danq.inference.odds import odds

SEQUENCES = ["ACGTTGCANNTACCGATTAGACCATTGACACGTA", "TTGACACCATAGGATACC" * 5]


def test_odds_equal_those_of_the_host():
    logits = np.random.default_rng(1).normal(0, 20, (9, 5)).astype(np.float32)
    logits[0] = [0, 40, -40, 800, -800]
    expected, found = odds(logits), device_odds(torch.from_numpy(logits))
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == torch.float64
        np.testing.assert_allclose(one.numpy(), other, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("effect", ["logit", "probability"])
@pytest.mark.parametrize("options", [{}, {"strand": "forward"}, {"batch_size": 7}])
@pytest.mark.parametrize("members", [1, 2])
def test_effects_equal_incremental_effects(small_model, as_on_a_gpu, effect, options, members):
    models = [small_model(seed=seed).with_options(**options) for seed in range(members)]
    expected = mutate(models, SEQUENCES, effect=effect, tracks=["Rap1", "Reb1"])
    as_on_a_gpu()
    found = mutate(models, SEQUENCES, effect=effect, tracks=["Rap1", "Reb1"])
    assert found.columns == expected.columns
    np.testing.assert_allclose(found.values, expected.values, rtol=0, atol=5e-6)
    assert np.nanmax(np.abs(found.values)) > 0.02


def test_pairs_and_headers(small_model, as_on_a_gpu, tmp_path):
    model = small_model()
    texts = []
    for name, precision in (("host", "fp32"), ("device", "auto")):
        path = tmp_path / f"{name}.tsv"
        write_mutations(model.with_options(precision=precision), SEQUENCES[0], path, pairs="3-9")
        texts.append(path.read_text().splitlines())
        as_on_a_gpu()
    header = [line for line in texts[1] if line.startswith("#")]
    assert any("precision" in line and "fp32 on cpu" in line for line in header)
    assert any("batch size" in line and "4096 windows" in line for line in header)
    rows = [[line.split("\t") for line in text if line[0] != "#"] for text in texts]
    assert len(rows[0]) == len(rows[1]) > 200
    for ours, theirs in zip(*rows, strict=True):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            try:
                assert float(one) == pytest.approx(float(other), abs=6e-6, nan_ok=True)
            except ValueError:
                assert one == other


def test_exhausted_memory_for_mutants_names_a_smaller_batch(small_model, as_on_a_gpu, monkeypatch):
    def full(codes):
        raise torch.OutOfMemoryError("CUDA out of memory")

    as_on_a_gpu()
    model = small_model().with_options(strand="both", batch_size=600)
    monkeypatch.setattr(whole_window_effects, "reverse_complement", full)
    with pytest.raises(InputError, match=r"600 windows.*such as 300"):
        mutate(model, SEQUENCES)


def test_windows_share_large_blocks(small_model, as_on_a_gpu):
    as_on_a_gpu()
    scorer = effects.EffectScorer(Ensemble.of(small_model()), "logit")
    assert scorer.block == 4 * 4096 - 64
    assert scorer.batches() == {"batch size": "4096 windows"}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_effects_on_a_cuda_device_equal_those_of_the_cpu(small_model):
    expected = mutate(small_model(), SEQUENCES)
    found = mutate(small_model().with_options(device="cuda", precision="auto"), SEQUENCES)
    np.testing.assert_allclose(found.values, expected.values, rtol=0, atol=2e-5)
