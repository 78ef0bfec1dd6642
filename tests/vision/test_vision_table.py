from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from benchmarks.vision import read, table
from danq.errors import InputError
from danq.vision.benchmark import Row, TaskReport


def written(path, task, *, quick=False):
    rows = [
        Row("ours", [{"accuracy": 0.9}, {"accuracy": 0.92}], [10.0, 12.0], 1234),
        Row("chance", [{"accuracy": 0.25}, {"accuracy": 0.25}], [0.5, 0.5]),
        Row("other figure", [{"loss": 1.0}, {"loss": 1.0}], [0.0, 0.0]),
    ]
    targets: list[tuple[str, bool | None]] = [("at least .9", True), ("above 1", False)]
    report = TaskReport(task, "about it", ("accuracy", "loss"), rows, targets, quick)
    path.write_text(json.dumps({"danq": "1", "tasks": [asdict(report)]}))
    return path


def test_a_line_says_figure_baselines_targets_and_cost(tmp_path):
    files = [written(tmp_path / f"{task}.json", task) for task in ("gait", "adding")]
    lines = table(read(files)).splitlines()
    assert len(lines) == 4
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| adding", "| gait"]
    cells = [cell.strip() for cell in lines[3].strip("|").split("|")]
    assert cells[1:] == [
        "accuracy",
        "ours 0.9100 ± 0.0141",
        "chance 0.2500",
        "at least .9: **met**; above 1: **not met**",
        "1,234",
        "23",
    ]


def test_files_that_are_no_benchmark(tmp_path):
    with pytest.raises(InputError, match="figures of the quick form"):
        read([written(tmp_path / "quick.json", "gait", quick=True)])
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(InputError, match="not a file of danq vision bench"):
        read([tmp_path / "other.json"])
