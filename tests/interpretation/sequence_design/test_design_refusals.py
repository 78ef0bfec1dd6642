"""Wrong goals, constraints and starts of a design: refused before any work."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import danq
from danq.errors import InputError
from danq.models import Model, architecture, untrained

SHAPE = {"filters": 8, "width": 5, "pool": 3, "hidden": 4, "dense": (6,)}
TEXT = "ACGTTGCATGCCAATGTACCGATTGGCATC"


@pytest.fixture
def model() -> Model:
    torch.manual_seed(0)
    shape = architecture("danq-small", **SHAPE)
    made = untrained("danq-small", shape, ("Reb1", "Abf1", "Rap1"), 30, 10)
    return made.with_options(device="cpu", precision="fp32", threads=1)


@pytest.fixture(autouse=True)
def _no_work(monkeypatch):
    """No window is evaluated."""

    def refuse(*args):
        raise AssertionError("a window was evaluated")

    for name in ("MutantLevels", "PlainLevels"):
        module = "danq.inference.mutagenesis.mutant_levels"
        monkeypatch.setattr(f"{module}.{name}.__call__", refuse)


GOALS = {
    "the design has no goal": {},
    "'Reb1' has more than one goal": {"maximize": ["Reb1"], "target": {"Reb1": 0.5}},
    "maximize is the string 'Reb1'": {"maximize": "Reb1"},
    "nan for the track 'Reb1' is not a finite number": {"target": {"Reb1": float("nan")}},
    "high for the track 'Reb1' is not a finite number": {"target": {"Reb1": "high"}},
    "the weight 2 is of the track 'Abf1', which has no goal": {
        "maximize": ["Reb1"],
        "weights": {"Abf1": 2},
    },
    "weight of the track 'Reb1' is -1": {"maximize": ["Reb1"], "weights": {"Reb1": -1}},
}


@pytest.mark.parametrize(("message", "goals"), GOALS.items())
def test_wrong_goals(message, goals):
    with pytest.raises(InputError, match=message):
        danq.DesignGoals(**goals)


def test_goals_that_the_model_does_not_have(model):
    with pytest.raises(InputError, match=r"no track 'reb'. Did you mean 'Reb1'"):
        danq.design(model, TEXT, danq.DesignGoals(["reb"]))
    with pytest.raises(InputError, match="target 1.5 of the track 'Rap1' is not a probability"):
        danq.design(model, TEXT, danq.DesignGoals(target={"Rap1": 1.5}))


CONSTRAINTS = {
    "GC content from 0.6 to 0.4": {"gc": (0.6, 0.4)},
    "GC content from 40 to 60": {"gc": (40, 60)},
    "fixed is '1-3', not a list": {"fixed": "1-3"},
    "no motif of the file is forbidden": {"motif_files": ["a.meme"]},
}


@pytest.mark.parametrize(("message", "options"), CONSTRAINTS.items())
def test_wrong_constraints(message, options):
    with pytest.raises(InputError, match=message):
        danq.DesignConstraints(**options)


CONTRADICTIONS = {
    r"no window of 30 bases has a GC content from 0.41 to 0.42": {"gc": (0.41, 0.42)},
    r"record 'sequence': edits that bring the GC content \(0.500\) into the range: 12": {
        "gc": (0.9, 1)
    },
    r"record 'sequence': the GC content, 0.500, cannot reach the range": {
        "gc": (0.6, 1),
        "fixed": ["1-28"],
        "edits": 2,
    },
    r"contains the forbidden motif TGCC at 9-12, inside fixed positions": {
        "forbidden": ["TGCC"],
        "fixed": ["9-12"],
    },
    r"contains the forbidden motif GGCA at 25-28, inside": {
        "forbidden": ["GGCA"],
        "fixed": ["25-28"],
    },
    r"remove forbidden motifs \(\d+\): [3-9]; allowed edits: 2": {"forbidden": ["TG"], "edits": 2},
    "all positions are fixed": {"fixed": ["1-30"]},
    "5 edits, and 4 positions are not fixed": {"fixed": ["1-26"], "edits": 5},
    "the fixed positions 20-31 are not inside the window": {"fixed": ["20-31"]},
    "the fixed positions 0-3 are not inside the window": {"fixed": ["0-3"]},
    "the fixed positions 'chr1:1-4' are no interval": {"fixed": ["chr1:1-4"]},
    "'TGXC' is neither a name of a motif nor a sequence": {"forbidden": ["TGXC"]},
    "no substitution meets the constraints": {
        "fixed": ["1-29"], "edits": 1, "forbidden": ["GATTGGCATA", "GATTGGCATG", "GATTGGCATT"],
    },
}  # fmt: skip


@pytest.mark.parametrize(("message", "options"), CONTRADICTIONS.items())
def test_constraints_that_a_start_cannot_meet(model, message, options):
    options = dict(options)
    edits = options.pop("edits", 8)
    constraints = danq.DesignConstraints(**options)
    with pytest.raises(InputError, match=message):
        danq.design(model, TEXT, danq.DesignGoals(["Reb1"]), constraints=constraints, edits=edits)


def test_wrong_starts(model, tmp_path: Path):
    goals = danq.DesignGoals(["Reb1"])
    wrong = {
        "record 'short': has 3 bases, and the window of the model has 30": {"short": "ACG"},
        "record 'a': base 5 is N, and a design has no N": {"a": TEXT[:4] + "N" + TEXT[5:]},
        "Tiles are no starts of a design": danq.Tiles("g.fa", 10),
    }
    for message, starts in wrong.items():
        with pytest.raises(InputError, match=message):
            danq.design(model, starts, goals)
    path = tmp_path / "twice.fa"
    path.write_text(f">a\n{TEXT}\n>a\n{TEXT}\n")
    with pytest.raises(InputError, match=r"twice.fa: several starts are named 'a'"):
        danq.design(model, path, goals)
    with pytest.raises(InputError, match="number of random starts is 0"):
        danq.RandomStarts(0)
    with pytest.raises(InputError, match="none of 1,000 random sequences is without"):
        danq.design(
            model,
            danq.RandomStarts(1),
            goals,
            constraints=danq.DesignConstraints(forbidden=["A", "CG"]),
        )
    bed = tmp_path / "fixed.bed"
    bed.write_text("other\t0\t5\n")
    with pytest.raises(InputError, match=r"fixed.bed: names other, and the starts are sequence"):
        danq.design(model, TEXT, goals, constraints=danq.DesignConstraints(fixed=[bed]))
    bed.write_text("sequence\t0\t31\n")
    with pytest.raises(InputError, match="interval 0-31 is not inside the start"):
        danq.design(model, TEXT, goals, constraints=danq.DesignConstraints(fixed=[bed]))
    for name in ("edits", "beam", "proposals"):
        with pytest.raises(InputError, match=f"{name} is 0, the minimum is 1"):
            danq.design(model, TEXT, goals, **{name: 0})
    with pytest.raises(InputError, match="every track is of peaks"):
        danq.design(model.with_options(measured=True), TEXT, goals)
