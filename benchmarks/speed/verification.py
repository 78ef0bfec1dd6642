"""Share of an evaluation that is spent verifying the checksums of its model and dataset.

DanQ is evaluated on a few windows of a large genome, which is the least favourable case: the files
are as large as those of a study, and there is little to compute. The time of verification is that
of opening both files with their checksums, and of the dataset's own checksum, without what is then
done with them. It includes reading the files, so the value is an upper limit.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.harness.reference_model import QUICK, ModelSize, danq_model, danq_module
from benchmarks.harness.synthetic_data import random_dataset
from benchmarks.harness.timing import Measurement, summarise, time_alternately
from danq.datasets import Dataset
from danq.datasets.dataset_format import EXPECTED, KIND, REMEDY
from danq.files.sealed_hdf5 import open_sealed
from danq.files.sealed_safetensors import read_sealed
from danq.inference import evaluate
from danq.models import load_model, save_model


def measure(*, quick: bool = False, repeats: int = 5) -> list[Measurement]:
    """Percentage of the time from the first byte read to the report."""
    size = QUICK if quick else ModelSize()
    bases, windows = (10**5, 30) if quick else (10**9, 4_000)
    module = danq_module(size)
    with tempfile.TemporaryDirectory() as name:
        model, data = Path(name) / "model.safetensors", Path(name) / "data.h5"
        save_model(model, module, danq_model(size, module).spec)
        random_dataset(
            bases, windows, size.tracks, window=size.length, bin_size=min(200, size.length)
        ).save(data)
        held = Dataset.open(data)

        def verify() -> None:
            read_sealed(model, expected="a model", remedy="")
            with open_sealed(data, KIND, EXPECTED, remedy=REMEDY):
                pass
            held.__dict__.pop("sha256", None)
            assert held.sha256

        def run() -> None:
            loaded = load_model(model, device="cpu", precision="fp32")
            evaluate(loaded, data, split="train", bootstrap=0)

        seconds = time_alternately({"verification": verify, "evaluation": run}, repeats)
        details = {
            "windows": windows,
            "bytes": {one.name: one.stat().st_size for one in (model, data)},
            "seconds": seconds,
        }
    pairs = zip(seconds["verification"], seconds["evaluation"], strict=True)
    percent = [100 * part / whole for part, whole in pairs]
    metric = "verifying model and dataset, share of an evaluation"
    return [summarise(metric, percent, "%", target=5.0, at_most=True, details=details)]
