"""Models with known answers: what they make of motifs follows from their weights."""

from __future__ import annotations

import json
import logging
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import danq
from danq.errors import InputError
from danq.genome.nucleotide_codes import decode, encode, reverse_complement
from danq.inference.odds import odds
from danq.interpretation import Marginalization
from danq.interpretation.marginalization.experiments import ORIENTATIONS
from danq.models import Model, first_layer
from danq.models.architecture import Architecture
from danq.models.model_file import untrained

WINDOW, BIN = 100, 20
FIRST, SECOND = "GATAAGCT", "CCATTGAC"
START = (WINDOW - 8) // 2
BIT = 1 / np.log(2)
NEAR = range(5, 9)
TRACKS = ("additive", "pair", "blocked")
# Of A and T alone, so that no insertion completes another match.
SMALL = danq.Backgrounds(np.random.default_rng(0).choice([0, 3], (12, WINDOW)).astype(np.uint8))


@pytest.fixture
def known() -> Model:
    """One unit per track, on the forward strand alone.

    additive: 2 for each FIRST, 3 for each SECOND on either strand; pair: 4 if FIRST is in the
    middle and SECOND 5 to 8 bases downstream on the same strand; blocked: 4 for FIRST, and 0 with
    a SECOND.
    """
    shape = Architecture(filters=3, width=8, pool=1, temporal="none", dense=(3,))
    model = untrained("test", shape, TRACKS, WINDOW, BIN).with_options(
        device="cpu", precision="fp32", strand="forward", threads=1
    )
    layer = first_layer(model.module)
    dense, output = (one for one in model.module.modules() if isinstance(one, torch.nn.Linear))
    patterns = [encode(FIRST), encode(SECOND), reverse_complement(encode(SECOND))]
    steps = WINDOW - 8 + 1
    weights = torch.zeros(3, steps, 3)
    weights[0] = torch.tensor([2.0, 3.0, 3.0])
    weights[1, START, 0] = 1
    weights[1, [START + 8 + distance for distance in NEAR], 1] = 1
    weights[2] = torch.tensor([1.0, -1.0, -1.0])
    with torch.no_grad():
        layer.weight.zero_()
        for number, pattern in enumerate(patterns):
            layer.weight[number, torch.from_numpy(pattern).long(), torch.arange(8)] = 1
        layer.bias.fill_(-7)
        dense.weight.copy_(weights.reshape(3, -1))
        dense.bias.copy_(torch.tensor([0.0, -1.0, 0.0]))
        output.weight.copy_(torch.diag(torch.tensor([1.0, 4.0, 4.0])))
        output.bias.fill_(-3)
    return model


def random_model(seed: int) -> Model:
    shape = Architecture(filters=8, width=6, pool=4, hidden=5, dense=(6,))
    model = untrained("test", shape, ("one", "two"), WINDOW, BIN)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in model.module.parameters():
            weights.normal_(0, 0.3, generator=generator)
    return model.with_options(device="cpu", precision="fp32", tolerance=0.0, threads=1)


def value(report: Marginalization, table: str, track: str, **row: object) -> float:
    found = getattr(report, table).filter(track=track, **row)
    assert found.height == 1
    return found["effect"].item()


def test_effects_of_one_motif_are_the_weights(known: Model) -> None:
    report = danq.marginalize(known, [FIRST, SECOND], background=SMALL, distances=[])
    assert value(report, "effects", "additive", motif=FIRST, strand="+") == pytest.approx(2 * BIT)
    assert value(report, "effects", "additive", motif=FIRST, strand="-") == pytest.approx(0)
    for strand in "+-":
        found = value(report, "effects", "additive", motif=SECOND, strand=strand)
        assert found == pytest.approx(3 * BIT)
    assert value(report, "effects", "pair", motif=FIRST, strand="+") == pytest.approx(0)
    assert report.effects["sd"].to_numpy().max() < 1e-5
    assert report.effects.filter(track="pair")["prediction"][0] == pytest.approx(
        1 / (1 + np.exp(3)), rel=1e-5
    )
    assert report.pairs == ()
    assert report.distances == ()


