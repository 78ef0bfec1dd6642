"""Export of a model to ONNX, TorchScript or torch.export."""

from __future__ import annotations

import copy
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from danq.amounts import describe_units
from danq.core import PaddedCnnRnn, Recurrent
from danq.core.hard_lstm import HardLstm
from danq.core.members import MemberLayers
from danq.core.parallel_filters import TemporalStack
from danq.files.inputs_in_use import protects_inputs
from danq.models.export_formats import (
    OPSET,
    Exportable,
    Run,
    check_difference,
    export_format,
    largest_change,
)
from danq.models.exported_recurrent import ExportedRecurrent
from danq.models.initialisation import first_layer
from danq.models.model_file import Model, ModelSpec, load_model
from danq.models.onnx_lstm import OnnxHardLstm
from danq.models.targets import TargetGroup, profiles, track_values
from danq.notebook_display import Display, display_html, display_text
from danq.output import check_target, replacing
from danq.typing import Location

CHECKED = 1000
"""Number of sequences on which an exported file is compared with the model."""

FORMAT_VERSION = 3
"""Version of the JSON in an exported file."""

log = logging.getLogger("danq")
_BATCH = 128


class Exported(NamedTuple):
    """An exported model.

    Attributes
    ----------
    path
        The file.
    difference
        Largest difference of its outputs from the model's over `CHECKED` sequences, see
        `danq.models.export_formats.TOLERANCE`.
    compared
        What was compared.
    """

    path: Path
    difference: float
    compared: str
    __repr__ = display_text
    _repr_html_ = display_html

    def describe(self) -> str:
        """The file and the difference on one line."""
        return (
            f"{self.path}: {self.compared} differ from the model's by at most {self.difference:.1e}"
        )

    def _display(self) -> Display:
        return Display.of_text(self.describe())


