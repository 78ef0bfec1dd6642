"""Foreign weights to a danq model file."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from danq._version import __version__
from danq.errors import InputError
from danq.models.architecture import build_module
from danq.models.model_file import Model, ModelSpec, load_model, save_model
from danq.models.weights.foreign import Foreign, Source
from danq.models.weights.keras import read_keras
from danq.models.weights.mapping import Mapping, read_mapped, read_mapping
from danq.models.weights.selene import read_selene_danq, read_selene_deepsea
from danq.output import check_target
from danq.provenance import sha256_of
from danq.track_names import track_names


class _Defaults(NamedTuple):
    window: int
    bin: int
    bases: str


# DeepSEA's windows and bins; its data, and so DanQ's, have the channels A, G, C, T.
FORMATS = {
    "keras-danq": _Defaults(1000, 200, "AGCT"),
    "keras-danq-jaspar": _Defaults(1000, 200, "AGCT"),
    "selene-danq": _Defaults(1000, 200, "ACGT"),
    "selene-deepsea": _Defaults(1000, 200, "ACGT"),
    "torch": None,
}
"""Format, and what its files leave unsaid; for torch the mapping says it."""

BACKWARD = ("reversed", "reversed-output", "forward-twice")
"""Readings of the second LSTM direction, see `danq.models.weights.keras.read_keras`."""

_PRESETS = {"keras-danq": "danq", "keras-danq-jaspar": "danq-jaspar"}
log = logging.getLogger("danq")


def import_weights(
    weights: str | Path,
    out: str | Path,
    *,
    format: str,
    mapping: str | Path | None = None,
    backward: str | None = None,
    tracks: str | Path | None = None,
    window: int | None = None,
    bin: int | None = None,
    bases: str | None = None,
    overwrite: bool = False,
) -> Model:
    """Turn weights of another program into a danq model file.

    Nothing in the file is ever unpickled: HDF5 and safetensors hold arrays alone, and torch's files
    go through its restricted loader.

    Parameters
    ----------
    weights
        ``DanQ_bestmodel.hdf5`` or the like, a checkpoint of Selene, or a file of a torch state.
    out
        Model file to write (``.safetensors``).
    format
        One of `FORMATS`.
    mapping
        For the format ``torch``: TOML file with the architecture and the names of the arrays.
    backward
        For Keras: one of `BACKWARD`. None is ``"forward-twice"``, what the wrapper's surviving
        sources amount to (they reverse the batch), with a warning.
    tracks
        File with a name for each track, see `danq.track_names.track_names`; None numbers them.
    window
        Input length in bases; None for 1000, or what the mapping says.
    bin
        Bases in the middle of the window that the labels speak of; None for 200, or what the
        mapping says.
    bases
        The bases in the order of the input channels; None for AGCT (Keras), ACGT (Selene), or what
        the mapping says.
    overwrite
        Whether a file that lies at ``out`` may be replaced.

    Returns
    -------
    Model
        The model as `danq.load` reads it from ``out``.

    Raises
    ------
    InputError
        When options do not go together, a file is missing, damaged or not of that format, or
        ``out`` cannot be written.
    """
    if format not in FORMATS:
        raise InputError(f"no format is named '{format}'", remedy=f"Choose {', '.join(FORMATS)}")
    path = Path(weights)
    if not path.is_file():
        raise InputError("no such file", file=path)
    target = check_target(out, overwrite)
    keras = format.startswith("keras-")
    backward = _checked_backward(format, backward)
    table = _checked_mapping(format, mapping)
    usual = FORMATS[format] or table
    assert usual is not None
    window = usual.window if window is None else window
    bin = usual.bin if bin is None else bin
    if not 1 <= bin <= window:
        raise InputError(f"a bin of {bin} bases does not lie within a window of {window}")
    source = Source(path, window, _checked_bases(bases or usual.bases))
    foreign = _read(source, format, backward, table)
    names, groups = track_names(tracks, foreign.tracks)
    if tracks is None:
        log.info("tracks are called %s to %s; a file with their names helps", names[0], names[-1])
    if keras:
        log.info("the second LSTM direction is read as '%s'", backward)
    spec = ModelSpec(
        created_by=f"danq {__version__}",
        preset=foreign.preset,
        architecture=foreign.architecture,
        tracks=names,
        groups=groups,
        window=foreign.window,
        bin=bin,
        training=_provenance(path, format, backward),
    )
    module = build_module(foreign.architecture, foreign.tracks, foreign.window)
    module.load_state_dict(
        {
            name: torch.from_numpy(np.ascontiguousarray(value, dtype=np.float32))
            for name, value in foreign.weights.items()
        }
    )
    save_model(target, module, spec)
    return load_model(target)


def _read(source: Source, format: str, backward: str | None, mapping: Mapping | None) -> Foreign:
    if format in _PRESETS:
        return read_keras(source, _PRESETS[format], str(backward))
    if mapping is not None:
        return read_mapped(source, mapping)
    return read_selene_danq(source) if format == "selene-danq" else read_selene_deepsea(source)


def _provenance(path: Path, format: str, backward: str | None) -> dict[str, str]:
    said = {
        "imported_from": path.name,
        "imported_format": format,
        "imported_sha256": sha256_of(path),
    }
    return said if backward is None else said | {"imported_backward": backward}


def _checked_backward(format: str, backward: str | None) -> str | None:
    if not format.startswith("keras-"):
        if backward is not None:
            raise InputError(
                f"a reading of the backward direction was given for the format {format}",
                remedy="Leave it out: only the files of Keras leave it open",
            )
        return None
    if backward is None:
        log.warning(
            "nobody could check how the authors' backward LSTM read; 'forward-twice' is taken, as "
            "the surviving sources of its wrapper suggest. To be sure, evaluate all readings (%s) "
            "on DeepSEA's test set: the right one of DanQ gives 8988T DNase, the first track, "
            "AUROC .91325 and AUPR .41844",
            ", ".join(BACKWARD),
        )
        return "forward-twice"
    if backward not in BACKWARD:
        raise InputError(
            f"no reading is named '{backward}'", remedy=f"Choose {', '.join(BACKWARD)}"
        )
    return backward


def _checked_mapping(format: str, mapping: str | Path | None) -> Mapping | None:
    if (format == "torch") != (mapping is not None):
        raise InputError(
            "the format torch needs a mapping"
            if format == "torch"
            else f"a mapping was given, which the format {format} does not need",
            remedy="Give a mapping with the format torch, and only there",
        )
    return None if mapping is None else read_mapping(mapping)


def _checked_bases(bases: str) -> str:
    word = bases.upper()
    if sorted(word) != list("ACGT"):
        raise InputError(
            f"the channels are given as '{bases}'", remedy="Write A, C, G and T once each, as AGCT"
        )
    return word