def test_copies_add_up_where_the_model_is_additive(known: Model) -> None:
    report = danq.marginalize(known, [FIRST], background=SMALL, copies=3)
    for copies, track in product((1, 2, 3), ("additive", "blocked")):
        weight = {"additive": 2, "blocked": 4}[track]
        found = value(report, "dose", track, motif=FIRST, copies=copies)
        assert found == pytest.approx(copies * weight * BIT, rel=1e-5)
    assert not report.spacing.height


def test_the_excess_is_zero_where_additive_and_known_where_not(known: Model) -> None:
    report = danq.marginalize(known, [FIRST, SECOND], background=SMALL, distances=range(20))
    additive, pair, blocked = (report.spacing_matrix(FIRST, SECOND, one) for one in TRACKS)
    expected = np.zeros((4, 20))
    np.testing.assert_allclose(additive, expected, atol=1e-5)
    np.testing.assert_allclose(blocked, expected - 4 * BIT, atol=1e-5)
    expected[ORIENTATIONS.index(("downstream", "same")), NEAR] = 4 * BIT
    np.testing.assert_allclose(pair, expected, atol=1e-5)
    effect = report.spacing_matrix(FIRST, SECOND, "additive", "effect")
    np.testing.assert_allclose(effect, 5 * BIT, rtol=1e-5)
    assert report.distances == tuple(range(20))


def test_the_order_of_two_motifs_is_seen_along_the_first(known: Model) -> None:
    report = danq.marginalize(known, [SECOND, FIRST], background=SMALL, distances=range(10))
    # FIRST is never in the middle, so the pair has no effect.
    np.testing.assert_allclose(report.spacing_matrix(SECOND, FIRST, "pair"), 0, atol=1e-5)
    blocked = report.spacing_matrix(SECOND, FIRST, "blocked")
    same = [strand == "same" for _, strand in ORIENTATIONS]
    np.testing.assert_allclose(blocked[same], -4 * BIT, atol=1e-5)
    np.testing.assert_allclose(blocked[np.invert(same)], 0, atol=1e-5)


def test_a_single_motif_is_paired_with_itself_if_distances_are_given(known: Model) -> None:
    report = danq.marginalize(known, [FIRST], background=SMALL, distances=[3, 7])
    assert report.pairs == ((FIRST, FIRST),)
    np.testing.assert_allclose(report.spacing_matrix(FIRST, FIRST, "additive"), 0, atol=1e-5)


