from __future__ import annotations

import numpy as np
import pytest
import torch

from danq.core import Tcn
from danq.errors import InputError
from danq.models import (
    PRESETS,
    architecture,
    build,
    initialise_jaspar,
    load_model,
    save_model,
    set_base_rates,
    summary,
    untrained,
)


def parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_danq_has_the_papers_shape():
    module = build("danq", tracks=919, window=1000)
    assert parameters(module) == 46_929_039
    codes = torch.randint(0, 4, (2, 1000), dtype=torch.uint8)
    assert module.features(codes).shape == (2, 75, 640)
    assert module(codes).shape == (2, 919)


def test_danq_jaspar_has_the_papers_shape():
    module = build("danq-jaspar", tracks=919, window=1000)
    codes = torch.randint(0, 4, (1, 1000), dtype=torch.uint8)
    assert module.features(codes).shape == (1, 64, 1024)
    # Keras counts 67,892,175 with one bias vector per LSTM direction, torch keeps two.
    assert parameters(module) == 67_892_175 + 2 * 4 * 512


def test_deepsea_has_53_steps():
    module = build("deepsea", tracks=919, window=1000)
    assert module.encoder.steps(1000) == 53
    assert module(torch.zeros(1, 1000, dtype=torch.uint8)).shape == (1, 919)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("window", [200, 501, 2114])
def test_any_window(preset, window):
    module = build(preset, tracks=2, window=window).eval()
    assert module(torch.zeros(1, window, dtype=torch.uint8)).isfinite().all()


def test_initial_values_follow_the_paper():
    torch.manual_seed(0)
    module = build("danq", tracks=4, window=200)
    conv, lstm = module.encoder, module.temporal.rnn
    assert conv.weight.abs().max() <= 0.05
    assert not conv.bias.any()
    gate = lstm.weight_hh_l0.chunk(4)[2]
    torch.testing.assert_close(gate @ gate.T, 1.21 * torch.eye(320), rtol=1e-4, atol=1e-4)
    bias = (lstm.bias_ih_l0 + lstm.bias_hh_l0).chunk(4)
    assert [float(b.detach().mean()) for b in bias] == [0, 1, 0, 0]


@pytest.mark.parametrize("temporal", ["lstm", "gru", "tcn", "none"])
@pytest.mark.parametrize("pooling", ["flatten", "last", "mean", "max", "mean-max", "attention"])
def test_any_temporal_layer_and_pooling(temporal, pooling, tmp_path):
    numbers = {"filters": 6, "hidden": 4, "dense": (5,), "temporal": temporal, "pooling": pooling}
    model = untrained("danq", architecture("danq", **numbers), ("a", "b"), window=200, bin=100)
    codes = torch.randint(0, 5, (3, 200), dtype=torch.uint8)
    out = model.module(codes)
    assert out.shape == (3, 2)
    assert out.isfinite().all()
    save_model(tmp_path / "model.safetensors", model.module, model.spec)
    assert torch.equal(load_model(tmp_path).module(codes), out)
    assert "OneHotConv" in summary(model)


def receptive_field(tcn: Tcn) -> int:
    return 1 + 2 * sum(sum(block.padding) for block in tcn.blocks)


@pytest.mark.parametrize("bidirectional", [True, False])
def test_the_receptive_field_of_a_tcn_covers_the_window(bidirectional):
    numbers = {"temporal": "tcn", "hidden": 4, "filters": 6, "bidirectional": bidirectional}
    module = build("danq", tracks=1, window=1000, **numbers)
    assert isinstance(module.temporal, Tcn)
    assert module.temporal.out_features == 4
    assert len(module.temporal.blocks) == (6 if bidirectional else 5)
    assert receptive_field(module.temporal) >= (2 * 75 - 1 if bidirectional else 75)
    fewer = build("danq", tracks=1, window=1000, tcn_blocks=2, tcn_width=5, **numbers)
    assert isinstance(fewer.temporal, Tcn)
    assert receptive_field(fewer.temporal) == 1 + 2 * 4 * 3
    with pytest.raises(InputError, match="tcn_width is 4; a bidirectional TCN needs an odd one"):
        architecture("danq", temporal="tcn", tcn_width=4)


def test_an_untrained_output_gives_the_base_rates():
    module = build("danq-small", tracks=3, window=300).eval()
    set_base_rates(module, np.array([0.2, 0.01, 0.0]))
    with torch.no_grad():
        module.head.output.weight.zero_()
    rates = torch.sigmoid(module(torch.zeros(1, 300, dtype=torch.uint8)))[0]
    torch.testing.assert_close(rates, torch.tensor([0.2, 0.01, 1e-4]), rtol=1e-4, atol=1e-7)


def test_jaspar_rule_sets_filters_to_frequencies():
    module = build("danq-jaspar", tracks=2, window=300)
    motifs = [np.full((6, 4), 0.25) + 0.05 * i for i in range(5)]
    before = module.encoder.weight.detach().clone()
    assert initialise_jaspar(module, motifs, seed=3) == 5
    changed = (module.encoder.weight != before).any(dim=1)
    assert changed[5:].sum() == 0
    for number in range(1, 5):
        taps = changed[number].nonzero().flatten()
        assert len(taps) == 6
        assert taps[0] >= 3
        assert taps[-1] < 27
        torch.testing.assert_close(
            module.encoder.weight[number][:, taps], torch.full((4, 6), 0.05 * number)
        )
        assert -1 <= module.encoder.bias[number] <= 0


def test_unknown_names_and_hyperparameters_are_refused():
    with pytest.raises(InputError, match=r"no preset is named 'danqq'.*danq-small"):
        architecture("danqq")
    with pytest.raises(InputError, match="filterz"):
        architecture("danq", filterz=3)
    with pytest.raises(InputError, match="window of 30 bp"):
        build("danq", tracks=1, window=30)


def test_an_unknown_hyperparameter_is_reported_on_one_line():
    with pytest.raises(InputError, match="cannot take.*hiden: there is no setting") as caught:
        architecture("danq", hiden=3)
    assert "\n" not in str(caught.value)
    assert "pydantic" not in str(caught.value)
