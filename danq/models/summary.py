"""A model in words: layers, shapes, parameters, provenance."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch

from danq.models.file import Model, load_model


def summary(model: str | Path | Model) -> str:
    """Describe a model as text.

    Parameters
    ----------
    model
        A model, a model file or a run folder.

    Returns
    -------
    Provenance lines, then one row per layer with its output shape and parameters.

    Raises
    ------
    InputError
        As `load_model`.
    """
    import torchinfo

    if not isinstance(model, Model):
        model = load_model(model)
    spec = model.spec
    tracks = ", ".join(spec.tracks[:8]) + (", ..." if len(spec.tracks) > 8 else "")
    facts = {
        "preset": spec.preset,
        "window": f"{spec.window} bp, labels speak of the middle {spec.bin} bp",
        "tracks": f"{len(spec.tracks)}: {tracks}",
        "written by": spec.created_by,
        "trained on": spec.data_digest,
        **{f"training {name}": value for name, value in spec.training.items()},
    }
    lines = [f"{name:<24}{value}" for name, value in facts.items() if value not in ("", None)]
    codes = torch.zeros(1, spec.window, dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layers = torchinfo.summary(
            model.module,
            input_data=codes,
            col_names=("output_size", "num_params"),
            row_settings=("var_names", "depth"),
            verbose=0,
        )
    return "\n".join([*lines, "", str(layers)])
