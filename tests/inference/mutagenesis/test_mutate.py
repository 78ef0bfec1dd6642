"""Effects of substitutions equal separate predictions of windows that are built from text."""

from __future__ import annotations

import gzip
import json
import math

import h5py
import numpy as np
import polars as pl
import pytest
import torch

import danq
from danq.errors import InputError
from danq.inference import OneHotFile, Regions, WrittenMutations, mutate, write_mutations
from danq.models import Model, ModelSpec, RunOptions, architecture
from danq.models import build as build_model
from danq.models.run_options import DEFAULT_TOLERANCE
from tests.watched import watched

WINDOW, BIN = 40, 10
SHAPE = {"filters": 12, "width": 5, "pool": 3, "hidden": 6, "dense": (7,)}
BITS = 1 / math.log(2)


def make(seed: int, tracks=("Reb1", "Abf1", "Rap1")) -> Model:
    torch.manual_seed(seed)
    module = build_model(tracks=len(tracks), window=WINDOW, **SHAPE)
    with torch.no_grad():
        for weight in module.parameters():
            weight.mul_(2)
    spec = ModelSpec(
        preset="danq-small",
        architecture=architecture("danq-small", **SHAPE),
        tracks=tracks,
        groups=("",) * len(tracks),
        window=WINDOW,
        bin=BIN,
    )
    exact = RunOptions("cpu", "fp32", tolerance=0.0)
    return Model(module.eval(), spec, options=exact)


@pytest.fixture
def model() -> Model:
    return make(1)


def logits(model: Model, windows: list[str]) -> np.ndarray:
    codes = [["ACGTN".index(letter) for letter in window] for window in windows]
    with torch.inference_mode():
        return model.module(torch.tensor(codes, dtype=torch.uint8)).double().numpy()


def reverse_complement(text: str) -> str:
    return text[::-1].translate(str.maketrans("ACGT", "TGCA"))


def effect(
    model: Model, before: list[str], after: list[str], *, both=True, probability=False
) -> np.ndarray:
    out = []
    for read in (str, reverse_complement) if both else (str,):
        a, b = (logits(model, [read(text) for text in texts]) for texts in (before, after))
        out.append(1 / (1 + np.exp(-b)) - 1 / (1 + np.exp(-a)) if probability else (b - a) * BITS)
    return np.mean(out, axis=0)


def window_of(text: str, position: int, start: int, end: int) -> tuple[str, int]:
    """Window in which a base is mutated, and the position of its first base."""
    if end - start > WINDOW:
        start += (position - start) // BIN * BIN
        end = min(start + BIN, end)
    first = (start + end) // 2 - WINDOW // 2
    letters = (text[i] if 0 <= i < len(text) else "N" for i in range(first, first + WINDOW))
    return "".join(letters), first


def expected_effects(model: Model, text: str, start=0, end=None, **options) -> np.ndarray:
    """Effects from predictions of all altered windows; ``(bases, 4, tracks)``."""
    end = len(text) if end is None else end
    out = np.full((end - start, 4, len(model.tracks)), np.nan)
    indices, before, after = [], [], []
    for position in range(start, end):
        if text[position] == "N":
            continue
        window, first = window_of(text, position, start, end)
        at = position - first
        for base, letter in enumerate("ACGT"):
            indices.append((position - start, base))
            before.append(window)
            after.append(window[:at] + letter + window[at + 1 :])
    out[tuple(np.transpose(indices))] = effect(model, before, after, **options)
    return out


def assert_close(found: np.ndarray, expected: np.ndarray, atol: float = 4e-6) -> None:
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


TEXT = "GATTACANNCCGTAGGCATTCAGGATCCATGGCAATTGCACGTTTGGCAACCGTANTTGACCATAGGCATACCAGT"


@pytest.mark.parametrize("length", [1, 7, 39, 40, 41, 75])
def test_effects_equal_those_of_separate_predictions(model, length):
    expected = expected_effects(model, TEXT[:length])
    assert np.nanmax(np.abs(expected)) > 0.01
    assert_close(mutate(model, TEXT[:length]).values, expected)


