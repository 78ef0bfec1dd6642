from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks.studies.vision import HEADER, read, table
from danq.errors import InputError
from danq.vision import TASKS, list_models
from danq.vision.benchmark import Row, TaskReport
from danq.vision.task_registry import load_task

UNMEASURED: frozenset[str] = frozenset()
"""Tasks that the page has no row for."""
PAGE = Path(__file__).resolve().parents[2] / "docs" / "vision.md"


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


def test_rows_of_a_task_may_come_from_several_files(tmp_path):
    whole = written(tmp_path / "a.json", "gunpoint", [0, 1, 2])
    content = json.loads(whole.read_text())
    (task,) = content["tasks"]
    rows, files = task["rows"], []
    for number, part in enumerate((rows[2:], rows[:2])):
        file = tmp_path / f"{number}.json"
        file.write_text(json.dumps(content | {"tasks": [task | {"rows": part}]}))
        files.append(file)
    assert table(read(files)) == table(read([whole]))
    one = tmp_path / "one.json"
    row = {name: value[:1] if isinstance(value, list) else value for name, value in rows[0].items()}
    one.write_text(json.dumps(content | {"tasks": [task | {"rows": [row], "seeds": [0]}]}))
    (report,) = read([files[0], one])
    assert report.seeds == [0]
    with pytest.raises(InputError, match="repeats seed 0 of gunpoint, cnn-lstm"):
        read([whole, one])


def test_the_table_of_the_page_is_that_of_the_tasks():
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line[:2] == "| "]
    start = next(n for n, line in enumerate(lines) if line.startswith("| task | data | metric"))
    assert lines[start] == f"| {' | '.join(HEADER)} |"
    rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in lines[start + 1 :]
        if line.split("|")[1].strip() in TASKS and line.count(" | ") == len(HEADER) - 1
    ]
    assert [row[0] for row in rows] == [name for name in TASKS if name not in UNMEASURED]
    models = {}
    for entry in list_models():
        models.setdefault(entry.task, []).append(entry)
    for name, data, metric, first, _, targets, parameters, _, seeds in rows:
        task = load_task(name)
        assert (data, metric) == (task.data_source, task.reported_metrics[0])
        assert first.split()[0] == task.models[0].name
        assert parameters == f"{models[name][0].parameters:,}"
        assert int(seeds) in (1, 2, 3)
        assert all(f"{target.text}: **" in targets for target in task.targets)
