"""Checkpoints of DanQ and DeepSEA as Selene implements them."""

from __future__ import annotations

import logging

import numpy as np
from jaxtyping import Float

from danq.errors import few
from danq.models.architecture import Stage
from danq.models.presets import architecture
from danq.models.weight_import.torch_tensors import read_tensors
from danq.models.weight_import.weight_file import Array, ImportedWeights, WeightFile, to_arrays

UNKNOWN = 0.25
"""Selene's value of each channel at N."""

log = logging.getLogger("danq")
# Largest norm of a filter or unit; Selene's DeepSEA scales weights down to it in every pass.
_LARGEST_NORM = 0.9
_DIRECTION = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")


def read_selene_danq(source: WeightFile) -> ImportedWeights:
    """Read a checkpoint of Selene's ``models/danQ.py``.

    Logs a warning: Selene's module passes ``(T, B, F)`` to a layer that expects ``(B, T, F)``, so
    its LSTM runs along the batch. The imported model runs it along the sequence.

    Parameters
    ----------
    source
        The file. Its tensors define the sizes.

    Raises
    ------
    InputError
        As `danq.models.weight_import.torch_tensors.read_tensors`; when a tensor is missing or
        unknown, or has another type or shape.
    """
    names = ["nnet.0.weight", "nnet.0.bias"]
    lstm = [f"bdlstm.0.{name}{ending}" for ending in ("", "_reverse") for name in _DIRECTION]
    names += [*lstm, "classifier.1.weight", "classifier.1.bias"]
    names += ["classifier.3.weight", "classifier.3.bias"]
    state = _Checked(source, names)
    conv = state("nnet.0.weight", None, 4, None)
    filters, _, width = conv.shape
    hidden = state("bdlstm.0.weight_hh_l0", None, None).shape[1]
    dense = state("classifier.1.weight", None, None)
    units = len(dense)
    output = state("classifier.3.weight", None, units)
    sizes = {"filters": filters, "width": width, "hidden": hidden, "dense": (units,)}
    plan = architecture("danq", **sizes, unknown=UNKNOWN)
    steps = max(0, source.window - width + 1) // plan.pool
    source.check_steps("classifier.1.weight", dense.shape[1], 2 * hidden, steps)
    shapes = ((4 * hidden, filters), (4 * hidden, hidden), (4 * hidden,), (4 * hidden,))
    weights = {
        "encoder.weight": conv[:, source.channels],
        "encoder.bias": state("nnet.0.bias", filters),
        **{
            f"temporal.rnn.{name.removeprefix('bdlstm.0.')}": state(name, *shapes[number % 4])
            for number, name in enumerate(lstm)
        },
        "head.body.0.weight": dense,
        "head.body.0.bias": state("classifier.1.bias", units),
        "head.output.weight": output,
        "head.output.bias": state("classifier.3.bias", len(output)),
    }
    log.warning(
        "Selene's DanQ runs its LSTM along the batch instead of the sequence, so its predictions "
        "depend on the other sequences of the batch. Here the LSTM runs along the sequence: "
        "predictions differ from Selene's, and the model may be less accurate. Evaluate it on a "
        "test set"
    )
    return ImportedWeights("danq", plan, len(output), weights, source.window)