class _Outputs(nn.Module):
    """Codes to `exported_values` with operators that every runtime has."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.module = copy.deepcopy(model.module).cpu().float().eval()
        if isinstance(self.module, PaddedCnnRnn):
            self.module.temporal = _with_masks(self.module.temporal)
        self.targets = model.spec.targets
        table = torch.eye(5, 4)
        table[4] = first_layer(model.module).unknown
        self.register_buffer("table", table)

    def forward(
        self, codes: UInt8[Tensor, "B L"]
    ) -> Float[Tensor, "B ..."] | tuple[Float[Tensor, "B ..."], ...]:
        mask, codes = None, codes.long()
        if isinstance(self.module, PaddedCnnRnn):
            codes, mask = self.module.aligned(codes)
        channels = F.embedding(codes, self.table).transpose(1, 2)  # type: ignore[arg-type]
        first, *others = _values(self.module(channels, mask), self.targets)
        return (first, *others) if others else first


def _with_masks(layer: nn.Module | None) -> nn.Module | None:
    """A temporal layer without packed sequences, which other runtimes do not have."""
    if isinstance(layer, TemporalStack | MemberLayers):
        layer.layers = nn.ModuleList(_with_masks(one) for one in layer.layers)  # type: ignore[misc]
    if isinstance(layer, Recurrent) and not isinstance(layer.rnn, HardLstm):
        return ExportedRecurrent(layer).eval()
    return layer


def _values(
    outputs: Float[Tensor, "B O"], targets: Sequence[TargetGroup]
) -> tuple[Float[Tensor, "B ..."], ...]:
    """One value per track, then the amounts ``(B, A, S)`` of the steps of profiles."""
    if not targets:
        return (outputs.sigmoid(),)
    return track_values(outputs, targets), *profiles(outputs, targets)


def output_names(spec: ModelSpec) -> dict[str, str]:
    """Names of the outputs of an exported model, with descriptions.

    ``probabilities`` of tracks of peaks alone, otherwise ``values``: a probability or an amount per
    track. ``profiles`` are the amounts of the steps of profiles, ``profiles_2`` those of a second
    group of profiles, and so on.
    """
    tracks = len(spec.tracks)
    if not spec.has_amounts:
        return {"probabilities": f"float32 (B, {tracks}), of the given strand"}
    units = describe_units(spec.tracks, spec.track_units)
    kinds = "amounts" if set(spec.kinds) == {"amounts"} else "probabilities of peaks and amounts"
    found = {"values": f"float32 (B, {tracks}), {kinds} of the given strand; units: {units}"}
    groups = [group for group in spec.targets if group.loss == "profile"]
    for number, group in enumerate(groups, start=1):
        name = "profiles" if number == 1 else f"profiles_{number}"
        found[name] = (
            f"float32 (B, {group.tracks}, {group.steps}), amounts of steps of {group.step_bases} "
            "bases in the middle of the window; they add up to the value of the track"
        )
    return found


@protects_inputs
def export_model(
    model: Model | Location, out: Location, *, to: str, overwrite: bool = False
) -> Exported:
    """Export a model to the format of another runtime, and compare the file with the model.

    The exported model has the input ``codes`` (B, window), uint8 with A 0, C 1, G 2, T 3 and any
    other base 4, for any B. Its output is ``probabilities`` (B, K), float32, for the given strand;
    `danq.predict` by default averages them over a window and its reverse complement. A model of
    amounts has the output ``values`` (B, K), in the units of the model: the expected value of soft
    bins, the total of a profile; and ``profiles`` (B, A, S), the amounts of the steps of profiles.
    The file also holds the model's header and a description of input and outputs as JSON: in the
    metadata of ONNX under ``danq``, in other formats as the extra file ``danq.json``.

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
        When the format does not exist, the model cannot be read, ``out`` cannot be written, the
        libraries of ONNX are not installed, or an output differs from the model's by more than
        `danq.models.export_formats.TOLERANCE`. Then no file is written.
    """
    write, start = export_format(to)
    check_target(out, overwrite)
    model = model if isinstance(model, Model) else load_model(model)
    wrapped = _Outputs(model)
    if to == "onnx":
        _use_onnx_operators(wrapped)
    codes = _sequences(model.window)
    names = output_names(model.spec)
    outputs = " and ".join(names)
    first = (torch.from_numpy(codes[:2]),)
    given = Exportable(wrapped, first, ("codes",), [*names], lambda axes: (axes,), _about(model))
    with replacing(out, overwrite) as temporary, torch.no_grad():
        # Warnings of the exporters and loaders do not help the caller.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = write(given)
            difference = _difference(model, start(data), codes)
        check_difference(difference, outputs, out)
        temporary.write_bytes(data)
    log.info(
        "compared %s sequences, some with N: largest difference from the model %.1e",
        f"{CHECKED:,}",
        difference,
    )
    return Exported(Path(out), difference, f"{outputs} of {CHECKED} random sequences")


def _about(model: Model) -> str:
    return json.dumps(
        {
            "format_version": FORMAT_VERSION,
            "input": f"codes, uint8 (B, {model.window}): A 0, C 1, G 2, T 3, any other base 4",
            "outputs": output_names(model.spec),
            "sha256": model.sha256,
            "model": model.spec.model_dump(mode="json"),
        }
    )


def _sequences(window: int) -> UInt8[np.ndarray, "B L"]:
    """Random sequences: some with single N, some with a run of N, one with only N."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (CHECKED, window)).astype(np.uint8)
    few = codes[: CHECKED // 4]
    few[rng.random(few.shape) < 0.03] = 4
    for row in codes[CHECKED // 4 : CHECKED // 2]:
        start, end = sorted(rng.integers(0, window + 1, 2))
        row[start:end] = 4
    for row in codes[CHECKED // 2 : CHECKED // 2 + CHECKED // 8]:  # padded at both ends
        start, end = sorted(rng.integers(0, window + 1, 2))
        row[:start] = row[end:] = 4
    codes[0] = 4
    return codes


def _difference(model: Model, run: Run, codes: UInt8[np.ndarray, "B L"]) -> float:
    """Largest difference of an output from the model's, over batches of several sizes."""
    changes = []
    for part in _batches(codes):
        expected = _values(model.module(torch.from_numpy(part)), model.spec.targets)
        changes.append(largest_change(run(part), [one.numpy() for one in expected]))
    return float(np.max(changes))  # NaN stays NaN


def _batches(codes: UInt8[np.ndarray, "B L"]) -> Iterator[UInt8[np.ndarray, "B L"]]:
    yield codes[:1]
    yield codes[1:8]
    for start in range(8, len(codes), _BATCH):
        yield codes[start : start + _BATCH]


def _expm1(graph: Any, x: Any) -> Any:
    """``exp(x) - 1``; ONNX has no operator for it."""
    return graph.op("Sub", graph.op("Exp", x), graph.op("Constant", value_t=torch.tensor(1.0)))


def _use_onnx_operators(wrapped: _Outputs) -> None:
    """Use operators of ONNX for what its exporter cannot express."""
    torch.onnx.register_custom_op_symbolic("aten::expm1", _expm1, OPSET)
    for layer in wrapped.module.modules():
        if isinstance(layer, Recurrent) and isinstance(layer.rnn, HardLstm):
            layer.rnn = OnnxHardLstm(layer.rnn)  # type: ignore[assignment]
