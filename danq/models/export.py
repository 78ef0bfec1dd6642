"""Export of a model to ONNX, TorchScript or torch.export."""

from __future__ import annotations

import copy
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
from danq.errors import InputError
from danq.files.inputs_in_use import protects_inputs
from danq.models.exported_recurrent import ExportedRecurrent
from danq.models.initialisation import first_layer
from danq.models.model_file import Model, ModelSpec, load_model
from danq.models.onnx_lstm import OnnxHardLstm
from danq.models.targets import TargetGroup, profiles, track_values
from danq.notebook_display import Display, display_html, display_text
from danq.output import check_target, replacing
from danq.typing import Location

TOLERANCE = 1e-5
"""Largest difference between an exported file and the model: of values up to 1 the absolute
difference, of larger ones the relative one."""

CHECKED = 1000
"""Number of sequences on which an exported file is compared with the model."""

FORMAT_VERSION = 3
"""Version of the JSON in an exported file."""

OPSET = 17
"""Version of the operators in ONNX."""

log = logging.getLogger("danq")
_BATCH = 128
_EXTRA = "danq.json"
_Run = Callable[[UInt8[np.ndarray, "B L"]], list[Float[np.ndarray, "B ..."]]]


class Exported(NamedTuple):
    """An exported model.

    Attributes
    ----------
    path
        The file.
    difference
        Largest difference of its outputs from the model's over `CHECKED` sequences, see
        `TOLERANCE`.
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
        `TOLERANCE`. Then no file is written.
    """
    if to not in _EXPORTERS:
        raise InputError(
            f"no export format is named '{to}'", remedy=f"Choose {', '.join(_EXPORTERS)}"
        )
    check_target(out, overwrite)
    model = model if isinstance(model, Model) else load_model(model)
    write, start = _EXPORTERS[to]
    wrapped = _Outputs(model)
    codes = _sequences(model.window)
    with replacing(out, overwrite) as temporary, torch.no_grad():
        # Warnings of the exporters and loaders do not help the caller.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            temporary.write_bytes(write(wrapped, torch.from_numpy(codes[:2]), model))
            run = start(temporary)
            difference = _difference(model, run, codes)
        if not difference <= TOLERANCE:
            raise InputError(
                f"the {' and '.join(output_names(model.spec))} of the exported file differ from "
                f"those of the model by {difference:.1e}, above {TOLERANCE:.0e}",
                file=out,
                remedy="Use another export format",
            )
    log.info(
        "compared %s sequences, some with N: largest difference from the model %.1e",
        f"{CHECKED:,}",
        difference,
    )
    names = " and ".join(output_names(model.spec))
    return Exported(Path(out), difference, f"{names} of {CHECKED} random sequences")


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


def _difference(model: Model, run: _Run, codes: UInt8[np.ndarray, "B L"]) -> float:
    """Largest difference of an output from the model's, over batches of several sizes."""
    largest = 0.0
    for part in _batches(codes):
        expected = _values(model.module(torch.from_numpy(part)), model.spec.targets)
        for theirs, ours in zip(run(part), (one.numpy() for one in expected), strict=True):
            if theirs.shape != ours.shape:
                return float("nan")
            change = np.abs(theirs - ours) / np.maximum(1, np.abs(ours))
            largest = float(np.maximum(largest, change.max()))  # NaN stays NaN
    return largest


def _batches(codes: UInt8[np.ndarray, "B L"]) -> Iterator[UInt8[np.ndarray, "B L"]]:
    yield codes[:1]
    yield codes[1:8]
    for start in range(8, len(codes), _BATCH):
        yield codes[start : start + _BATCH]


def _write_onnx(wrapped: _Outputs, codes: Tensor, model: Model) -> bytes:
    with onnx_libraries():
        import onnx
    _use_operator(wrapped)
    torch.onnx.register_custom_op_symbolic("aten::expm1", _expm1, OPSET)
    stream, names = io.BytesIO(), list(output_names(model.spec))
    # The tracing exporter keeps an LSTM as one operator; the newer one unrolls it into a slow loop.
    torch.onnx.export(
        wrapped,
        (codes,),
        stream,  # type: ignore[arg-type]
        dynamo=False,
        opset_version=OPSET,
        input_names=["codes"],
        output_names=names,
        dynamic_axes={name: {0: "batch"} for name in ("codes", *names)},
    )
    graph = onnx.load_from_string(stream.getvalue())
    entry = graph.metadata_props.add()
    entry.key, entry.value = "danq", _about(model)
    onnx.checker.check_model(graph)
    return graph.SerializeToString()


def _expm1(graph: Any, x: Any) -> Any:
    """``exp(x) - 1``; ONNX has no operator for it."""
    return graph.op("Sub", graph.op("Exp", x), graph.op("Constant", value_t=torch.tensor(1.0)))


def _use_operator(wrapped: _Outputs) -> None:
    for layer in wrapped.module.modules():
        if isinstance(layer, Recurrent) and isinstance(layer.rnn, HardLstm):
            layer.rnn = OnnxHardLstm(layer.rnn)  # type: ignore[assignment]


def _run_onnx(path: Path) -> _Run:
    with onnx_libraries():
        import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda codes: [np.asarray(one) for one in session.run(None, {"codes": codes})]


@contextmanager
def onnx_libraries() -> Iterator[None]:
    """Context in which a missing library of ONNX is an `InputError` that says how to install it."""
    try:
        yield
    except ImportError as error:
        raise InputError(
            f"ONNX needs a library that is not installed ({error})",
            remedy="Install danq with its extra 'export', as in pip install 'danq[export]'",
        ) from error


def _write_torchscript(wrapped: _Outputs, codes: Tensor, model: Model) -> bytes:
    stream = io.BytesIO()
    traced = torch.jit.trace(wrapped, (codes,))
    torch.jit.save(traced, stream, _extra_files={_EXTRA: _about(model)})
    return stream.getvalue()


def _run_torchscript(path: Path) -> _Run:
    loaded = torch.jit.load(str(path), map_location="cpu")
    return lambda codes: _arrays(loaded(torch.from_numpy(codes)))


def _write_torch_export(wrapped: _Outputs, codes: Tensor, model: Model) -> bytes:
    shapes = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(wrapped, (codes,), dynamic_shapes=shapes)
    stream = io.BytesIO()
    torch.export.save(program, stream, extra_files={_EXTRA: _about(model)})
    return stream.getvalue()


def _run_torch_export(path: Path) -> _Run:
    program = torch.export.load(io.BytesIO(path.read_bytes())).module()
    return lambda codes: _arrays(program(torch.from_numpy(codes)))


def _arrays(found: Tensor | tuple[Tensor, ...]) -> list[np.ndarray]:
    return [one.numpy() for one in ((found,) if isinstance(found, Tensor) else found)]


_Export = Callable[[_Outputs, Tensor, Model], bytes]
_EXPORTERS: dict[str, tuple[_Export, Callable[[Path], _Run]]] = {
    "onnx": (_write_onnx, _run_onnx),
    "torchscript": (_write_torchscript, _run_torchscript),
    "torch-export": (_write_torch_export, _run_torch_export),
}
