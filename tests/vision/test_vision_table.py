from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from benchmarks.studies.vision import read, table
from danq.errors import InputError
from danq.vision.benchmark import Row, TaskReport


def written(path, task, seeds, *, quick=False):
    names = ["cnn-lstm", "tcn", "1-NN Euclidean"]
    rows = [
        Row(
            name, [{"accuracy": 0.9 - 0.1 * n - 0.02 * seed} for seed in seeds], [10.0] * len(seeds)
        )
        for n, name in enumerate(names)
    ]
    rows[0].parameters = 1234
    targets: list[tuple[str, bool | None]] = [("above 1-NN Euclidean", True)]
    report = TaskReport(task, "about it", ("accuracy",), rows, targets, quick, list(seeds))
    path.write_text(json.dumps({"danq": "1", "tasks": [asdict(report)]}))
    return path


def test_a_line_has_metrics_targets_and_cost(tmp_path):
    files = [
        written(tmp_path / "gunpoint.json", "gunpoint", [0, 1]),
        written(tmp_path / "motions0.json", "motions", [0]),
        written(tmp_path / "motions1.json", "motions", [1]),
    ]
    lines = table(read(files)).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert cells[0] == [
        "motions",
        "accuracy",
        "cnn-lstm 0.8900 ± 0.0141",
        "tcn 0.7900; 1-NN Euclidean 0.6900",
        "above 1-NN Euclidean: **met**",
        "1,234",
        "30",
        "2",
    ]
    assert cells[1] == ["gunpoint", *cells[0][1:]]
    assert len(cells) == 2


def test_files_of_another_kind_are_refused(tmp_path):
    file = written(tmp_path / "gait.json", "gait", [0])
    with pytest.raises(InputError, match="repeats seed 0 of task gait"):
        read([file, file])
    with pytest.raises(InputError, match="holds metrics of the quick form"):
        read([written(tmp_path / "quick.json", "gait", [0], quick=True)])
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(InputError, match="is not a file of danq vision bench"):
        read([tmp_path / "other.json"])
