"""The steps of predicted profiles in HDF5 and bigWig files."""

from __future__ import annotations

import json

import h5py
import numpy as np
import polars as pl
import pytest
import torch

from danq.amounts import AmountUnit
from danq.errors import InputError
from danq.genome.nucleotide_codes import encode, reverse_complement
from danq.inference import Regions, Tiles, predict, write_predictions
from danq.models import TargetGroup, architecture, untrained
from danq.models.targets import parts
from danq_cli.main import run

READS = AmountUnit(unit="reads", scale=0.5)
BINARY = TargetGroup(loss="binary", tracks=1)
PROFILE = TargetGroup(loss="profile", tracks=2, steps=4, step_bases=2)
TRACKS = ("peak", "p0", "p1")
BASES = 300


def made(seed: int = 0, profile: TargetGroup = PROFILE):
    torch.manual_seed(seed)
    small = architecture("danq", filters=8, width=5, pool=3, hidden=4, dense=(6,))
    groups = (BINARY, profile)
    model = untrained("danq", small, TRACKS, 40, 8, groups, (READS, READS))
    for value in model.module.parameters():
        torch.nn.init.normal_(value, std=0.4)
    with torch.no_grad():
        model.module.head.heads[1].totals.bias.fill_(3.0)
    return model.with_options(device="cpu", threads=1)


@pytest.fixture
def genome(tmp_path):
    letters = "".join(np.random.default_rng(0).choice(list("ACGT"), BASES))
    path = tmp_path / "genome.fa"
    path.write_text(f">chrI\n{letters}\n")
    return path


def steps_of(model, text: str, start: int, end: int) -> np.ndarray:
    """``(2, 4)`` steps of a row, from the outputs of the module for both strands.

    On the reverse strand, the tracks and the steps have the other order.
    """
    order = list(model.spec.targets[-1].reverse or (0, 1))
    first = (start + end) // 2 - 20
    window = "".join(text[i] if 0 <= i < len(text) else "N" for i in range(first, first + 40))
    codes = encode(window)[None]
    found = []
    for strand in (codes, np.ascontiguousarray(reverse_complement(codes))):
        with torch.no_grad():
            outputs = model.module(torch.from_numpy(strand)).double()
        part = list(parts(outputs, model.spec.targets))[-1]
        share = np.exp(part.outputs[0].numpy())
        share /= share.sum(axis=1, keepdims=True)
        steps = share * np.expm1(part.totals[0].numpy())[:, None]
        found.append(steps[order, ::-1] if len(found) else steps)
    return np.mean(found, axis=0)


def rows_of(path) -> pl.DataFrame:
    return pl.read_csv(path, separator="\t", comment_prefix="#")


def test_hdf5_has_the_steps_of_both_strands_and_tables_the_totals(genome, tmp_path):
    model = made()
    write_predictions(model, Tiles(genome, 8), tmp_path / "a.h5")
    write_predictions(model, Tiles(genome, 8), tmp_path / "a.tsv")
    table = rows_of(tmp_path / "a.tsv")
    text = genome.read_text().splitlines()[1]
    with h5py.File(tmp_path / "a.h5") as file:
        assert file.attrs["format_version"] == 3
        totals = file["predictions"][:]
        assert sorted(file["profiles"]) == ["0", "1"]
        for number in (0, 1):
            group = file[f"profiles/{number}"]
            assert dict(group.attrs) == {"track": 1 + number, "step_bases": 2}
            steps = group["values"][:]
            assert sorted(group) == ["values"]
            np.testing.assert_allclose(steps.sum(axis=1), totals[:, 1 + number], rtol=1e-5)
            for row in (0, 17, 37):
                start, end = table["start"][row], table["end"][row]
                right = steps_of(model, text, start, end)[number]
                np.testing.assert_allclose(steps[row], right, rtol=1e-4)
        said = json.loads(file.attrs["provenance"])
        assert said["profiles"] == "p0: 4 steps of 2 bases; p1: 4 steps of 2 bases"
    np.testing.assert_array_equal(totals, table.select(TRACKS).to_numpy().astype(np.float32))
    plain = predict(model, Tiles(genome, 8))
    np.testing.assert_array_equal(plain.values, totals)


@pytest.mark.parametrize("tracks", [None, ["p1", "peak"]])
def test_steps_of_paired_strands_are_exchanged(genome, tmp_path, tracks):
    model = made(0, PROFILE.model_copy(update={"reverse": (1, 0)}))
    write_predictions(model, Tiles(genome, 8), tmp_path / "a.h5", tracks=tracks)
    text = genome.read_text().splitlines()[1]
    with h5py.File(tmp_path / "a.h5") as file:
        numbers = {0: 0, 1: 1} if tracks is None else {0: 1}
        for number, profile in numbers.items():
            group = file[f"profiles/{number}"]
            steps = group["values"][:]
            totals = file["predictions"][:, group.attrs["track"]]
            np.testing.assert_allclose(steps.sum(axis=1), totals, rtol=1e-5)
            for row in (0, 17, 36):
                right = steps_of(model, text, 8 * row, 8 * row + 8)
                np.testing.assert_allclose(steps[row], right[profile], rtol=1e-4)
                assert not np.allclose(right[0], right[1], rtol=0.01)
    plain = made(0)
    write_predictions(plain, Tiles(genome, 8), tmp_path / "plain.h5", tracks=tracks)
    with h5py.File(tmp_path / "plain.h5") as file:
        assert not np.allclose(file["profiles/0/values"][17], steps_at(tmp_path / "a.h5", 17))


def steps_at(path, row: int) -> np.ndarray:
    with h5py.File(path) as file:
        return file["profiles/0/values"][row]


