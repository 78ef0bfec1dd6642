"""What needs a trained model: metrics of a training, and errors of effects by precision."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from benchmarks.gpu.setting import Setting
from benchmarks.harness.shared_data import YEAST
from benchmarks.harness.timing import Measurement
from danq.device import Precision
from danq.inference.engine.whole_windows import WholeWindows
from danq.models import RunOptions, load_model

RUN = "yeast-run"


def yeast(setting: Setting) -> Iterator[Measurement]:
    """Train danq-small on the 64 yeast tracks with the default recipe, and evaluate it."""
    if not YEAST.is_dir():
        yield Measurement("yeast", note="skipped: DANQ_SHARED_DATA names no folder with yeast data")
        return
    # Imported here, because the other part works without them.
    from benchmarks.harness.yeast_data import CONFIG, yeast_dataset
    from benchmarks.speed.data_wait import subset
    from danq.datasets import Dataset
    from danq.inference.evaluation.evaluate import evaluate
    from danq.inference.evaluation.peak_report import EvaluationReport
    from danq.training import Recipe, RunSettings, read_config, train

    built = setting.seconds_of(lambda: yeast_dataset(setting.folder))
    data, out = Dataset.open(setting.folder / "yeast.h5"), setting.folder / RUN
    config, split = read_config(CONFIG), "test"
    if setting.quick:
        data, split = subset(data, 1_024), "valid"
        config = replace(config, recipe=Recipe(epochs=1, initial_motifs="none"))
    run = RunSettings(seed=1, device=str(setting.device), evaluate=False)
    seconds = setting.seconds_of(lambda: train(data, out=out, config=config, run=run))
    model = load_model(out, device=str(setting.device))
    report = evaluate(model, data, split=split, baseline=False)
    assert isinstance(report, EvaluationReport)
    row = Measurement("yeast, training", seconds, unit="s")
    row.details = {"dataset_seconds": built}
    yield row
    yield Measurement("yeast, test AUPR", report.macro_aupr, unit="")
    yield Measurement("yeast, test AUROC", report.macro_auroc, unit="")


def effects(setting: Setting) -> Iterator[Measurement]:
    """Errors of effects of substitutions on a trained model, against float64 on the CPU."""
    out = setting.folder / RUN
    trained = out.is_dir()
    if trained:
        model = load_model(out, device=str(setting.device))
        module, window = model.module, model.spec.window
    else:
        from benchmarks.harness.reference_model import danq_module

        module, window = danq_module(setting.size).eval(), setting.size.length
    count = setting.some(8, 2000)
    rng = np.random.default_rng(0)
    reference = rng.integers(0, 4, (count, window), dtype=np.uint8)
    alternate = reference.copy()
    rows, position = np.arange(count), rng.integers(window // 3, 2 * window // 3, count)
    alternate[rows, position] = (alternate[rows, position] + rng.integers(1, 4, count)) % 4
    windows = torch.from_numpy(np.concatenate([reference, alternate]))
    exact = _effects(_float64(module, windows))
    scale = float(exact.square().mean().sqrt())
    kinds: tuple[tuple[str, Precision, bool], ...] = (
        ("fp32", "fp32", True),
        ("fp32 with TF32", "fp32", False),
        ("bf16", "bf16", True),
    )
    for name, precision, ieee in kinds:
        engine = WholeWindows(module, RunOptions(str(setting.device), precision), tf32=not ieee)
        logits = engine.logits(windows.to(setting.device)).double().cpu()
        seconds = setting.seconds_of(lambda e=engine: e.logits(windows.to(setting.device)))
        error = _effects(logits) - exact
        row = Measurement(f"effects, {name}", float(error.square().mean().sqrt()), unit="")
        row.details = {
            "largest": float(error.abs().max()),
            "rms_effect": scale,
            "trained": trained,
            "windows_per_second": len(windows) / seconds,
        }
        row.note = (
            f"root mean square error of the logit; {row.value / scale:.2%} of that of "  # type: ignore[operator]
            f"effects, largest {row.details['largest']:.2g}{'' if trained else '; untrained model'}"
        )
        yield row


def _float64(module: torch.nn.Module, windows: torch.Tensor) -> torch.Tensor:
    exact = copy.deepcopy(module).cpu().double().eval()
    with torch.inference_mode():
        return torch.cat([exact(part) for part in windows.split(256)])


def _effects(logits: torch.Tensor) -> torch.Tensor:
    reference, alternate = logits.chunk(2)
    return alternate - reference