@pytest.mark.parametrize("measure", ["logit", "probability"])
def test_effects_follow_the_strand_and_effect_options(model, measure):
    for strand in ("both", "forward"):
        expected = expected_effects(
            model, TEXT[:40], both=strand == "both", probability=measure == "probability"
        )
        assert_close(
            mutate(model.with_options(strand=strand), TEXT[:40], effect=measure).values,
            expected,
        )


def test_the_default_tolerance_keeps_effects_within_1e_4(model):
    exact = mutate(model, TEXT).values
    np.testing.assert_allclose(
        mutate(model.with_options(tolerance=DEFAULT_TOLERANCE), TEXT).values,
        exact,
        rtol=0,
        atol=1e-4,
    )


def test_reference_bases_have_no_effect_and_unknown_bases_are_nan(model):
    effects = mutate(model, TEXT).values
    for row, letter in zip(effects, TEXT, strict=True):
        if letter == "N":
            assert np.isnan(row).all()
        else:
            assert np.isfinite(row).all()
            assert (row["ACGT".index(letter)] == 0).all()


def test_a_sequence_of_unknown_bases_has_no_effects(model, write_fasta, tmp_path, caplog):
    assert np.isnan(mutate(model, "N" * 9).values).all()
    result = write_mutations(model, write_fasta({"x": "N" * 9}), tmp_path / "a.tsv")
    assert result.substitutions == 0
    assert "every base is N" in caplog.text
    assert pl.read_csv(tmp_path / "a.tsv", separator="\t", comment_prefix="#").height == 0


def test_effects_of_the_reverse_complement_are_mirrored(model):
    text = TEXT[:WINDOW]
    forward, reverse = (
        mutate(model, text).values,
        mutate(model, reverse_complement(text)).values,
    )
    np.testing.assert_allclose(reverse[::-1, ::-1], forward, rtol=0, atol=2e-6)


def test_codes_and_letters_give_the_same_effects(model):
    codes = np.array(["ACGTN".index(letter) for letter in TEXT], dtype=np.uint8)
    np.testing.assert_array_equal(mutate(model, codes).values, mutate(model, TEXT).values)
    np.testing.assert_array_equal(mutate(model, TEXT.lower()).values, mutate(model, TEXT).values)


def test_effects_do_not_depend_on_the_batch_size(model):
    one = mutate(model.with_options(batch_size=7), TEXT[:50]).values
    np.testing.assert_allclose(one, mutate(model, TEXT[:50]).values, rtol=0, atol=2e-6)


def test_tracks_are_selected_in_the_given_order(model):
    expected = mutate(model, TEXT[:20]).values[:, :, [2, 0]]
    np.testing.assert_array_equal(
        mutate(model, TEXT[:20], tracks=["Rap1", "Reb1"]).values, expected
    )


def test_a_model_without_incremental_evaluation_is_evaluated_in_full(toy, caplog):
    caplog.set_level("INFO", logger="danq")
    effects = mutate(toy().with_options(strand="forward"), "ACGTTGCATT").values
    assert "in full, which is slower: Counts is not a CnnRnn" in caplog.text
    np.testing.assert_allclose(effects[0, :, 0], [0, 0, 0.25 * BITS, 0], atol=1e-6)
    np.testing.assert_allclose(effects[1, :, 1], np.array([-1, 0, -1, -1]) * 0.25 * BITS, atol=1e-6)


def test_the_package_exports_mutate():
    assert danq.mutate is mutate


@pytest.mark.parametrize(
    ("sequence", "options", "problem"),
    [
        ("", {}, "the sequence is empty"),
        ("ACXT", {}, "'X' at position 3 is not a DNA letter"),
        (np.array([0, 5], np.uint8), {}, "code 5 at position 2"),
        (np.zeros(3), {}, "float64"),
        ("ACGT", {"tracks": ["Gal4"]}, "no track 'Gal4'"),
        ("ACGT", {"effect": "odds"}, "effect is 'odds'"),
    ],
)
def test_invalid_sequences_and_options_are_refused(model, sequence, options, problem):
    with pytest.raises(InputError, match=problem):
        mutate(model, sequence, **options)