@pytest.mark.parametrize("strand", ["both", "forward"])
def test_results_equal_those_of_whole_windows(strand: str) -> None:
    models = [random_model(seed).with_options(strand=strand) for seed in (1, 2)]
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (5, WINDOW)).astype(np.uint8)
    report = danq.marginalize(
        models, ["GATAAG", "CCNATG"], background=danq.Backgrounds(codes, count=5), distances=[0, 9]
    )

    def bits(windows: np.ndarray) -> np.ndarray:
        strands = [windows] + [reverse_complement(windows)] * (strand == "both")
        with torch.no_grad():
            each = [
                odds(model.module.eval()(torch.from_numpy(one)).numpy()).bits
                for model in models
                for one in strands
            ]
        return np.mean(each, axis=0)

    def insert(windows: np.ndarray, text: str, start: int, reverse: bool) -> np.ndarray:
        """Insert letters; N keeps the base."""
        out = windows.copy()
        letters = encode(text)
        letters = reverse_complement(letters) if reverse else letters
        for offset, letter in enumerate(letters):
            if letter < 4:
                out[:, start + offset] = letter
        return out

    start = (WINDOW - 6) // 2
    for strand_of in "+-":
        own = insert(codes, "CCNATG", start, strand_of == "-")
        change = bits(own) - bits(codes)
        found = report.effects.filter(motif="CCNATG", strand=strand_of)
        np.testing.assert_allclose(found["effect"], change.mean(axis=0), atol=1e-5)
        np.testing.assert_allclose(found["sd"], change.std(axis=0, ddof=1), atol=1e-5)
        np.testing.assert_allclose(found["se"], change.std(axis=0, ddof=1) / np.sqrt(5), atol=1e-5)
    for (row, (side, strand_of)), (column, distance) in product(
        enumerate(ORIENTATIONS), enumerate((0, 9))
    ):
        at = start + 6 + distance if side == "downstream" else start - distance - 6
        reverse = strand_of == "opposite"
        first = insert(codes, "GATAAG", start, False)
        both = bits(insert(first, "CCNATG", at, reverse)) - bits(codes)
        alone = bits(first) + bits(insert(codes, "CCNATG", at, reverse)) - 2 * bits(codes)
        for number, track in enumerate(("one", "two")):
            for name, expected in (
                ("effect", both.mean(axis=0)),
                ("excess", (both - alone).mean(axis=0)),
                ("sd", (both - alone).std(axis=0, ddof=1)),
            ):
                matrix = report.spacing_matrix("GATAAG", "CCNATG", track, name)
                assert matrix[row, column] == pytest.approx(expected[number], abs=1e-5)


