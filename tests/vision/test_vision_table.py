from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from benchmarks.studies.vision import read, table
from danq.errors import InputError
from danq.vision.benchmark import Row, TaskReport


def written(path, task, seeds, *, quick=False):
    names = ["cnn-lstm", "tcn", "1-NN Euclidean", "1-NN DTW"]
    rows = [
        Row(
            name, [{"accuracy": 0.9 - 0.1 * n - 0.02 * seed} for seed in seeds], [10.0] * len(seeds)
        )
        for n, name in enumerate(names)
    ]
    rows[0].parameters = 1234
    report = TaskReport(task, "about it", ("accuracy",), rows, [], quick, list(seeds))
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
        "real",
        "accuracy",
        "cnn-lstm 0.8900 ± 0.0141",
        "tcn 0.7900; 1-NN Euclidean 0.6900; 1-NN DTW 0.5900",
        "above 1-NN Euclidean: **met** (+0.2000 ± 0.0000); "
        "above 1-NN DTW: **met** (+0.3000 ± 0.0000)",
        "1,234",
        "40",
        "2",
    ]
    assert cells[1] == ["gunpoint", *cells[0][1:]]
    assert len(cells) == 2


def test_files_of_another_kind_are_refused(tmp_path):
    file = written(tmp_path / "gunpoint.json", "gunpoint", [0])
    with pytest.raises(InputError, match="repeats seed 0 of gunpoint"):
        read([file, file])
    with pytest.raises(InputError, match="holds metrics of the quick form"):
        read([written(tmp_path / "quick.json", "gunpoint", [0], quick=True)])
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(InputError, match="is not a file of danq vision bench"):
        read([tmp_path / "other.json"])