def test_one_hot_arrays_cannot_be_mutated(model, genome):
    with pytest.raises(InputError, match="OneHotFile cannot be mutated"):
        mutate(model, OneHotFile(genome))


def test_several_sequences_give_the_effects_of_each(model, sequences, genome):
    known = dict(sequences)
    each = [mutate(model, text).values for text in known.values()]
    result = mutate(model, known)
    np.testing.assert_allclose(result.values, np.concatenate(each), rtol=0, atol=2e-6)
    assert result.rows["ref"].to_list() == list("".join(known.values()))
    assert result.names[:2] == ["chrIV", "chrIV"]
    assert result.rows["pos"][:2].to_list() == [1, 2]
    region = mutate(model, Regions("chrIV:11-40", genome))
    assert_close(region.values, expected_effects(model, sequences["chrIV"], 10, 40))
    assert region.names[0] == "chrIV:11"


def test_a_data_frame_has_a_row_per_substitution(model):
    result = mutate(model, "ACNT")
    table = result.to_polars()
    assert table.columns == ["name", "pos", "ref", "alt", "Reb1", "Abf1", "Rap1"]
    rows = [(p, r, a) for p, r in ((1, "A"), (2, "C"), (4, "T")) for a in "ACGT" if a != r]
    assert table.select("pos", "ref", "alt").rows() == rows
    expected = [result.values[p - 1, "ACGT".index(a), 1] for p, _, a in rows]
    assert table["Abf1"].to_list() == expected


def read_effects(path) -> tuple[list, np.ndarray, dict]:
    """Sequence, position and base of each row of an HDF5 file, its effects, and the rest of it."""
    with h5py.File(path) as file:
        names = file["sequences/name"].asstr()[:]
        window = file["bases/window"][:]
        sequence = file["windows/sequence"][:][window]
        keys = list(
            zip(
                names[sequence],
                file["bases/position"][:].tolist(),
                file["bases/base"][:].tolist(),
                strict=True,
            )
        )
        rest = {name: file[name][:] for name in ("spread", "windows/reference") if name in file}
        return keys, file["effects"][:], rest | dict(file.attrs)


@pytest.mark.parametrize(("start", "end"), [(60, 85), (0, 9), (190, 205), (30, 120), (0, 205)])
def test_windows_of_a_region_extend_into_the_genome(model, sequences, genome, tmp_path, start, end):
    region = f"chrIV:{start + 1}-{end}"
    result = write_mutations(model, Regions(region, genome), tmp_path / "a.h5")
    text = sequences["chrIV"]
    known = sum(letter != "N" for letter in text[start:end])
    assert result == WrittenMutations(tmp_path / "a.h5", 1, 3 * known, 0, ("Reb1", "Abf1", "Rap1"))
    keys, effects, rest = read_effects(tmp_path / "a.h5")
    assert keys == [("chrIV", at, "ACGTN".index(text[at])) for at in range(start, end)]
    assert_close(effects, expected_effects(model, text, start, end))
    window, _ = window_of(text, start, start, end)
    both = [
        1 / (1 + np.exp(-logits(model, [read(window)])[0])) for read in (str, reverse_complement)
    ]
    np.testing.assert_allclose(rest["windows/reference"][0], np.mean(both, axis=0), atol=1e-6)


