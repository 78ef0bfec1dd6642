"""Model cards: what they accept, and how commands show them."""

from __future__ import annotations

import datetime
import json

import pytest

from danq.errors import InputError
from danq.models import ModelCard, architecture, load_model, read_card, save_model, untrained
from danq.models.model_card import MAX_TEXT
from danq.report.page import render_page
from danq.report.training_section import training_section
from danq_cli import main as cli

TEXT = """
name = "Yeast ChIP-exo"
authors = ["Ada Byron", "Grace Müller"]
date = 2026-05-04
license = "CC-BY-4.0"
intended_use = '''
Effects of variants in yeast promoters.
Not for other species.'''
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "card.toml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def model_with(path, card):
    """Write a model file whose header has these entries as its card."""
    shape = architecture("danq-small", filters=8, width=6, hidden=5, dense=[7])
    model = untrained("danq-small", shape, ("Abf1",), window=100, bin=20)
    save_model(path, model.module, model.spec.model_copy(update={"training": {"card": card}}))
    return path


def test_a_card_is_read(file):
    card = read_card(file)
    assert card.authors == ("Ada Byron", "Grace Müller")
    assert card.date == datetime.date(2026, 5, 4)
    assert card.intended_use == "Effects of variants in yeast promoters.\nNot for other species."
    assert card.contact is None
    assert ModelCard(authors="Ada Byron").authors == ("Ada Byron",)
    assert ModelCard(**json.loads(json.dumps(card.stored()))) == card


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "licence = 'MIT'",
            "'licence' is not an entry of a model card. The entries are name",
        ),
        ("dataset = 'a.h5'", "'dataset' is not an entry of a model card"),
        ("test_metrics = {AUPR = 1}", "'test_metrics' is not an entry of a model card"),
        ("name = 'a\\u001b[31m'".replace("'", '"'), r"name: contains '\\x1b' \(U\+001B\)"),
        ('data = "a\\u202eb"', r"data: contains '\\u202e' \(U\+202E\)"),
        ('authors = ["a", "b\\tc"]', r"authors: contains '\\t' \(U\+0009\)"),
        ("name = ' '", "name: is empty"),
        ("license = 3", "license: Input should be a valid string"),
        ("date = 0", "date: is not a date such as 2026-12-01"),
        ("date = 2026-05-04T10:00:00", "date: is not a date such as 2026-12-01"),
        ("date = 'May'", "date: Input should be a valid date"),
        (f"data = '{'a' * (MAX_TEXT + 1)}'", "data: has 4,001 characters; at most 4,000"),
        ("[card]\nname = 'a'", "'card' is not an entry of a model card"),
        ("# nothing", "has no entry of a model card. Write at least one of name, authors"),
        ("name = ", "is not valid TOML"),
    ],
)
def test_what_a_card_refuses(tmp_path, text, problem):
    path = tmp_path / "card.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=problem) as caught:
        read_card(path)
    assert caught.value.file == str(path)


def test_the_command_refuses_a_card_before_it_writes(tmp_path, small_file, capsys):
    path = tmp_path / "card.toml"
    path.write_text("licence = 'MIT'")
    command = ["train", str(small_file), "--out", str(tmp_path / "run"), "--card", str(path)]
    assert cli.run(command) == 2
    assert f"{path}: 'licence' is not an entry of a model card" in capsys.readouterr().err
    assert sorted(one.name for one in tmp_path.iterdir()) == ["card.toml", "small.h5"]


@pytest.fixture
def small_file(tmp_path):
    from tests.several_contigs import several_contigs

    several_contigs().save(tmp_path / "small.h5")
    return tmp_path / "small.h5"


def test_summary_shows_the_card(tmp_path, file, capsys):
    path = model_with(tmp_path / "model.safetensors", read_card(file).stored())
    assert cli.run(["summary", str(path)]) == 0
    text = capsys.readouterr().out
    assert "card license            CC-BY-4.0\n" in text
    assert "card authors            Ada Byron, Grace Müller\n" in text
    below = "\n                        Not for other species.\n"
    assert f"card intended use       Effects of variants in yeast promoters.{below}" in text
    assert "training card" not in text
    assert cli.run(["summary", str(path), "--json"]) == 0
    header = json.loads(capsys.readouterr().out)["result"]["header"]
    assert header["training"]["card"]["date"] == "2026-05-04"


def test_the_report_shows_the_card_as_text(tmp_path):
    text = "<script>alert('&')</script>"
    path = model_with(tmp_path / "model.safetensors", {"name": text, "data": "x' onload='y"})
    page = render_page([training_section(path)], "Title")
    assert "Model card" in page
    assert "alert('&" not in page
    assert "&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;" in page
    assert "x' onload=" not in page


@pytest.mark.parametrize(
    "card",
    [
        "text",
        [],
        {"autor": "x"},
        {"name": "\x1b[2J"},
        {"name": "a" * 5000},
        {"test_metrics": {"AUPR": "high"}},
        {"test_metrics": {"\x07": 1}},
    ],
)
def test_a_damaged_card_is_named(tmp_path, card, capsys):
    path = model_with(tmp_path / "model.safetensors", card)
    with pytest.raises(InputError, match="damaged model card: "):
        load_model(path).card  # noqa: B018
    assert cli.run(["summary", str(path)]) == 2
    error = capsys.readouterr().err
    assert "damaged model card: " in error
    assert "\x1b" not in error
    assert "damaged model card: " in render_page([training_section(path)], "Title")


def test_a_model_without_card(tmp_path):
    path = model_with(tmp_path / "model.safetensors", None)
    assert load_model(path).card is None
    assert "Model card" not in render_page([training_section(path)], "Title")