@pytest.mark.parametrize("tile", [8, 5, 7])
@pytest.mark.parametrize("options", [{}, {"measured": True}, {"strand": "forward"}])
def test_a_bigwig_has_the_steps_cut_at_the_ends_of_rows(genome, tmp_path, tile, options):
    bigwig = pytest.importorskip("pyBigWig")
    model = made().with_options(**options)
    out = str(tmp_path / "wigs/")
    write_predictions(model, Tiles(genome, tile), out, tracks=["p1", "peak"])
    write_predictions(model, Tiles(genome, tile), tmp_path / "a.h5", tracks=["p1", "peak"])
    right = np.full(BASES, np.nan, np.float32)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["profiles/0"].attrs["track"] == 0
        steps = file["profiles/0/values"][:]
        rows = zip(file["rows/start"][:], file["rows/end"][:], steps, strict=True)
        for start, end, one in rows:
            each = np.repeat(one, 2)
            offset = start - ((start + end) // 2 - 4)
            right[start:end] = each[offset : offset + end - start]
        peaks = np.repeat(file["predictions"][:, 1], np.diff([*file["rows/start"][:], BASES]))
    with bigwig.open(f"{out}/p1.bw") as file:
        found = np.array(file.values("chrI", 0, BASES), np.float32)
        np.testing.assert_array_equal(found, right)
        # bigWig readers give means of intervals exactly from the data.
        assert file.stats("chrI", 0, BASES, exact=True)[0] == pytest.approx(right.mean(), rel=1e-5)
    with bigwig.open(f"{out}/peak.bw") as file:
        np.testing.assert_array_equal(np.array(file.values("chrI", 0, BASES), np.float32), peaks)
    if tile == 8:
        totals = rows_of_totals(model, genome, tmp_path, tile)
        whole = right[: BASES // 8 * 8].reshape(-1, 8).sum(axis=1) / 2
        np.testing.assert_allclose(whole, totals[: BASES // 8], rtol=1e-5)


def rows_of_totals(model, genome, tmp_path, tile) -> np.ndarray:
    write_predictions(model, Tiles(genome, tile), tmp_path / "a.tsv", tracks=["p1"])
    return rows_of(tmp_path / "a.tsv")["p1"].to_numpy()


def test_an_ensemble_has_the_spread_of_each_step(genome, tmp_path):
    bigwig = pytest.importorskip("pyBigWig")
    models = [made(seed) for seed in (1, 2, 3)]
    each = []
    for number, model in enumerate(models):
        write_predictions(model, Tiles(genome, 8), tmp_path / f"{number}.h5")
        with h5py.File(tmp_path / f"{number}.h5") as file:
            each.append(file["profiles/0/values"][:])
    out = str(tmp_path / "wigs/")
    write_predictions(models, Tiles(genome, 8), tmp_path / "a.h5")
    write_predictions(models, Tiles(genome, 8), out)
    with h5py.File(tmp_path / "a.h5") as file:
        mean, spread = file["profiles/0/values"][:], file["profiles/0/spread"][:]
        np.testing.assert_allclose(mean, np.mean(each, axis=0), rtol=1e-5)
        np.testing.assert_allclose(spread, np.std(each, axis=0, ddof=1), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(file["spread"].shape, file["predictions"].shape)
    for name, values in (("p0", mean), ("p0_sd", spread)):
        with bigwig.open(f"{out}/{name}.bw") as file:
            found = np.array(file.values("chrI", 0, 296), np.float32)
            np.testing.assert_array_equal(found, np.repeat(values[:37].ravel(), 2))


def test_rows_longer_than_a_profile_are_refused_for_bigwig(genome, tmp_path, capsys, monkeypatch):
    model = made()
    problem = "a row of 9 bases is longer than its profile of 8"
    with pytest.raises(InputError, match=problem):
        write_predictions(model, Tiles(genome, 9), str(tmp_path / "wigs/"))
    bed = tmp_path / "rows.bed"
    bed.write_text("chrI\t10\t18\nchrI\t30\t39\n")
    with pytest.raises(InputError, match=problem):
        write_predictions(model, Regions(bed, genome), str(tmp_path / "wigs/"))
    assert not (tmp_path / "wigs").exists()
    write_predictions(model, Tiles(genome, 9), tmp_path / "a.tsv")
    write_predictions(model, Tiles(genome, 9), str(tmp_path / "wigs/"), tracks=["peak"])


def test_profiles_of_other_steps_do_not_predict_together(genome):
    other = made(1, PROFILE.model_copy(update={"steps": 2, "step_bases": 4}))
    with pytest.raises(InputError, match="they have profiles of other steps"):
        predict([made(), other], Tiles(genome, 8))


def test_the_command_writes_bigwig_of_measured_amounts(genome, tmp_path, monkeypatch):
    bigwig = pytest.importorskip("pyBigWig")
    from danq.models import save_model

    monkeypatch.chdir(tmp_path)
    model = made()
    save_model("m.safetensors", model.module, model.spec)
    words = ["predict", "m.safetensors", "genome.fa", "--tile", "8", "--device", "cpu"]
    assert run([*words, "--out", "plain/"]) == 0
    assert run([*words, "--out", "measured/", "--measured"]) == 0
    values = []
    for name in ("plain", "measured"):
        with bigwig.open(f"{name}/p0.bw") as file:
            values.append(np.array(file.values("chrI", 0, BASES)))
    np.testing.assert_allclose(values[1], 2 * values[0], rtol=1e-6)
    said = json.loads((tmp_path / "measured/danq.json").read_text())["provenance"]
    assert said["units"] == "peak: probability; p0: reads; p1: reads"
