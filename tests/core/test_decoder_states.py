"""Decoders of several layers and kinds, and states of encoders, against torch's own layers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from danq.core import (
    AttentionPool,
    Last,
    MeanStates,
    Recurrent,
    SequenceDecoder,
    beam_search,
    greedy,
    lengths_mask,
)

KINDS = {"lstm": nn.LSTM, "gru": nn.GRU}
START, END, V = 0, 1, 5
LENGTHS = [6, 2, 1]


def memory() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(3, 6, 4, dtype=torch.float64), lengths_mask(torch.tensor(LENGTHS), 6)


def decoder_of(kind: str, layers: int, attention: bool = False) -> SequenceDecoder:
    torch.manual_seed(0)
    pool = AttentionPool(4, 6, query_features=8) if attention else None
    options = {"embedding": 7, "hidden": 8, "attention": pool, "kind": kind, "layers": layers}
    decoder = SequenceDecoder(None, V, **options).double()
    for parameter in decoder.parameters():
        nn.init.normal_(parameter, 0.0, 0.7)
    return decoder


def states_of(kind: str, layers: int) -> tuple[torch.Tensor, torch.Tensor | None]:
    torch.manual_seed(2)
    h, c = torch.randn(2, 3, layers, 8, dtype=torch.float64)
    return h, c if kind == "lstm" else None


def torchs(decoder: SequenceDecoder) -> nn.LSTM | nn.GRU:
    """Torch's layers with the weights of a decoder's cells."""
    own = KINDS[decoder.kind](7, 8, num_layers=decoder.layers, batch_first=True).double()
    cells = [decoder.cell, *decoder.upper]
    own.load_state_dict(
        {f"{n}_l{k}": v for k, cell in enumerate(cells) for n, v in cell.state_dict().items()}
    )
    return own


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layers", [1, 3])
def test_a_decoder_is_torchs_layers_from_the_same_states(kind, layers):
    x, _ = memory()
    decoder, symbols = decoder_of(kind, layers), torch.randint(0, V, (3, 4))
    h, c = states_of(kind, layers)
    first = [s.transpose(0, 1).contiguous() for s in (h, c) if s is not None]
    hidden, last = torchs(decoder)(
        decoder.embedding(symbols), tuple(first) if len(first) > 1 else first[0]
    )
    out = decoder(x, symbols, None, (h, c))
    torch.testing.assert_close(out, decoder.output(hidden))
    state = decoder.begin(x, None, (h, c))
    for column in symbols.unbind(dim=1):
        logits, state = decoder.step(column, state)
    torch.testing.assert_close(logits, out[:, -1])
    found = [s.transpose(0, 1) for s in (state.h, state.c) if s is not None]
    torch.testing.assert_close(tuple(found), last if kind == "lstm" else (last,))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("layers", [1, 2])
def test_an_encoder_returns_the_states_of_torchs_layers(kind, bidirectional, layers):
    torch.manual_seed(0)
    layer = Recurrent(4, 3, kind=kind, bidirectional=bidirectional, layers=layers).double()
    x, mask = memory()
    both = 2 if bidirectional else 1
    for given in (None, mask):
        out, (h, c) = layer.with_states(x, given)
        torch.testing.assert_close(out, layer(x, given))
        for row, length in enumerate(LENGTHS if given is not None else [6] * 3):
            states = layer.rnn(x[row : row + 1, :length])[1]
            for one, own in zip((h, c), states if kind == "lstm" else (states, None), strict=True):
                assert (one is None) == (own is None)
                if one is not None:
                    wanted = own.view(layers, both, 3).flatten(1)
                    torch.testing.assert_close(one[row], wanted)
    assert (c is None) == (kind == "gru")
    torch.testing.assert_close(h[:, -1, :3], Last(3)(out[..., :3], mask))


def test_states_of_stacked_layers_have_dropout_between_them():
    torch.manual_seed(0)
    layer = Recurrent(4, 3, bidirectional=False, layers=2, dropout=0.5)
    x = torch.randn(3, 5, 4)
    _, (dropped, _) = layer.with_states(x)
    _, (kept, _) = layer.eval().with_states(x)
    assert torch.equal(dropped[:, 0], kept[:, 0])
    assert not torch.allclose(dropped[:, 1], kept[:, 1])


def test_hard_gates_return_no_states():
    with pytest.raises(ValueError, match="hard gates return no states"):
        Recurrent(4, 3, gates="hard").with_states(torch.zeros(1, 2, 4))


@pytest.mark.parametrize("kind", KINDS)
def test_states_of_an_encoder_start_a_decoder_of_its_size(kind):
    x, mask = memory()
    encoder = Recurrent(4, 4, kind=kind, layers=2).double()
    tokens, states = encoder.with_states(x, mask)
    decoder = SequenceDecoder(None, V, embedding=7, hidden=8, kind=kind, layers=2).double()
    symbols = torch.randint(0, V, (3, 4))
    decoder(tokens, symbols, mask, states).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in encoder.parameters())
    assert all(p.grad is not None and p.grad.any() for p in decoder.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_mean_states_are_the_tanh_of_a_linear_map_of_the_mean(kind):
    x, mask = memory()
    start = MeanStates(4, 8, kind=kind, layers=2).double()
    h, c = start(x.masked_fill(~mask.unsqueeze(2), float("nan")), mask)
    assert (c is None) == (kind == "gru")
    dense = start.dense[0]
    for row, length in enumerate(LENGTHS):
        wanted = torch.tanh(dense.weight @ x[row, :length].mean(dim=0) + dense.bias)
        torch.testing.assert_close(h[row], wanted.view(2, 8))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("attention", [False, True])
def test_a_beam_of_one_is_greedy_with_stacked_layers(kind, attention):
    x, mask = memory()
    decoder, states = decoder_of(kind, 2, attention), states_of(kind, 2)
    settings = {"start": START, "end": END, "limit": 7}
    beams = beam_search(decoder.step, decoder.begin(x, mask, states), width=1, **settings)
    ones = greedy(decoder.step, decoder.begin(x, mask, states), **settings)
    for (best,), one in zip(beams, ones, strict=True):
        assert best.symbols == one.symbols
        assert best.score == pytest.approx(one.score)


def test_attention_asks_with_the_last_layer():
    x, mask = memory()
    decoder, (h, c) = decoder_of("lstm", 2, attention=True), states_of("lstm", 2)
    asked = decoder.step(torch.tensor([2, 2, 2]), decoder.begin(x, mask, (h, c)))[1].weights
    wanted = decoder.attention.weights(x, mask, h[:, 1])
    torch.testing.assert_close(asked, wanted)


def test_states_that_do_not_fit_are_refused():
    x, _ = memory()
    h, c = states_of("lstm", 1)
    with pytest.raises(ValueError, match="has no memory_features and requires initial states"):
        decoder_of("lstm", 1).begin(x)
    with pytest.raises(ValueError, match="takes no initial states"):
        SequenceDecoder(4, V, hidden=8).begin(x, None, (h, c))
    message = r"shape \(3, 1, 8\) \(lstm\) do not fit those of the decoder, \(3, 2, 8\) \(lstm\)"
    with pytest.raises(ValueError, match=message):
        decoder_of("lstm", 2).begin(x, None, (h, c))
    with pytest.raises(ValueError, match=r"\(lstm\) do not fit .* \(gru\)"):
        decoder_of("gru", 1).begin(x, None, (h, c))
    with pytest.raises(ValueError, match="kind is 'rnn', not one of lstm, gru"):
        SequenceDecoder(4, V, kind="rnn")
