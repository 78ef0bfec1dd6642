"""Import of a file of weights: read it, check it, and write a danq model file."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch

from danq._version import __version__
from danq.errors import InputError
from danq.files.inputs_in_use import protects_inputs
from danq.files.open_input import check_file, open_raw
from danq.models.architecture import build_module
from danq.models.model_file import Model, ModelSpec, load_model, save_model
from danq.models.weight_import.keras_danq import read_keras
from danq.models.weight_import.selene import read_selene_danq, read_selene_deepsea
from danq.models.weight_import.torch_mapping import Mapping, read_mapped, read_mapping
from danq.models.weight_import.weight_file import ImportedWeights, InputLayout, WeightFile
from danq.output import check_target
from danq.provenance import sha256_of
from danq.track_names import track_names
from danq.typing import Location

# DeepSEA's windows and bins. The channels of its data, and so of DanQ's, are A, G, C, T.
FORMATS = {
    "keras-danq": InputLayout(1000, 200, "AGCT"),
    "keras-danq-jaspar": InputLayout(1000, 200, "AGCT"),
    "selene-danq": InputLayout(1000, 200, "ACGT"),
    "selene-deepsea": InputLayout(1000, 200, "ACGT"),
    "torch": None,
}
"""Each format and its default input layout; for "torch" the mapping defines the layout."""

BACKWARD = ("reversed", "reversed-output", "forward-twice")
"""Conventions of the backward LSTM, see `danq.models.weight_import.keras_danq.read_keras`."""

_PRESETS = {"keras-danq": "danq", "keras-danq-jaspar": "danq-jaspar"}
log = logging.getLogger("danq")


@protects_inputs
def import_weights(
    weights: Location,
    out: Location,
    *,
    format: str,
    mapping: Location | None = None,
    backward: str | None = None,
    tracks: Location | None = None,
    layout: InputLayout | None = None,
    overwrite: bool = False,
) -> Model:
    """Convert published weights, or those of another torch model, into a danq model file.

    No object is unpickled: HDF5 and safetensors files hold only arrays, and torch files are read by
    torch's restricted loader.

    Parameters
    ----------
    weights
        The authors' ``DanQ_bestmodel.hdf5`` or a file like it, a checkpoint of Selene, or a torch
        state dict.
    out
        Model file to write (``.safetensors``).
    format
        One of `FORMATS`.
    mapping
        For the format ``torch``: TOML file with the architecture and the names of the arrays.
    backward
        For Keras: one of `BACKWARD`. None selects ``"forward-twice"`` with a warning. The surviving
        source code of the authors' layer suggests this convention: it reverses the batch.
    tracks
        File with the name of each track, see `danq.track_names.track_names`; None numbers the
        tracks.
    layout
        Window, bin and channel order of the model. None, as a value or for all, is the default of
        the format: 1000, 200, and AGCT for Keras or ACGT for Selene; for ``torch`` that of the
        mapping.
    overwrite
        Whether an existing file ``out`` may be replaced.

    Returns
    -------
    Model
        The model as `danq.load` reads it from ``out``.

    Raises
    ------
    InputError
        When an option does not fit the format, a file is missing, damaged or of another format, or
        ``out`` cannot be written.
    """
    if format not in FORMATS:
        raise InputError(f"no format is named '{format}'", remedy=f"Choose {', '.join(FORMATS)}")
    path = check_file(weights)
    with open_raw(path):  # a device or a file without permission is refused here
        pass
    target = check_target(out, overwrite)
    backward = _checked_backward(format, backward)
    table = _checked_mapping(format, mapping)
    defaults = FORMATS[format] or table
    assert defaults is not None
    layout = layout or InputLayout()
    window = defaults.window if layout.window is None else layout.window
    bin = defaults.bin if layout.bin is None else layout.bin
    assert window is not None
    assert bin is not None
    if not 1 <= bin <= window:
        raise InputError(f"a bin of {bin} bases does not fit in a window of {window}")
    source = WeightFile(path, window, _checked_bases(layout.bases or str(defaults.bases)))
    imported = _read(source, format, backward, table)
    names, groups = track_names(tracks, imported.tracks)
    if tracks is None:
        log.info("named the tracks %s to %s; pass a file to name them", names[0], names[-1])
    if backward is not None:
        log.info("imported the backward LSTM with the convention '%s'", backward)
    spec = ModelSpec(
        created_by=f"danq {__version__}",
        preset=imported.preset,
        architecture=imported.architecture,
        tracks=names,
        groups=groups,
        window=imported.window,
        bin=bin,
        training=_provenance(path, format, backward),
    )
    module = build_module(imported.architecture, imported.tracks, imported.window)
    module.load_state_dict(
        {name: _as_float32(source, name, value) for name, value in imported.weights.items()}
    )
    save_model(target, module, spec)
    return load_model(target)


def _as_float32(source: WeightFile, name: str, value: np.ndarray) -> torch.Tensor:
    """A weight of the model.

    Raises
    ------
    InputError
        When it is beyond the range of float32, or the arrays of the file give no number.
    """
    with np.errstate(over="ignore"):
        weight = np.ascontiguousarray(value, dtype=np.float32)
    if not np.isfinite(weight).all():
        raise source.error(
            "the arrays of the file give NaN, or a number that is too large for float32", name=name
        )
    return torch.from_numpy(weight)


def _read(
    source: WeightFile, format: str, backward: str | None, mapping: Mapping | None
) -> ImportedWeights:
    if format in _PRESETS:
        return read_keras(source, _PRESETS[format], str(backward))
    if mapping is not None:
        return read_mapped(source, mapping)
    return read_selene_danq(source) if format == "selene-danq" else read_selene_deepsea(source)


def _provenance(path: Path, format: str, backward: str | None) -> dict[str, str]:
    facts = {
        "imported_from": path.name,
        "imported_format": format,
        "imported_sha256": sha256_of(path),
    }
    return facts if backward is None else facts | {"imported_backward": backward}


def _checked_backward(format: str, backward: str | None) -> str | None:
    if format not in _PRESETS:
        if backward is not None:
            raise InputError(
                f"a convention of the backward LSTM was given for the format {format}",
                remedy="Omit it: only Keras files need it",
            )
        return None
    if backward is None:
        log.warning(
            "the published files do not record how the backward LSTM was ordered; 'forward-twice' "
            "is used, as the surviving source code of the authors' layer suggests. To test it, "
            "evaluate each convention (%s) on DeepSEA's test set: with the right one, DanQ has "
            "AUROC .91325 and AUPR .41844 on 8988T DNase, the first track",
            ", ".join(BACKWARD),
        )
        return "forward-twice"
    if backward not in BACKWARD:
        raise InputError(
            f"no convention of the backward LSTM is named '{backward}'",
            remedy=f"Choose {', '.join(BACKWARD)}",
        )
    return backward


def _checked_mapping(format: str, mapping: Location | None) -> Mapping | None:
    if (format == "torch") != (mapping is not None):
        raise InputError(
            "the format torch needs a mapping"
            if format == "torch"
            else f"a mapping was given, which the format {format} does not use",
            remedy="Give a TOML file that maps the names of the parameters"
            if format == "torch"
            else "Leave the mapping out",
        )
    return None if mapping is None else read_mapping(mapping)


def _checked_bases(bases: str) -> str:
    upper = bases.upper()
    if sorted(upper) != list("ACGT"):
        raise InputError(
            f"the channel order is '{bases}'",
            remedy="Write A, C, G and T once each, for example AGCT",
        )
    return upper