def read_selene_deepsea(source: WeightFile) -> ImportedWeights:
    """Read a checkpoint of Selene's ``models/deepsea.py``.

    Reads both versions of that model: one without and one with batch normalisation. Batch
    normalisation and the limit of 0.9 on the norm of filters and units are folded into the weights.

    Parameters
    ----------
    source
        The file. Its tensors define the sizes.

    Raises
    ------
    InputError
        As `read_selene_danq`.

    Notes
    -----
    Zhou & Troyanskaya (Nature Methods 2015).
    """
    tensors = to_arrays(read_tensors(source.path))
    normal = "conv_net.9.weight" in tensors
    convs = ("conv_net.0", "conv_net.4", "conv_net.9" if normal else "conv_net.8")
    linears = ("classifier.0", "classifier.3" if normal else "classifier.2")
    norms = ("conv_net.3", "conv_net.7", "conv_net.11", "classifier.2") if normal else ()
    names = [f"{layer}.{part}" for layer in (*convs, *linears) for part in ("weight", "bias")]
    parts = ("weight", "bias", "running_mean", "running_var")
    names += [f"{layer}.{part}" for layer in norms for part in parts]
    state = _Checked(source, names, tensors)

    layers: list[tuple[Array, Array]] = []
    before = 4
    for name in convs:
        weight = state(f"{name}.weight", None, before, None)
        before = len(weight)
        layers.append((weight, state(f"{name}.bias", before)))
    first = state(f"{linears[0]}.weight", None, None)
    last = state(f"{linears[1]}.weight", None, len(first))
    layers.append((first, state(f"{linears[0]}.bias", len(first))))
    layers.append((last, state(f"{linears[1]}.bias", len(last))))
    filters, second, third = (len(weight) for weight, _ in layers[:3])
    plan = architecture(
        "deepsea",
        filters=filters,
        width=layers[0][0].shape[2],
        stages=(
            Stage(channels=second, width=layers[1][0].shape[2], pool=4, dropout=0.2),
            Stage(channels=third, width=layers[2][0].shape[2], dropout=0.5),
        ),
        encoder_dropout=0.0,
        dense=(len(first),),
        unknown=UNKNOWN,
    )
    steps = source.window
    for (weight, _), pool in zip(layers[:3], (4, 4, 1), strict=True):
        steps = max(0, steps - weight.shape[2] + 1) // pool
    source.check_steps(f"{linears[0]}.weight", first.shape[1], third, steps)
    if normal:
        layers = [(_limited(weight), bias) for weight, bias in layers]
        for number, name in enumerate(norms):
            size = len(layers[number][0])
            scale, shift = _affine(*(state(f"{name}.{part}", size) for part in parts))
            layers[number + 1] = _folded(*layers[number + 1], scale, shift)
    names = ["encoder.first", "encoder.stages.0.conv", "encoder.stages.1.conv"]
    names += ["head.body.0", "head.output"]
    layers[0] = layers[0][0][:, source.channels], layers[0][1]
    # Selene flattens channels first, danq steps first.
    dense = layers[3][0].reshape(-1, third, steps).transpose(0, 2, 1).reshape(len(first), -1)
    layers[3] = dense, layers[3][1]
    weights = {}
    for name, (weight, bias) in zip(names, layers, strict=True):
        weights |= {f"{name}.weight": weight, f"{name}.bias": bias}
    return ImportedWeights("deepsea", plan, len(last), weights, source.window)


def _limited(weight: Float[Array, "F ..."]) -> Float[Array, "F ..."]:
    """Scale rows down to the largest norm, as torch's ``renorm_(2, 0, 0.9)`` does."""
    norms = np.sqrt((weight.reshape(len(weight), -1) ** 2).sum(axis=1))
    scale = np.where(norms > _LARGEST_NORM, _LARGEST_NORM / (norms + 1e-7), 1.0)
    return weight * scale.reshape(-1, *[1] * (weight.ndim - 1))


def _affine(
    weight: Float[Array, " F"],
    bias: Float[Array, " F"],
    mean: Float[Array, " F"],
    variance: Float[Array, " F"],
) -> tuple[Float[Array, " F"], Float[Array, " F"]]:
    """Scale and shift of batch normalisation in evaluation: ``scale x + shift``."""
    scale = weight / np.sqrt(variance + 1e-5)
    return scale, bias - mean * scale


def _folded(
    weight: Float[Array, "G ..."],
    bias: Float[Array, " G"],
    scale: Float[Array, " F"],
    shift: Float[Array, " F"],
) -> tuple[Float[Array, "G ..."], Float[Array, " G"]]:
    """Fold ``scale x + shift`` of the F input channels into the weights of a layer."""
    grouped = weight.reshape(len(weight), len(scale), -1)
    bias = bias + (grouped * shift[:, None]).sum(axis=(1, 2))
    return (grouped * scale[:, None]).reshape(weight.shape), bias


class _Checked:
    """Tensors of a checkpoint, checked to be exactly the expected ones."""

    def __init__(
        self, source: WeightFile, names: list[str], tensors: dict[str, Array] | None = None
    ) -> None:
        self.source = source
        self.tensors = to_arrays(read_tensors(source.path)) if tensors is None else tensors
        counted = {name for name in self.tensors if name.endswith("num_batches_tracked")}
        for problem, some in (
            ("lacks arrays", set(names) - set(self.tensors)),
            ("has additional arrays", set(self.tensors) - set(names) - counted),
        ):
            if some:
                raise source.error(
                    f"{problem} {few(sorted(some), 4)}",
                    "Give a checkpoint of this model, or use a mapping (format torch)",
                )

    def __call__(self, name: str, *shape: int | None) -> Float[Array, "..."]:
        return self.source.check(name, self.tensors[name], shape)