def test_bed_rows_and_fasta_records_keep_their_order(model, sequences, genome, tmp_path):
    bed = tmp_path / "rows.bed"
    bed.write_text("I\t30\t41\nchrIV\t100\t160\nI\t0\t7\nI\t3\t9\n")
    write_mutations(model, Regions(bed, genome), tmp_path / "a.h5")
    keys, effects, _ = read_effects(tmp_path / "a.h5")
    rows = [("chrI", 30, 41), ("chrIV", 100, 160), ("chrI", 0, 7), ("chrI", 3, 9)]
    assert [key[:2] for key in keys] == [(n, at) for n, s, e in rows for at in range(s, e)]
    assert_close(
        effects, np.concatenate([expected_effects(model, sequences[n], s, e) for n, s, e in rows])
    )
    write_mutations(model, genome, tmp_path / "b.h5")
    keys, effects, _ = read_effects(tmp_path / "b.h5")
    assert_close(
        effects, np.concatenate([expected_effects(model, text) for text in sequences.values()])
    )
    with h5py.File(tmp_path / "b.h5") as file:
        assert file["sequences/end"][:].tolist() == [len(text) for text in sequences.values()]


@pytest.mark.parametrize("models", [[1], [1, 2, 3]])
def test_all_formats_contain_the_same_effects(genome, tmp_path, models):
    models = [make(seed) for seed in models]
    source = Regions("chrIV:11-40", genome)
    for name in ("a.h5", "a.tsv", "a.tsv.gz", "a.parquet"):
        write_mutations(models, source, tmp_path / name, pairs="15-18")
    table = pl.read_parquet(tmp_path / "a.parquet")
    assert table.columns[:4] == ["chrom", "pos", "ref", "alt"]
    assert table.schema["Reb1"] == pl.Float32
    read = {"separator": "\t", "comment_prefix": "#", "schema": table.schema}
    assert pl.read_csv(tmp_path / "a.tsv", **read).equals(table)
    assert gzip.decompress((tmp_path / "a.tsv.gz").read_bytes()).startswith(b"# danq")
    assert pl.read_csv(tmp_path / "a.tsv.gz", **read).equals(table)
    keys, effects, rest = read_effects(tmp_path / "a.h5")
    wide = effects if len(models) == 1 else np.concatenate([effects, rest["spread"]], axis=2)
    single = [
        (name, at + 1, "ACGT"[base], "ACGT"[other], *wide[row, other].tolist())
        for row, (name, at, base) in enumerate(keys)
        for other in range(4)
        if base < 4 and other != base
    ]
    assert table[: len(single)].rows() == single
    with h5py.File(tmp_path / "a.h5") as file:
        parts = [file[name][:] for name in ("pairs/effects", "pairs/spread") if name in file]
        np.testing.assert_array_equal(np.concatenate(parts, axis=1), table[len(single) :, 4:])


def test_an_ensemble_has_mean_and_standard_deviation(genome, tmp_path):
    models = [make(seed) for seed in (1, 2, 3)]
    write_mutations(models, Regions("chrI:1-12", genome), tmp_path / "a.h5")
    _, effects, rest = read_effects(tmp_path / "a.h5")
    text = genome.read_text().split(">chrI\n")[1].split("\n")[0]
    each = np.stack([expected_effects(model, text, 0, 12) for model in models])
    assert_close(effects, each.mean(axis=0))
    assert_close(rest["spread"], each.std(axis=0, ddof=1))
    result = mutate(models, Regions("chrI:1-12", genome))
    np.testing.assert_array_equal(result.values, np.concatenate([effects, rest["spread"]], axis=2))
    assert result.columns == ("Reb1", "Abf1", "Rap1", "Reb1_sd", "Abf1_sd", "Rap1_sd")


