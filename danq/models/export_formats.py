"""Formats of other runtimes: a traced module as bytes, and its evaluation from these bytes."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from danq.errors import InputError
from danq.typing import Location

TOLERANCE = 1e-5
"""Largest difference between an exported file and the model: of values up to 1 the absolute
difference, of larger ones the relative one."""

OPSET = 17
"""Version of the operators in ONNX."""

_EXTRA = "danq.json"
Run = Callable[..., list[np.ndarray]]
"""Evaluates an exported file: its inputs as arrays, its outputs as arrays."""


class Exportable(NamedTuple):
    """A module to export.

    Attributes
    ----------
    module
        A module with operators that every runtime has.
    inputs
        Two examples, as its arguments.
    input_names, output_names
        Names in ONNX.
    batch_axes
        Which axes of the arguments may have any size, as torch.export takes it for a dimension.
    about
        Description as JSON, which the file holds.
    """

    module: nn.Module
    inputs: tuple[Tensor, ...]
    input_names: Sequence[str]
    output_names: Sequence[str]
    batch_axes: Callable[[Any], Any]
    about: str


class Format(NamedTuple):
    """Writes a module as bytes, and makes a function of the bytes that evaluates it."""

    write: Callable[[Exportable], bytes]
    start: Callable[[bytes], Run]


def export_format(name: str) -> Format:
    """Look up a format by its name.

    Raises
    ------
    InputError
        When there is no such format.
    """
    if name not in FORMATS:
        raise InputError(
            f"no export format is named '{name}'", remedy=f"Choose {', '.join(FORMATS)}"
        )
    return FORMATS[name]


def largest_change(theirs: Sequence[np.ndarray], ours: Sequence[np.ndarray]) -> float:
    """Largest difference of outputs from the model's, as `TOLERANCE` counts it.

    It is NaN where a value or a shape differs beyond comparison.
    """
    largest = 0.0
    for other, own in zip(theirs, ours, strict=True):
        if other.shape != own.shape:
            return float("nan")
        change = np.abs(other.astype(np.float64) - own) / np.maximum(1, np.abs(own))
        largest = float(np.maximum(largest, change.max()))  # NaN stays NaN
    return largest


def check_difference(difference: float, outputs: str, out: Location) -> None:
    """Check the difference of an exported file from the model.

    Raises
    ------
    InputError
        When it is above `TOLERANCE`, or NaN.
    """
    if not difference <= TOLERANCE:
        raise InputError(
            f"the {outputs} of the exported file differ from those of the model by "
            f"{difference:.1e}, above {TOLERANCE:.0e}",
            file=Path(out),
            remedy="Use another export format",
        )


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


def _write_onnx(given: Exportable) -> bytes:
    with onnx_libraries():
        import onnx
        import onnxruntime  # noqa: F401
    stream = io.BytesIO()
    # The tracing exporter keeps an LSTM as one operator; the newer one unrolls it into a slow loop.
    torch.onnx.export(
        given.module,
        given.inputs,
        stream,  # type: ignore[arg-type]
        dynamo=False,
        opset_version=OPSET,
        input_names=[*given.input_names],
        output_names=[*given.output_names],
        dynamic_axes={name: {0: "batch"} for name in (*given.input_names, *given.output_names)},
    )
    graph = onnx.load_from_string(stream.getvalue())
    entry = graph.metadata_props.add()
    entry.key, entry.value = "danq", given.about
    onnx.checker.check_model(graph)
    return graph.SerializeToString()


def _run_onnx(data: bytes) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    return lambda *inputs: [
        np.asarray(one) for one in session.run(None, dict(zip(names, inputs, strict=True)))
    ]


def _write_torchscript(given: Exportable) -> bytes:
    stream = io.BytesIO()
    traced = torch.jit.trace(given.module, given.inputs)
    torch.jit.save(traced, stream, _extra_files={_EXTRA: given.about})
    return stream.getvalue()


def _run_torchscript(data: bytes) -> Run:
    return _run_module(torch.jit.load(io.BytesIO(data), map_location="cpu"))


def _write_torch_export(given: Exportable) -> bytes:
    shapes = given.batch_axes({0: torch.export.Dim("batch")})
    program = torch.export.export(given.module, given.inputs, dynamic_shapes=shapes)
    stream = io.BytesIO()
    torch.export.save(program, stream, extra_files={_EXTRA: given.about})
    return stream.getvalue()


def _run_torch_export(data: bytes) -> Run:
    return _run_module(torch.export.load(io.BytesIO(data)).module())


def _run_module(module: Callable[..., Tensor | tuple[Tensor, ...]]) -> Run:
    def run(*inputs: np.ndarray) -> list[np.ndarray]:
        found = module(*map(torch.from_numpy, inputs))
        return [one.numpy() for one in (found if isinstance(found, tuple) else (found,))]

    return run


FORMATS: Mapping[str, Format] = {
    "onnx": Format(_write_onnx, _run_onnx),
    "torchscript": Format(_write_torchscript, _run_torchscript),
    "torch-export": Format(_write_torch_export, _run_torch_export),
}
"""Formats by name."""
