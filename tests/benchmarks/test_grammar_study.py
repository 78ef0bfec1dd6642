"""The rules of the simulation in the true model, as insertions and ablations find them."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

import danq
from benchmarks.studies import grammar
from danq.simulation import simulate
from danq.simulation.binding_model import BindingModel


def test_all_planted_rules_are_found_in_the_true_model_and_no_other(tmp_path, monkeypatch, capsys):
    simulate(tmp_path / "sim", genome_size=1_200_000, variants=0, seed=3)
    words = ["grammar", str(tmp_path / "sim"), "--backgrounds", "12", "--threads", "1"]
    monkeypatch.setattr(sys, "argv", words)
    assert grammar.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "0 checks failed"
    passed = [line for line in lines if line.startswith("ok ")]
    assert sum("(no rule)" in line for line in passed) == 92
    assert sum("found: " in line for line in passed) == 4
    assert sum("sharp: " in line for line in passed) == 4
    assert sum("absent " in line for line in passed) == 3
    assert sum(" replaced in " in line for line in passed) == 12


@pytest.mark.parametrize(("track", "failed"), [("ETS1", 3), ("SP1", 2)])
def test_a_model_without_a_rule_fails_the_checks(tmp_path, capsys, track, failed):
    truth = BindingModel.of_tracks()
    number = truth.tracks.index(track)
    rule = truth.rules[number]
    rules = list(truth.rules)
    rules[number] = replace(rule, partner=None, blocker=None)
    other = grammar.true_model(replace(truth, rules=tuple(rules)))
    motifs = tmp_path / "motifs.meme"
    danq.genome.write_meme(motifs, truth.motifs)
    check = grammar.Check()
    grammar.check_planted(check, other, truth, motifs, rule, 4)
    assert check.failed == failed, capsys.readouterr().out
