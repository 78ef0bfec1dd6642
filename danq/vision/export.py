"""Export of a vision model to ONNX, TorchScript or torch.export."""

from __future__ import annotations

import copy
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from danq.core import FrameEncoder, Recurrent
from danq.core.hard_lstm import HardLstm
from danq.core.masks import zero_padding
from danq.errors import InputError
from danq.files.inputs_in_use import protects_inputs
from danq.models.export import Exported
from danq.models.export_formats import (
    Exportable,
    Run,
    check_difference,
    export_format,
    largest_change,
)
from danq.models.exported_recurrent import ExportedRecurrent
from danq.output import check_target, replacing
from danq.vision.dataset import scaled
from danq.vision.task import Task
from danq.vision.task_registry import load_task
from danq.vision.vision_model_file import VisionModel, VisionSpec, load_vision_model

CHECKED = 24
"""Number of examples on which an exported file is compared with the model."""

FORMAT_VERSION = 1
"""Version of the JSON in an exported file."""

PREPARED = {
    "series": "(value - mean) / std of each channel, by model.metadata.channels",
    "sound": "log10 of the power in mel bands, by model.metadata.decoder",
}
"""Inputs of an exported model that are not what files hold, and how they are computed."""

log = logging.getLogger("danq")


class ExportedTask(nn.Module):
    """A model and the last step of its task, with operators that every runtime has.

    The inputs are those of the task, as they are in examples: pixels are uint8.
    """

    def __init__(self, task: Task, module: nn.Module) -> None:
        super().__init__()
        self.task = task
        self.module = _replaced(copy.deepcopy(module).cpu().float().eval())

    def forward(self, *inputs: Tensor) -> Tensor:
        batch = dict(zip(self.task.exported_inputs, inputs, strict=True))
        return self.task.exported(self.module, scaled(batch))


class _MaskedRecurrent(nn.Module):
    """A recurrent layer without packed sequences."""

    def __init__(self, layer: Recurrent) -> None:
        super().__init__()
        self.plain, self.masked = layer, ExportedRecurrent(layer).eval()
        self.out_features = layer.out_features

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.plain(x) if mask is None else self.masked(x, mask)


class _AllFrames(nn.Module):
    """A network that also reads padded frames, whose features are 0."""

    takes_mask = True

    def __init__(self, layer: FrameEncoder) -> None:
        super().__init__()
        self.backbone, self.out_features = layer.backbone, layer.out_features

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        found = self.backbone(x.flatten(0, 1))
        found = found.reshape(x.shape[0], x.shape[1], *found.shape[1:])
        if mask is None:
            return found
        return zero_padding(found, mask.reshape(*mask.shape, *[1] * (found.dim() - 2)))


class _Cell(nn.Module):
    """One step of an LSTM as products and sums; ONNX has no operator for it."""

    def __init__(self, cell: nn.LSTMCell) -> None:
        super().__init__()
        self.cell, self.hidden_size = cell, cell.hidden_size

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        cell, (h, c) = self.cell, state
        gates = F.linear(x, cell.weight_ih, cell.bias_ih) + F.linear(
            h, cell.weight_hh, cell.bias_hh
        )
        i, f, g, o = gates.chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c


def _replaced(module: nn.Module) -> nn.Module:
    """The module with layers that can be traced with masks."""
    if isinstance(module, Recurrent) and not isinstance(module.rnn, HardLstm):
        return _MaskedRecurrent(module)
    if isinstance(module, nn.LSTMCell):
        return _Cell(module)
    for name, part in module.named_children():
        setattr(module, name, _replaced(part))
    return _AllFrames(module) if isinstance(module, FrameEncoder) else module


