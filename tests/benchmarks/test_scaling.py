"""The studies of the cost of a unit and of the size of outputs."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.studies import output_sizes, scaling

START = " without the start"


def test_runs_of_two_sizes_are_compared(tmp_path, capsys):
    out = tmp_path / "scaling.json"
    words = ["--quick", "--repeats", "1", "--threads", "1", "--only", "predict:bed:parquet"]
    scaling.main([*words, "--out", str(out)])
    report = json.loads(out.read_text())
    start, small, large = report["units"]
    rows = {row["metric"]: row for row in report["measurements"]}
    assert set(rows) == {
        *(f"{time} per unit{rest}" for time in ("time", "CPU time") for rest in ("", START)),
        "peak memory",
    }
    runs = rows["time per unit"]["details"]["runs"]
    first = {size: found[0] for size, found in runs.items()}
    assert set(first) == {str(start), str(small), str(large)}
    for cost in first.values():
        assert cost["cpu"] > 0
        assert 50 < cost["megabytes"] < 10_000
    ratio = first[str(large)]["seconds"] / first[str(small)]["seconds"] / (large / small)
    assert rows["time per unit"]["value"] == pytest.approx(ratio)
    assert rows["time per unit"]["target"] == 1.05
    assert "predict:bed:parquet" in capsys.readouterr().out


def test_a_failed_command_ends_the_study(tmp_path):
    case = scaling.CASES["predict:fa:tsv"]
    with pytest.raises(SystemExit, match=r"danq predict model\.safetensors 10\.fa .* failed"):
        scaling.run(tmp_path, case, 10, 1)


def test_variants_of_the_study_agree_with_the_genome():
    rng = np.random.default_rng(0)
    letters = "".join(rng.choice(list("ACGT"), 3000))
    records = [line.split("\t") for line in scaling.vcf_lines(letters, 500, rng)]
    lengths = set()
    for _, pos, _, ref, alt, *_ in records:
        at = int(pos) - 1
        assert letters[at : at + len(ref)] == ref
        assert ref != alt
        lengths.add((len(ref), len(alt)))
    assert lengths == {(1, 1), (2, 1), (1, 2)}


def test_sizes_of_outputs_are_per_value():
    sizes = output_sizes.measure(512, 40)
    assert set(sizes) == set(output_sizes.FORMATS)
    assert sizes["TSV"] > sizes["TSV, bgzip"] > sizes["Parquet"] > 3
    assert 1.9 < sizes["HDF5, float16"] < sizes["HDF5"] / 1.4
