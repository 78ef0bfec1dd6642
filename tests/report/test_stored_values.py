"""Values that outputs store about themselves: provenance, and summaries of other types."""

from __future__ import annotations

import json
import shutil

import pytest

from danq.report import page
from danq.report.content import Absent
from danq.report.report_file import report_sections


@pytest.mark.parametrize("name", ["variants", "mutations", "predictions"])
def test_parquet_has_the_provenance_of_the_table_of_text(made, name):
    (text,) = report_sections(made / f"{name}.tsv")
    (parquet,) = report_sections(made / f"{name}.parquet")
    assert parquet.provenance == text.provenance
    assert parquet.provenance["model"].startswith(str(made / "run" / "model.safetensors"))


@pytest.mark.parametrize(
    "change",
    [
        {"windows": "300"},
        {"leaked_windows": [1]},
        {"overall": "x"},
        {"overall": {"aupr_mean": "0.5"}},
        {"overall": {"auroc_mean": 0.5, "auroc_mean_low": {}, "auroc_mean_high": 1.0}},
        {"amounts": [1]},
        {"amounts": {"overall": 3}},
    ],
)
def test_a_summary_with_values_of_other_types_is_named(made, tmp_path, change):
    folder = tmp_path / "evaluation"
    shutil.copytree(made / "evaluation", folder)
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps(summary | change))
    (section,) = report_sections(folder)
    assert isinstance(section.parts[0], Absent)
    assert "has values of other types than an evaluation" in section.parts[0].why
    page.render_page([section], "t")
