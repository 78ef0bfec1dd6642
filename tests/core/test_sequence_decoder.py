from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import pytest
import torch

from danq.core import AttentionPool, Mean, SequenceDecoder, beam_search, greedy, lengths_mask

START, END = 0, 1
LENGTHS = [6, 2, 1]


def make(attention: bool, vocabulary: int = 5) -> SequenceDecoder:
    torch.manual_seed(0)
    pool = AttentionPool(4, 6, query_features=8) if attention else None
    decoder = SequenceDecoder(4, vocabulary, embedding=7, hidden=8, attention=pool).double()
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.7)
    return decoder


def memory() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    x = torch.randn(3, 6, 4, dtype=torch.float64)
    return x, lengths_mask(torch.tensor(LENGTHS), 6)


def score(decoder: SequenceDecoder, row: torch.Tensor, symbols: tuple[int, ...]) -> float:
    """Log probability of a sequence by teacher forcing, a way no search takes."""
    given = torch.tensor([[START, *symbols[:-1]]])
    logs = decoder(row[None], given)[0].log_softmax(dim=1).detach()
    return float(sum(logs[t, symbol] for t, symbol in enumerate(symbols)))


@pytest.mark.parametrize("attention", [False, True])
def test_padded_memory_changes_nothing(attention):
    x, mask = memory()
    decoder, symbols = make(attention), torch.randint(0, 5, (3, 4))
    out, weights = decoder.attend(x.masked_fill(~mask.unsqueeze(2), float("nan")), symbols, mask)
    for row, length in enumerate(LENGTHS):
        alone = decoder(x[row : row + 1, :length], symbols[row : row + 1])
        torch.testing.assert_close(out[row], alone[0])
    if weights is not None:
        torch.testing.assert_close(weights.sum(dim=2), torch.ones(3, 4, dtype=torch.float64))
        assert not weights.transpose(1, 2)[~mask].any()


@pytest.mark.parametrize("attention", [False, True])
def test_no_symbol_depends_on_a_later_one(attention):
    x, _ = memory()
    decoder, symbols = make(attention), torch.randint(0, 5, (3, 6))
    before = decoder(x, symbols)
    other = symbols.clone()
    other[:, 3] = (other[:, 3] + 1) % 5
    changed = (decoder(x, other) != before).any(dim=2).any(dim=0)
    assert changed.tolist()[:4] == [False, False, False, True]


def test_without_attention_it_is_torchs_lstm_over_memory_and_symbols():
    x, mask = memory()
    decoder, symbols = make(False), torch.randint(0, 5, (3, 4))
    own = torch.nn.LSTM(7, 8, batch_first=True).double()
    own.load_state_dict({f"{name}_l0": v for name, v in decoder.cell.state_dict().items()})
    image = decoder.summary(Mean(4)(x, mask)).unsqueeze(1)
    hidden = own(torch.cat([image, decoder.embedding(symbols)], dim=1))[0]
    torch.testing.assert_close(decoder(x, symbols, mask), decoder.output(hidden[:, 1:]))


@pytest.mark.parametrize("attention", [False, True])
def test_a_beam_of_one_is_greedy(attention):
    x, mask = memory()
    decoder = make(attention)
    settings = {"start": START, "end": END, "limit": 7}
    for alpha in (0.0, 1.0):
        beams = beam_search(decoder.step, decoder.begin(x, mask), width=1, alpha=alpha, **settings)
        ones = greedy(decoder.step, decoder.begin(x, mask), **settings)
        for (best,), one in zip(beams, ones, strict=True):
            assert (best.symbols, best.ended) == (one.symbols, one.ended)
            length = len(one.symbols) + one.ended
            assert best.score == pytest.approx(one.score / length**alpha)


@pytest.mark.parametrize("alpha", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("attention", [False, True])
def test_a_full_beam_is_exhaustive_search(attention, alpha):
    x, _ = memory()
    decoder, limit, vocabulary = make(attention, 3), 4, 3
    words = [s for s in range(vocabulary) if s != END]
    ended = [(*w, END) for n in range(limit) for w in product(words, repeat=n)]
    everything = ended + list(product(words, repeat=limit))
    settings = {"start": START, "end": END, "limit": limit, "width": len(everything)}
    beams = beam_search(decoder.step, decoder.begin(x), alpha=alpha, **settings)
    for row, beam in zip(x, beams, strict=True):
        scores = {s: score(decoder, row, s) / len(s) ** alpha for s in everything}
        found = {h.symbols + (END,) * h.ended: h.score for h in beam}
        assert found == pytest.approx(scores)
        assert beam[0].score == max(h.score for h in beam)
        assert sum(torch.tensor([score(decoder, row, s) for s in everything]).exp()) == (
            pytest.approx(1.0)
        )


def test_a_row_does_not_depend_on_the_others():
    x, mask = memory()
    decoder = make(True)
    settings = {"start": START, "end": END, "limit": 6, "width": 3, "alpha": 0.5}
    together = beam_search(decoder.step, decoder.begin(x, mask), **settings)
    for row in range(3):
        alone = beam_search(
            decoder.step, decoder.begin(x[row : row + 1], mask[row : row + 1]), **settings
        )
        for a, b in zip(alone[0], together[row], strict=True):
            assert a.symbols == b.symbols
            assert a.score == pytest.approx(b.score)


@dataclass
class Table:
    """A decoder by hand: the chance of the next symbol given the last."""

    last: torch.Tensor
    device = torch.device("cpu")

    def __len__(self) -> int:
        return len(self.last)

    def select(self, rows: torch.Tensor) -> Table:
        return Table(self.last[rows])


def test_a_beam_beats_greedy_search_and_alpha_favours_long_sequences():
    chances = torch.tensor(
        [
            [0.00, 0.00, 0.6, 0.4],  # start: symbol 2 looks better than 3
            [0.00, 1.00, 0.0, 0.0],
            [0.00, 0.35, 0.3, 0.35],
            [0.00, 0.90, 0.1, 0.0],
        ]
    )

    def step(symbols: torch.Tensor, state: Table) -> tuple[torch.Tensor, Table]:
        return (chances[symbols] + 1e-9).log(), Table(symbols)

    settings = {"start": 0, "end": 1, "limit": 5}
    begin = Table(torch.zeros(1, dtype=torch.long))
    (one,) = greedy(step, begin, **settings)
    assert one.symbols == (2,)
    best = beam_search(step, begin, width=3, **settings)[0][0]
    assert best.symbols == (3,)
    assert best.score == pytest.approx(float(torch.tensor(0.4 * 0.9).log()), abs=1e-6)
    longer = beam_search(step, begin, width=3, alpha=2.0, **settings)[0][0]
    assert len(longer.symbols) > 1


def test_gradients_reach_every_weight():
    x, mask = memory()
    decoder = make(True)
    decoder(x, torch.randint(0, 5, (3, 4)), mask).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in decoder.parameters())


def test_invalid_shapes_are_refused():
    with pytest.raises(ValueError, match=r"memory of shape \(2, 4\) is not \(B, M, 4\)"):
        make(False).begin(torch.zeros(2, 4))
    with pytest.raises(ValueError, match="query of 3 features, the state has 8"):
        SequenceDecoder(4, 5, hidden=8, attention=AttentionPool(4, query_features=3))