@protects_inputs
def export_model(
    model: str | Path | VisionModel, out: str | Path, *, to: str, overwrite: bool = False
) -> Exported:
    """Export a vision model to the format of another runtime, and compare the file with it.

    The inputs of the exported model are the fields of an example that the task's models read, for
    any number of examples: pixels as uint8, masks as bool, words as int64, other values as float32.
    The output is ``probabilities`` for classes and labels, ``values``, or ``words`` of a caption by
    greedy search, followed by 0; ``output`` of other tasks is that of the module. The file also
    holds the model's header and a description of input and output as JSON: in the metadata of ONNX
    under ``danq``, in other formats as the extra file ``danq.json``.

    Parameters
    ----------
    model
        A model, or the path of a model file or run directory.
    out
        The output file.
    to
        ``"onnx"`` (opset 17), ``"torchscript"`` or ``"torch-export"``.
    overwrite
        Whether an existing file may be replaced.

    Raises
    ------
    InputError
        When the format does not exist, the model cannot be read or has a layer that the format
        cannot express, ``out`` cannot be written, the libraries of ONNX are not installed, or an
        output differs from the model's by more than `danq.models.export_formats.TOLERANCE`.
        Then no file is written.
    """
    write, start = export_format(to)
    check_target(Path(out), overwrite)
    model = model if isinstance(model, VisionModel) else load_vision_model(model)
    task = load_task(model.spec.task)
    examples = random_inputs(task, model.spec, CHECKED)
    wrapped = ExportedTask(task, model.module)
    with torch.no_grad(), warnings.catch_warnings():
        # Warnings of the exporters and loaders do not help the caller.
        warnings.simplefilter("ignore")
        given = Exportable(
            wrapped,
            tuple(torch.from_numpy(one[:2]) for one in examples),
            task.exported_inputs,
            [task.exported_output],
            lambda axes: (tuple(axes for _ in examples),),
            _about(task, model.spec),
        )
        try:
            data = write(given)
        except InputError:
            raise
        except Exception as error:
            problem = " ".join(str(error).split())[:200]
            raise InputError(
                f"the model '{model.spec.model}' of the task '{task.name}' has a layer that the "
                f"format '{to}' cannot express ({type(error).__name__}: {problem})",
                file=model.path,
                remedy="Use another export format",
            ) from error
        difference = _difference(task, model.module, start(data), examples)
    check_difference(difference, task.exported_output, out)
    with replacing(out, overwrite) as temporary:
        temporary.write_bytes(data)
    log.info(
        "compared %d examples, some with padding: largest difference from the model %.1e",
        CHECKED,
        difference,
    )
    compared = f"{task.exported_output} of {CHECKED} random examples"
    return Exported(Path(out), difference, compared)


def _about(task: Task, spec: VisionSpec) -> str:
    return json.dumps(
        {
            "format_version": FORMAT_VERSION,
            "inputs": {
                name: f"{spec.inputs[name][0]} {['B', *spec.inputs[name][1]]}"
                for name in task.exported_inputs
            },
            "prepared": {n: PREPARED[n] for n in task.exported_inputs if n in PREPARED},
            "output": task.exported_output,
            "model": spec.model_dump(mode="json"),
        }
    )


def random_inputs(task: Task, spec: VisionSpec, count: int) -> list[np.ndarray]:
    """Draw inputs of a model: pixels, values, words with padding, masks of prefixes.

    Raises
    ------
    InputError
        When the model's file does not have the types of its inputs.
    """
    rng = np.random.default_rng(0)
    words = len(spec.metadata.get("vocabulary", "01"))
    found = []
    for name in task.exported_inputs:
        if name not in spec.inputs:
            raise InputError(f"the model's header has no type of the input '{name}'")
        kind, shape = spec.inputs[name]
        size = (count, *shape)
        if kind == "bool":
            found.append(_prefixes(size, rng))
        elif kind == "uint8":
            found.append(rng.integers(0, 256, size).astype(np.uint8))
        elif kind == "int64":
            symbols = rng.integers(1, max(2, words), size)
            found.append(np.where(_prefixes(size, rng), symbols, 0) if shape else symbols)
        else:
            found.append(rng.normal(size=size).astype(np.float32))
    return found


def _prefixes(size: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Masks whose first entries along the last axis are True, one at least."""
    lengths = rng.integers(1, size[-1] + 1, size[:-1])
    return np.arange(size[-1]) < lengths[..., None]


def _difference(task: Task, module: nn.Module, run: Run, examples: Sequence[np.ndarray]) -> float:
    """Largest difference of an output from the model's, over batches of several sizes."""
    changes = []
    for part in _parts(examples):
        tensors = [torch.from_numpy(one) for one in part]
        batch = scaled(dict(zip(task.exported_inputs, tensors, strict=True)))
        changes.append(largest_change(run(*part), [task.exported(module, batch).numpy()]))
    return float(np.max(changes))  # NaN stays NaN


def _parts(examples: Sequence[np.ndarray]) -> Iterator[list[np.ndarray]]:
    """One example, then five, then all others."""
    for rows in (slice(0, 1), slice(1, 6), slice(6, None)):
        yield [one[rows] for one in examples]
