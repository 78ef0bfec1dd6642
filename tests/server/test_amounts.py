"""A model of peaks and amounts: values with their units, as on the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from starlette.testclient import TestClient

import danq
from danq.amounts import AmountUnit
from danq.models import Model, TargetGroup, architecture, save_model, untrained
from danq.server.app import make_app
from danq_cli.main import run
from tests.server.conftest import BASE, SMALL, User

TRACKS = ("Reb1", "RNA", "ATAC")
UNITS = (AmountUnit(unit="reads", transform="log1p", scale=0.5), AmountUnit(unit="RPM"))
FP32 = ["--device", "cpu", "--precision", "fp32", "--threads", "1"]


def save_amounts(path: Path) -> Path:
    """A model of one track of peaks and two of amounts."""
    groups = (TargetGroup(loss="binary", tracks=1), TargetGroup(loss="gaussian", tracks=2))
    small = architecture("danq-small", **SMALL)
    model = untrained("danq-small", small, TRACKS, 40, 10, groups, UNITS)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for weights in model.module.parameters():
            weights.normal_(0, 0.3, generator=generator)
    save_model(path, model.module, model.spec)
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return save_amounts(tmp_path_factory.mktemp("amounts") / "model.safetensors")


@pytest.fixture(scope="module")
def model(path) -> Model:
    return danq.load(path, device="cpu", precision="fp32", threads=1)


@pytest.fixture(scope="module")
def user(model, folder) -> Iterator[User]:
    app = make_app(model, folder / "genome.fa", warm=False)
    with TestClient(app, base_url=BASE) as client:
        yield User(client)


def rows_of(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_tracks_have_units(user):
    found = user.client.get("/api/model").json()["tracks"]
    assert [(one["kind"], one["unit"]) for one in found] == [
        ("peaks", ""),
        ("amounts", "log1p(0.5 x reads)"),
        ("amounts", "RPM"),
    ]


def test_answers_are_those_of_the_command_line(user, path, folder, tmp_path):
    (tmp_path / "in.bed").write_text("chr1\t100\t140\nchr1\t300\t400\n")
    one = (folder / "genome.fa").read_text().split()[1]
    (tmp_path / "in.tsv").write_text(
        "chrom\tpos\tref\talt\n"
        + "".join(f"chr1\t{n}\t{one[n - 1]}\t{'CA'[one[n - 1] == 'C']}\n" for n in (50, 260))
    )
    for task, name in (("predict", "in.bed"), ("mutate", "in.bed"), ("variants", "in.tsv")):
        out = tmp_path / f"{task}.tsv"
        line = [task, str(path), str(tmp_path / name), "--genome", str(folder / "genome.fa")]
        assert run([*line, "--out", str(out), *FP32]) == 0
        body = (tmp_path / name).read_bytes()
        assert rows_of(user.answer(task, body, "table")) == rows_of(out.read_text())


def test_each_score_and_effect_is_explained(user, model, folder):
    found = user.answer("predict", "ACGT" * 10)
    assert found["meanings"] == {
        "probability or amount": "probability of a peak or amount in the middle 10 bases of a "
        "window of 40 bases"
    }
    variant = user.client.get("/api/model").json()["examples"]["variant"]
    found = user.answer("variants", variant)
    assert set(found["meanings"]) == set(found["scores"])
    assert found["scores"]["logit"][1:] == [None, None]
    assert found["scores"]["log2fc"][0] is None
    assert "log2 fold change" in found["meanings"]["log2fc"]
    assert found["meanings"]["ref"].startswith("of peaks: probability")
    assert "of amounts: amount" in found["meanings"]["ref"]
    assert "change in amount" in user.answer("mutate", "ACGT" * 5, "map")["values"]


def test_a_map_of_an_amount(user, model):
    state = user.state("mutate", "ACGTTGCATG", effect="log2fc")
    found = user.client.get(f"/api/jobs/{state['id']}/map?track=2").json()
    expected = danq.mutate(model, "ACGTTGCATG", effect="log2fc")
    assert found["track"] == "ATAC"
    assert "log2 fold change" in found["values"]
    assert np.float32(found["effects"]).tolist() == expected.values[:, :, 2].tolist()


@pytest.mark.parametrize(
    ("task", "text", "message"),
    [
        ("predict", "chr1:101-180", "regions longer than the window of 40 bases: 1; their values"),
        ("predict", "ACGT" * 30, "records longer than the window of 40 bases: 1, tiled every 10"),
        ("predict", "ACGT" * 3, "records shorter than the window of 40 bases"),
        ("predict", "chr1:1-10", "windows that extend beyond an end of their sequence"),
        ("mutate", "chr1:101-180", "sequences longer than the window of 40 bases: 1; each base"),
        ("mutate", "chr1:200 N>A", "the bases around the variants, 50 on each side"),
    ],
)
def test_what_is_scored_of_long_and_short_inputs_is_reported(user, task, text, message):
    assert any(message in one for one in user.state(task, text)["notices"])


def test_inputs_of_the_length_of_the_window_have_no_notice(user):
    for text in ("chr1:101-140", "ACGT" * 10):
        for task in ("predict", "mutate"):
            assert user.state(task, text)["notices"] == []