@pytest.mark.parametrize("where", ["17-20", "chrIV:17-20", "IV:17-20", "{chrIV}:17-20"])
def test_both_bases_of_a_pair_are_substituted_together(model, sequences, genome, tmp_path, where):
    text = sequences["chrIV"]
    source, small = Regions("chrIV:11-30", genome), model.with_options(batch_size=10)
    result = write_mutations(small, source, tmp_path / "a.parquet", pairs=where)
    write_mutations(small, source, tmp_path / "a.h5", pairs=where)
    known = [at for at in range(16, 20) if text[at] != "N"]
    table = pl.read_parquet(tmp_path / "a.parquet").tail(9 * len(known) * (len(known) - 1) // 2)
    assert result.substitutions == 3 * sum(letter != "N" for letter in text[10:30])
    assert result.pairs == table.height
    assert f"substitutions and {table.height:,} pairs of substitutions in" in result.describe()
    before, first = window_of(text, 10, 10, 30)
    expected = []
    for i in known:
        for a in "ACGT".replace(text[i], ""):
            for j in (later for later in known if later > i):
                for b in "ACGT".replace(text[j], ""):
                    changed = list(before)
                    changed[i - first], changed[j - first] = a, b
                    (values,) = effect(model, [before], ["".join(changed)])
                    ref = text[i : j + 1]
                    expected.append(("chrIV", i + 1, ref, a + ref[1:-1] + b, *values))
    assert [row[:4] for row in table.rows()] == [row[:4] for row in expected]
    assert_close(table[:, 4:].to_numpy(), np.array([row[4:] for row in expected]))
    with h5py.File(tmp_path / "a.h5") as file:
        position, base = file["pairs/position"][:], file["pairs/base"][:]
        for row, (_, pos, ref, alt, *_) in enumerate(expected):
            assert position[row].tolist() == [pos - 1, pos + len(ref) - 2]
            assert "".join("ACGT"[code] for code in base[row]) == alt[0] + alt[-1]


def test_the_header_describes_the_run(genome, tmp_path, model):
    from dataclasses import replace

    named = replace(model, path=tmp_path / "m.safetensors", sha256="ab12")
    write_mutations(named, Regions("chrI:5-9", genome), tmp_path / "a.tsv", pairs="6-8")
    head = [line for line in (tmp_path / "a.tsv").read_text().splitlines() if line[0] == "#"]
    assert f"# danq: {danq.__version__}" in head
    assert f"# model: {tmp_path}/m.safetensors sha256:ab12" in head
    assert "# region: chrI:5-9" in head
    assert f"# genome: {genome}" in head
    assert "# pairs: 6-8" in head
    assert "# tolerance: 0" in head
    assert "# values: change in log2 odds (bits), mutant minus reference" in head
    write_mutations(named, Regions("chrI:5-9", genome), tmp_path / "a.h5")
    _, _, attributes = read_effects(tmp_path / "a.h5")
    assert attributes["magic"] == "danq-mutations"
    assert attributes["effect"] == "logit"
    assert attributes["key"] == "chrom"
    assert json.loads(attributes["provenance"])["region"] == "chrI:5-9"


def test_progress_counts_substitutions(model, genome, tmp_path):
    seen = []
    source = Regions("chrIV:1-95", genome)
    with watched(lambda *now: seen.append(now), "substitutions"):
        write_mutations(model, source, tmp_path / "a.tsv")
    assert seen == [(min(30 * (n + 1), 285), 285) for n in range(10)]


def test_long_padded_and_unknown_sequence_is_reported(model, genome, tmp_path, caplog):
    caplog.set_level("INFO", logger="danq")
    write_mutations(model, Regions("chrIV", genome), tmp_path / "a.tsv")
    assert "longer than the window of 40 bases: 1" in caplog.text
    assert "extend past an end of their sequence, padded with N: 4" in caplog.text
    assert "bases N, without effects: " in caplog.text


def test_targets_without_effects_and_shared_bases_are_counted(model, tmp_path, caplog):
    caplog.set_level("INFO", logger="danq")
    fasta = tmp_path / "g.fa"
    fasta.write_text(f">one\n{'ACGTTGCA' * 10}{'N' * 40}{'ACGTTGCA' * 10}\n")
    bed = tmp_path / "r.bed"
    bed.write_text("one\t10\t20\none\t85\t95\none\t15\t25\ntwo\t5\t9\ntwo\t7\t9\n")
    written = write_mutations(model, Regions(bed, fasta), tmp_path / "a.tsv")
    assert written.sequences == 3
    assert f"{bed}: left out 2 of 5 records, whose contigs the genome does not have" in caplog.text
    assert "1 of 3 regions overlap another one" in caplog.text
    assert (
        "1 of 3 sequences consist of N and have no effects; the first is one:86-95" in caplog.text
    )
