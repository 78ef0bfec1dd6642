"""Text summary of a model: provenance, layers, shapes and parameters."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from danq.errors import few
from danq.models.model_card import CARD, stored_card
from danq.models.model_file import Model, ModelSpec, load_model
from danq.models.training_record import (
    PRETRAINING,
    SPLITS,
    stored_pretrainings,
    stored_splits,
)
from danq.typing import Location

SHOWN = 8
"""Number of tracks that are listed by default."""


def summary(model: Location | Model, *, every: bool = False) -> str:
    """Describe a model as text.

    Parameters
    ----------
    model
        A model, or the path of a model file or run directory.
    every
        List all tracks.

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
        "window": f"{spec.window} bp, labels describe the middle {spec.bin} bp",
        "tracks": f"{len(spec.tracks)}: {tracks}",
        "losses": _losses(spec),
        "units": _units(spec, every),
        "strand": "forward only: trained on oriented sequences" if spec.oriented else "",
        "written by": spec.created_by,
        "trained on": spec.data_sha256,
        **card_facts(spec.training, model.path),
        **{
            f"training {name}": value
            for name, value in spec.training.items()
            if name not in (SPLITS, PRETRAINING, CARD)
        },
        "splits": _splits(model),
        "started from": _pretrainings(model),
        "temperature": ("" if spec.has_amounts else "none: probabilities are as trained")
        if spec.temperature is None
        else f"{spec.temperature:.4g}, divides the logits (fitted to the validation split)",
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
    # torchinfo counts products only in torch's layers, and the first layer is not one.
    table = [line for line in str(layers).splitlines() if "mult-adds" not in line]
    return "\n".join([*fact_lines(facts), "", *table])


def _losses(spec: ModelSpec) -> str:
    """Loss of each group of tracks, if there are amounts."""
    if not spec.has_amounts:
        return ""
    parts = []
    for one in spec.targets:
        kind = "peaks" if one.loss == "binary" else "amounts"
        bins = f", {one.bins} bins from {one.lowest:g} by {one.bin_width:g}" if one.bins else ""
        steps = f", {one.steps} steps of {one.step_bases} bp" if one.steps else ""
        parts.append(f"{one.tracks} of {kind} ({one.loss}, weight {one.weight:.4g}{bins}{steps})")
    return "; ".join(parts)


def _splits(model: Model) -> str:
    """Contigs of each split of the training."""
    found = stored_splits(model.spec.training, model.path)
    if found is None:
        return ""
    parts = (("train", found.train), ("validation", found.valid), ("test", found.test))
    return "; ".join(f"{name} {few(spans, 4)}" for name, spans in parts if spans)


def _pretrainings(model: Model) -> str:
    """Models that the training started from, the last one first."""
    records = reversed(stored_pretrainings(model.spec.training, model.path))
    return "; ".join(
        f"{one.model} (sha256 {one.sha256}): "
        f"{sum(layer.origin != 'new' for layer in one.layers)} of {len(one.layers)} layers taken"
        for one in records
    )


def _units(spec: ModelSpec, every: bool) -> str:
    pairs = zip(spec.tracks, spec.track_units, strict=True)
    texts = [f"{name} {unit}" for name, unit in pairs if unit is not None and str(unit)]
    if every or len(texts) <= SHOWN:
        return ", ".join(texts)
    return ", ".join(texts[:SHOWN]) + ", ..."


def card_facts(training: Mapping[str, Any], file: Path | None) -> dict[str, str]:
    """Entries of the card of a model, for `fact_lines`; none if it has no card.

    Raises
    ------
    InputError
        As `danq.models.model_card.stored_card`.
    """
    card = stored_card(training, file)
    entries = {} if card is None else card.entries()
    return {f"card {name}": _wrapped(text) for name, text in entries.items()}


def _wrapped(text: str) -> str:
    """Lines of at most 66 characters, all but the first below the values of `fact_lines`."""
    lines = [part for line in text.split("\n") for part in textwrap.wrap(line, 66) or [""]]
    return f"\n{' ' * 24}".join(lines)


def fact_lines(facts: Mapping[str, Any]) -> list[str]:
    """Lines with the name and value of each fact; empty values are omitted."""
    return [_fact(name, value) for name, value in facts.items() if value not in ("", None)]


def _fact(name: str, value: Any) -> str:
    if not isinstance(value, dict):
        return f"{name:<23} {value}"
    text = ", ".join(f"{key} {one}" for key, one in value.items())
    return textwrap.fill(text, 90, initial_indent=f"{name:<23} ", subsequent_indent=" " * 24)
