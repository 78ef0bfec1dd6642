"""Export of a model to ONNX, TorchScript or torch.export."""

from __future__ import annotations

import copy
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from danq.core import CnnRnn, Recurrent
from danq.core.hard_lstm import HardLstm
from danq.errors import InputError
from danq.files.inputs_in_use import protects_inputs
from danq.models.initialisation import first_layer
from danq.models.model_file import Model, load_model
from danq.models.onnx_lstm import OnnxHardLstm
from danq.output import check_target, replacing
from danq.typing import Location

TOLERANCE = 1e-5
"""Largest difference in probability between an exported file and the model."""

CHECKED = 1000
"""Number of sequences on which an exported file is compared with the model."""

FORMAT_VERSION = 2
"""Version of the JSON in an exported file."""

log = logging.getLogger("danq")
_BATCH = 128
_EXTRA = "danq.json"
_Run = Callable[[UInt8[np.ndarray, "B L"]], Float[np.ndarray, "B K"]]


class Exported(NamedTuple):
    """An exported model.

    Attributes
    ----------
    path
        The file.
    difference
        Largest difference of its probabilities from the model's over `CHECKED` sequences.
    """

    path: Path
    difference: float


class _Probabilities(nn.Module):
    """Codes to probabilities with operators that every runtime has."""

    def __init__(self, module: CnnRnn) -> None:
        super().__init__()
        self.module = copy.deepcopy(module).cpu().float().eval()
        table = torch.eye(5, 4)
        table[4] = first_layer(module).unknown
        self.register_buffer("table", table)

    def forward(self, codes: UInt8[Tensor, "B L"]) -> Float[Tensor, "B K"]:
        channels = F.embedding(codes.long(), self.table).transpose(1, 2)  # type: ignore[arg-type]
        return torch.sigmoid(self.module(channels))


@protects_inputs
def export_model(
    model: Model | Location, out: Location, *, to: str, overwrite: bool = False
) -> Exported:
    """Export a model to the format of another runtime, and compare the file with the model.

    The exported model has the input ``codes`` (B, window), uint8 with A 0, C 1, G 2, T 3 and any
    other base 4, for any B. Its output is ``probabilities`` (B, K), float32, for the given strand;
    `danq.predict` by default averages them over a window and its reverse complement. The file also
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
        When the format does not exist, the model cannot be read or has tracks of amounts, ``out``
        cannot be written, the libraries of ONNX are not installed, or the probabilities differ from
        the model's by more than `TOLERANCE`. Then no file is written.
    """
    if to not in _EXPORTERS:
        raise InputError(
            f"no export format is named '{to}'", remedy=f"Choose {', '.join(_EXPORTERS)}"
        )
    check_target(out, overwrite)
    model = model if isinstance(model, Model) else load_model(model)
    if model.spec.has_amounts:
        raise InputError(
            "models of amounts cannot be exported yet",
            file=model.path,
            remedy="Export a model of peaks",
        )
    write, start = _EXPORTERS[to]
    wrapped = _Probabilities(model.module)
    codes = _sequences(model.window)
    with replacing(out, overwrite) as temporary, torch.no_grad():
        # Warnings of the exporters and loaders do not help the caller.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            temporary.write_bytes(write(wrapped, torch.from_numpy(codes[:2]), _about(model)))
            run = start(temporary)
            difference = _difference(model.module, run, codes)
        if not difference <= TOLERANCE:
            raise InputError(
                f"the exported file's probabilities differ from the model's by {difference:.1e}, "
                f"above {TOLERANCE:.0e}",
                file=out,
                remedy="Use another export format",
            )
    log.info(
        "compared %s sequences, some with N: largest difference from the model %.1e",
        f"{CHECKED:,}",
        difference,
    )
    return Exported(Path(out), difference)


def _about(model: Model) -> str:
    return json.dumps(
        {
            "format_version": FORMAT_VERSION,
            "input": f"codes, uint8 (B, {model.window}): A 0, C 1, G 2, T 3, any other base 4",
            "output": f"probabilities, float32 (B, {len(model.tracks)}), of the given strand",
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
    codes[0] = 4
    return codes


def _difference(module: CnnRnn, run: _Run, codes: UInt8[np.ndarray, "B L"]) -> float:
    """Largest difference in probability, over batches of several sizes."""
    largest = 0.0
    for part in _batches(codes):
        ours = torch.sigmoid(module(torch.from_numpy(part))).numpy()
        largest = float(np.maximum(largest, np.abs(run(part) - ours).max()))  # NaN stays NaN
    return largest


def _batches(codes: UInt8[np.ndarray, "B L"]) -> Iterator[UInt8[np.ndarray, "B L"]]:
    yield codes[:1]
    yield codes[1:8]
    for start in range(8, len(codes), _BATCH):
        yield codes[start : start + _BATCH]


def _write_onnx(wrapped: _Probabilities, codes: Tensor, about: str) -> bytes:
    with _onnx():
        import onnx
    _use_operator(wrapped)
    stream = io.BytesIO()
    # The tracing exporter keeps an LSTM as one operator; the newer one unrolls it into a slow loop.
    torch.onnx.export(
        wrapped,
        (codes,),
        stream,  # type: ignore[arg-type]
        dynamo=False,
        opset_version=17,
        input_names=["codes"],
        output_names=["probabilities"],
        dynamic_axes={"codes": {0: "batch"}, "probabilities": {0: "batch"}},
    )
    graph = onnx.load_from_string(stream.getvalue())
    entry = graph.metadata_props.add()
    entry.key, entry.value = "danq", about
    onnx.checker.check_model(graph)
    return graph.SerializeToString()


def _use_operator(wrapped: _Probabilities) -> None:
    layer = wrapped.module.temporal
    if isinstance(layer, Recurrent) and isinstance(layer.rnn, HardLstm):
        layer.rnn = OnnxHardLstm(layer.rnn)  # type: ignore[assignment]


def _run_onnx(path: Path) -> _Run:
    with _onnx():
        import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda codes: np.asarray(session.run(["probabilities"], {"codes": codes})[0])


@contextmanager
def _onnx() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise InputError(
            f"ONNX needs a library that is not installed ({error})",
            remedy="Install danq with its extra 'export', as in pip install 'danq[export]'",
        ) from error


def _write_torchscript(wrapped: _Probabilities, codes: Tensor, about: str) -> bytes:
    stream = io.BytesIO()
    traced = torch.jit.trace(wrapped, (codes,))
    torch.jit.save(traced, stream, _extra_files={_EXTRA: about})
    return stream.getvalue()


def _run_torchscript(path: Path) -> _Run:
    loaded = torch.jit.load(str(path), map_location="cpu")
    return lambda codes: loaded(torch.from_numpy(codes)).numpy()


def _write_torch_export(wrapped: _Probabilities, codes: Tensor, about: str) -> bytes:
    shapes = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(wrapped, (codes,), dynamic_shapes=shapes)
    stream = io.BytesIO()
    torch.export.save(program, stream, extra_files={_EXTRA: about})
    return stream.getvalue()


def _run_torch_export(path: Path) -> _Run:
    program = torch.export.load(io.BytesIO(path.read_bytes())).module()
    return lambda codes: program(torch.from_numpy(codes)).numpy()


_Export = Callable[[_Probabilities, Tensor, str], bytes]
_EXPORTERS: dict[str, tuple[_Export, Callable[[Path], _Run]]] = {
    "onnx": (_write_onnx, _run_onnx),
    "torchscript": (_write_torchscript, _run_torchscript),
    "torch-export": (_write_torch_export, _run_torch_export),
}