def test_ablation_removes_the_effect_of_each_instance(known: Model, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    sequences = {}
    for number in range(6):
        codes = rng.integers(0, 4, WINDOW).astype(np.uint8)
        for start in (10, 60)[: 1 + number % 2]:
            codes[start : start + 8] = encode(FIRST)
        sequences[f"s{number}"] = decode(codes)
    sequences["without"] = "A" * WINDOW
    path = tmp_path / "real.fa"
    path.write_text("".join(f">{name}\n{text}\n" for name, text in sequences.items()))
    report = danq.marginalize(known, [FIRST], background=SMALL, ablate=path)
    row = report.ablation.filter(track="additive").row(0, named=True)
    assert (row["sequences"], row["instances"]) == (6, 9)
    assert row["effect"] == pytest.approx(-2 * BIT * 9 / 6, rel=1e-4)
    assert row["sd"] == pytest.approx(np.std([1, 2] * 3, ddof=1) * 2 * BIT, rel=1e-4)
    assert row["flanks_effect"] == pytest.approx(0, abs=1e-4)


def test_a_motif_without_an_instance_has_no_row(
    known: Model, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "danq"):
        report = danq.marginalize(known, [FIRST], background=SMALL, ablate=["A" * WINDOW] * 2)
    assert not report.ablation.height
    assert f"'{FIRST}' has no instance in the sequences for the ablation" in caplog.text


def test_the_same_seed_gives_the_same_result(planted_set: danq.Dataset) -> None:
    calls = [
        danq.marginalize(
            random_model(1),
            ["GATAAGCT"],
            background=danq.Backgrounds(planted_set, count=10, seed=seed),
            ablate=planted_set,
        )
        for seed in (0, 0, 1)
    ]
    assert calls[0].effects.equals(calls[1].effects)
    assert calls[0].ablation.equals(calls[1].ablation)
    assert not calls[0].effects.equals(calls[2].effects)
    assert calls[0].ablation["sequences"][0] == 10


def test_backgrounds_of_a_dataset_keep_the_dinucleotides(planted_set: danq.Dataset) -> None:
    from danq.interpretation.marginalization.backgrounds import background_windows

    windows = background_windows(danq.Backgrounds(planted_set, count=400), 100)
    original = planted_set.codes(planted_set.indices("test"))
    assert len(windows.codes) == len(original) == 200

    def pairs(rows: np.ndarray) -> np.ndarray:
        return np.stack([np.bincount(5 * row[:-1] + row[1:], minlength=25) for row in rows])

    np.testing.assert_array_equal(pairs(windows.codes), pairs(original))
    assert (windows.codes != original).any(axis=1).mean() > 0.95


def test_random_backgrounds_have_the_gc_content() -> None:
    from danq.interpretation.marginalization.backgrounds import background_windows

    codes = background_windows(danq.Backgrounds(0.3, count=200), 500).codes
    assert np.isin(codes, (1, 2)).mean() == pytest.approx(0.3, abs=0.01)


def test_the_folder_has_tables_plots_and_checksums(known: Model, tmp_path: Path) -> None:
    import polars as pl

    from danq.provenance import sha256_of

    report = danq.marginalize(
        known,
        [FIRST, SECOND],
        background=SMALL,
        distances=range(3),
        ablate=[f"{'A' * 46}{FIRST}{'C' * 46}", f"{'A' * 40}{SECOND}{'C' * 52}"],
    )
    out = tmp_path / "out"
    danq.write_marginalization(report, out)
    assert {one.name for one in out.iterdir()} == {
        *(f"{one}.{end}" for one in ("effects", "dose", "ablation") for end in ("tsv", "png")),
        *("spacing.tsv", "spacing-1.png", "motifs.meme", "summary.json", "danq-folder.json"),
    }
    files = json.loads((out / "summary.json").read_text())["files"]
    assert all(sha256_of(out / name) == known for name, known in files.items())
    assert [one.name for one in danq.read_motifs(out / "motifs.meme")] == [FIRST, SECOND]
    table = pl.read_csv(out / "spacing.tsv", separator="\t", comment_prefix="#")
    np.testing.assert_allclose(table["excess"], report.spacing["excess"], rtol=1e-5, atol=1e-9)
    with pytest.raises(InputError, match="exists already"):
        danq.write_marginalization(report, out)
    danq.write_marginalization(report, out, overwrite=True)
    assert "1 instances replaced in 1 sequences" in report.describe()


@pytest.mark.parametrize(
    ("motifs", "options", "message"),
    [
        ([], {}, "no motif was given"),
        (["GATAX"], {}, "'X' at position 5 is no IUPAC letter"),
        (["A" * 101], {}, "has 101 positions, more than the window of 100 bases"),
        ([FIRST], {"copies": 0}, "the number of copies is 0"),
        ([FIRST], {"copies": 6}, "which has room for 5"),
        ([FIRST, SECOND], {"distances": [39]}, "in which they fit at most 38 bases apart"),
        ([FIRST, SECOND], {"distances": [-1, 4]}, "a distance is -1"),
        (["A" * 99, SECOND], {}, "fit not even side by side"),
        ([FIRST], {"background": 1.5}, "GC content of backgrounds is 1.5, not between 0 and 1"),
        ([FIRST], {"background": ["ACGT", "ACGT"]}, "has 4 bases, fewer than the window of 100"),
        ([FIRST], {"background": ["A" * 100]}, "number of sequences is 1, below the minimum of 2"),
        ([FIRST], {"ablate": 0.4}, "the sequences for the ablation are the number 0.4"),
        ([FIRST], {"tracks": ["none"]}, "no track 'none'"),
    ],
)
def test_bad_input_is_refused(
    known: Model, motifs: list[str], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        danq.marginalize(known, motifs, **options)


def test_a_dataset_of_another_window_is_refused(planted_set: danq.Dataset) -> None:
    model = untrained(
        "test", Architecture(filters=3, width=12, pool=5, hidden=3, dense=(4,)), ("a",), 90, 10
    )
    with pytest.raises(InputError, match="dataset is 100 bp, that of the model is 90"):
        danq.marginalize(model, [FIRST], background=planted_set)


@pytest.mark.parametrize(("count", "seed"), [(1, 0), (10, -1)])
def test_wrong_backgrounds_are_refused(count: int, seed: int) -> None:
    with pytest.raises(InputError):
        danq.Backgrounds(count=count, seed=seed)
