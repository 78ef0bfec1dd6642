"""A model for other runtimes: ONNX, TorchScript, torch.export."""

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
from danq.models.initialise import first_layer
from danq.models.model_file import Model, load_model
from danq.models.onnx_lstm import OnnxHardLstm
from danq.output import check_target, replacing

TOLERANCE = 1e-5
"""Largest difference in probability between an exported file and the model."""

CHECKED = 1000
"""Sequences that an exported file is run on before it is let through."""

log = logging.getLogger("danq")
_BATCH = 128
_EXTRA = "danq.json"
_Run = Callable[[UInt8[np.ndarray, "B L"]], Float[np.ndarray, "B K"]]


class Exported(NamedTuple):
    """A file for another runtime.

    Attributes
    ----------
    path
        Where it lies.
    difference
        Largest difference of its probabilities from the model's, over `CHECKED` sequences.
    """

    path: Path
    difference: float


class _Probabilities(nn.Module):
    """Codes to probabilities in operators that every runtime has."""

    def __init__(self, module: CnnRnn) -> None:
        super().__init__()
        self.module = copy.deepcopy(module).cpu().float().eval()
        table = torch.eye(5, 4)
        table[4] = first_layer(module).unknown
        self.register_buffer("table", table)

    def forward(self, codes: UInt8[Tensor, "B L"]) -> Float[Tensor, "B K"]:
        channels = F.embedding(codes.long(), self.table).transpose(1, 2)  # type: ignore[arg-type]
        return torch.sigmoid(self.module(channels))


def export_model(
    model: Model | str | Path, out: str | Path, *, to: str, overwrite: bool = False
) -> Exported:
    """Write a model in the form of another runtime, and run the file to see that it is the same.

    Input ``codes`` (B, window) uint8, A 0, C 1, G 2, T 3, anything else 4, with any B; output
    ``probabilities`` (B, K) float32 for the strand given (``danq predict`` averages them over a
    window and its reverse complement by default). The file holds, as JSON, the model's header
    and what input and output mean: ONNX under ``danq`` in its metadata, the others as extra file
    ``danq.json``.

    Parameters
    ----------
    model
        A model, or the path of a model file or run folder.
    out
        File to write.
    to
        ``"onnx"`` (opset 17), ``"torchscript"`` or ``"torch-export"``.
    overwrite
        Whether a file that lies there may be replaced.

    Raises
    ------
    InputError
        When there is no such form, the model cannot be read, ``out`` cannot be written, ONNX's
        libraries are not installed, or the file's outputs differ from the model's by more than
        `TOLERANCE`; then nothing is written.
    """
    if to not in _FORMS:
        raise InputError(f"no form is named '{to}'", remedy=f"Choose {', '.join(_FORMS)}")
    check_target(out, overwrite)
    model = model if isinstance(model, Model) else load_model(model)
    write, start = _FORMS[to]
    wrapped = _Probabilities(model.module)
    codes = _sequences(model.window)
    with replacing(out, overwrite) as temporary, torch.no_grad():
        # What the exporters and loaders say of themselves is of no use to those who call this.
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
                remedy="Export it in another form",
            )
    log.info(
        "run on %s sequences, N included: largest difference from the model %.1e",
        f"{CHECKED:,}",
        difference,
    )
    return Exported(Path(out), difference)


def _about(model: Model) -> str:
    return json.dumps(
        {
            "input": f"codes, uint8 (B, {model.window}): A 0, C 1, G 2, T 3, anything else 4",
            "output": f"probabilities, float32 (B, {len(model.tracks)}), of the strand given",
            "sha256": model.sha256,
            "model": model.spec.model_dump(mode="json"),
        }
    )


def _sequences(window: int) -> UInt8[np.ndarray, "B L"]:
    """Random sequences: some with a few N, some with a run of them, one with nothing else."""
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
    # The exporter that goes by tracing: it keeps an LSTM one operator, where the newer one makes a
    # loop of it, which runtimes are slow at.
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


_FORMS: dict[str, tuple[Callable[[_Probabilities, Tensor, str], bytes], Callable[[Path], _Run]]] = {
    "onnx": (_write_onnx, _run_onnx),
    "torchscript": (_write_torchscript, _run_torchscript),
    "torch-export": (_write_torch_export, _run_torch_export),
}
FORMS = tuple(_FORMS)
"""What a model can be exported to."""
