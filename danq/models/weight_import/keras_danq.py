"""Weights of DanQ and DanQ-JASPAR that the authors saved with Keras 0.2."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from danq.files.hdf5_input import Hdf5Input, open_hdf5
from danq.models.presets import architecture
from danq.models.weight_import.weight_file import Array, ImportedWeights, WeightFile

DROPOUT = (0.2, 0.5)
"""Dropout before and after the LSTM."""

_COUNTS = (2, 24, 2, 2)
_PARTS = "convolution, bidirectional LSTM, dense layer, dense layer"
_EXPECTED = "weights of Keras (HDF5)"
_OLD = "Give a file written by 'save_weights' of Keras 0.2"


def read_keras(source: WeightFile, preset: str, backward: str) -> ImportedWeights:
    """Read the Keras 0.2 HDF5 file of DanQ or DanQ-JASPAR.

    Parameters
    ----------
    source
        The file. Its arrays define the sizes, so retrained models with other numbers of filters,
        units or tracks can be read.
    preset
        ``"danq"`` or ``"danq-jaspar"``, which pool 13 and 15 positions.
    backward
        Convention of the second set of LSTM units: ``"reversed"`` reads the steps from last to
        first and puts its outputs in the order of the steps; ``"reversed-output"`` reads from last
        to first and keeps its outputs in that order (as a Keras layer with ``go_backwards``);
        ``"forward-twice"`` reads from first to last, as the first set does.

    Returns
    -------
    ImportedWeights
        Weights without Theano's kernel flip, in danq's order of bases and of gates (i, c, f, o to
        i, f, g, o), with hard-sigmoid gates. The input products are scaled by the fractions that
        dropout keeps (0.8 and 0.5), because Keras 0.2 scales at prediction.

    Raises
    ------
    InputError
        When the file is not HDF5, is truncated, is of another version of Keras, or an array is
        missing or has another type or shape.

    Notes
    -----
    Layout and semantics: Keras 0.2.0 (``Sequential.save_weights``, ``LSTM``, ``Dropout``) and the
    training scripts of Quang & Xie (Nucleic Acids Research 2016).
    """
    conv, lstm, dense, output = _layers(source)
    weight = source.check(*conv[0], (None, 4, None, 1))
    filters, _, width, _ = weight.shape
    bias = source.check(*conv[1], (filters,))
    hidden = source.check(*lstm[1], (None, None)).shape[0]
    w1 = source.check(*dense[0], (None, None))
    units = w1.shape[1]
    w2 = source.check(*output[0], (units, None))
    changes: dict[str, Any] = {
        "filters": filters,
        "width": width,
        "hidden": hidden,
        "dense": (units,),
        "encoder_dropout": DROPOUT[0],
        "temporal_dropout": DROPOUT[1],
        "gates": "hard",
        "second_direction": "forward" if backward == "forward-twice" else "backward",
    }
    plan = architecture(preset, **changes)
    steps = max(0, source.window - width + 1) // plan.pool
    source.check_steps(dense[0][0], w1.shape[0], 2 * hidden, steps)
    kept = (1 - DROPOUT[1]) * w1.T.reshape(units, steps, 2, hidden)
    if backward == "reversed-output":
        kept[:, :, 1] = kept[:, ::-1, 1].copy()
    weights = {
        "encoder.weight": weight[..., 0][:, source.channels, ::-1],
        "encoder.bias": bias,
        **_direction(source, lstm[:12], filters, hidden, ""),
        **_direction(source, lstm[12:], filters, hidden, "_reverse"),
        "head.body.0.weight": kept.reshape(units, -1),
        "head.body.0.bias": source.check(*dense[1], (units,)),
        "head.output.weight": w2.T,
        "head.output.bias": source.check(*output[1], (w2.shape[1],)),
    }
    return ImportedWeights(preset, plan, w2.shape[1], weights, source.window)


_Named = tuple[str, Array]

_Attributes = Mapping[str, int | float | str | None]


def _direction(
    source: WeightFile, named: list[_Named], features: int, hidden: int, ending: str
) -> dict[str, Float[Array, "..."]]:
    """The twelve arrays of a direction (W, U and b of i, c, f, o) in torch's layout."""
    shapes = ((features, hidden), (hidden, hidden), (hidden,))
    checked = [source.check(*item, shapes[n % 3]) for n, item in enumerate(named)]
    i, c, f, o = (checked[at : at + 3] for at in range(0, 12, 3))
    w, u, b = (np.concatenate([gate[k].T for gate in (i, f, c, o)]) for k in range(3))
    return {
        f"temporal.rnn.weight_ih_l0{ending}": (1 - DROPOUT[0]) * w,
        f"temporal.rnn.weight_hh_l0{ending}": u,
        f"temporal.rnn.bias_ih_l0{ending}": b,
        f"temporal.rnn.bias_hh_l0{ending}": np.zeros_like(b),
    }


def _layers(source: WeightFile) -> list[list[_Named]]:
    """Named arrays of each layer that has any."""
    with open_hdf5(source.path, _EXPECTED) as file:
        layers = [_arrays(source, file, group) for group in _groups(source, file)]
    layers = [layer for layer in layers if layer]
    found = tuple(len(layer) for layer in layers)
    if found != _COUNTS:
        raise source.error(
            f"its layers hold {', '.join(map(str, found)) or 'no'} arrays, "
            f"not {', '.join(map(str, _COUNTS))} ({_PARTS})",
            "Check that the file holds DanQ or DanQ-JASPAR",
        )
    return layers


def _groups(source: WeightFile, file: Hdf5Input) -> Iterable[str]:
    attributes = file.attributes
    if "nb_layers" not in attributes:
        newer = "layer_names" in attributes or file.attributes_of("model_weights") is not None
        kind = "weights of a newer Keras" if newer else "an HDF5 file without Keras's 'nb_layers'"
        raise source.error(f"{kind}, not of Keras 0.2", _OLD)
    for number in range(_count(source, attributes, "nb_layers", "/")):
        yield f"layer_{number}"


def _arrays(source: WeightFile, file: Hdf5Input, group: str) -> list[_Named]:
    attributes = file.attributes_of(group)
    if attributes is None or group in file:
        raise source.error("a group is missing", _OLD, name=group)
    found = []
    for number in range(_count(source, attributes, "nb_params", f"/{group}")):
        name = f"{group}/param_{number}"
        if name not in file:
            raise source.error("an array is missing, or is a link", _OLD, name=name)
        info = file.info(name)
        if info.dtype is None or info.dtype.kind != "f":
            raise source.error(f"holds {info.type}, not floating-point numbers", name=name)
        found.append((name, file.read(name)))
    return found


def _count(source: WeightFile, attributes: _Attributes, attribute: str, group: str) -> int:
    value = attributes.get(attribute)
    if not isinstance(value, int) or not 0 <= value <= 1000:
        raise source.error(f"'{attribute}' is {value}, not a small number", _OLD, name=group)
    return value
