"""A model in words: layers, shapes, parameters, provenance."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from danq.models.model_file import Model, load_model

SHOWN = 8
"""Tracks that are named."""


def summary(model: str | Path | Model, *, every: bool = False) -> str:
    """Describe a model as text.

    Parameters
    ----------
    model
        A model, a model file or a run folder.
    every
        Name every track, however many there are.

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
    many = len(spec.tracks) > SHOWN and not every
    tracks = ", ".join(spec.tracks[:SHOWN] if many else spec.tracks) + (", ..." if many else "")
    facts = {
        "preset": spec.preset,
        "window": f"{spec.window} bp, labels speak of the middle {spec.bin} bp",
        "tracks": f"{len(spec.tracks)}: {tracks}",
        "written by": spec.created_by,
        "trained on": spec.data_sha256,
        **{f"training {name}": value for name, value in spec.training.items()},
    }
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
    # torchinfo counts the products of its own layers alone, of which the first is none.
    table = [line for line in str(layers).splitlines() if "mult-adds" not in line]
    return "\n".join([*fact_lines(facts), "", *table])


def fact_lines(facts: Mapping[str, Any]) -> list[str]:
    """What a model's file says of it, a line or more each; what is empty is left out."""
    return [_fact(name, value) for name, value in facts.items() if value not in ("", None)]


def _fact(name: str, value: Any) -> str:
    if not isinstance(value, dict):
        return f"{name:<24}{value}"
    text = ", ".join(f"{key} {one}" for key, one in value.items())
    return textwrap.fill(text, 90, initial_indent=f"{name:<24}", subsequent_indent=" " * 24)
