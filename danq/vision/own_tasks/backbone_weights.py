"""Weights of a backbone, read when a training starts."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from torch import Tensor, nn

from danq.errors import InputError
from danq.models.weight_import.torch_tensors import read_tensors
from danq.progress import stage
from danq.vision.dataset import Dataset
from danq.vision.own_tasks.backbones import (
    Backbone,
    backbone_settings,
    check_backbone,
    check_fit,
    torchvision_models,
)
from danq.vision.task import ModelDefinition

NONE, DEFAULT = "none", "default"
"""Weights that are random, and those that torchvision recommends."""

log = logging.getLogger("danq")
_DOWNLOAD_ERRORS = (OSError, RuntimeError, URLError)
_HASH = re.compile(r"-([0-9a-f]{8,})\.")
_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")
"""Names of layers of DenseNet in files from before 2017, which torchvision still offers."""


def check_backbone_settings(settings: Mapping[str, Any]) -> None:
    """Check the settings of a backbone, if there are any, without reading weights.

    Raises
    ------
    InputError
        When torchvision cannot be imported, or the backbone or the file of weights does not exist.
    """
    given = backbone_settings(settings)
    if given is None or not all(isinstance(one, str) for one in given):
        return
    backbone, weights = given
    check_backbone(backbone)
    if weights in (NONE, DEFAULT):
        return
    if not weights.isprintable():
        raise InputError(
            f"the name of the file of weights, {weights!a}, cannot be printed",
            remedy="Rename the file",
        )
    if not Path(weights).is_file():
        raise InputError(
            "there is no such file of weights",
            file=weights,
            remedy=f"Give a safetensors file or one of torch.save, '{DEFAULT}' for the weights "
            f"that torchvision recommends, or '{NONE}'",
        )


def prepared_for_backbone(definition: ModelDefinition, data: Dataset) -> Dataset:
    """Data for a model: with the normalisation that its backbone's weights need, unless it has one.

    Raises
    ------
    InputError
        As `check_backbone_settings`, and when the images do not fit the backbone.
    """
    given = backbone_settings(definition.hyperparameters)
    if given is None:
        return data
    check_backbone_settings(definition.hyperparameters)
    backbone, weights = given
    check_fit(backbone, data.metadata["shape"])
    if weights == NONE:
        log.info(
            "the backbone %s starts from random weights; with weights '%s' it starts from those "
            "that torchvision recommends, which were trained on ImageNet",
            backbone,
            DEFAULT,
        )
        return data
    if "normalisation" in data.metadata:
        return data
    log.info("images are normalised with the statistics of ImageNet, as for %s", backbone)
    return replace(data, metadata={**data.metadata, "normalisation": "imagenet"})


def load_backbone_weights(module: nn.Module, definition: ModelDefinition) -> None:
    """Give the backbone of a new module the weights that its model asks for.

    Raises
    ------
    InputError
        When they cannot be downloaded or read, do not fit, or are not finite.
    """
    given = backbone_settings(definition.hyperparameters)
    if given is None or given[1] == NONE:
        return
    name, weights = given
    path = downloaded(name) if weights == DEFAULT else Path(weights)
    for part in module.modules():
        if isinstance(part, Backbone):
            _load(part, read_tensors(path), path)
            log.info("%s: weights of the backbone %s", path, name)


def downloaded(name: str) -> Path:
    """Path of the weights that torchvision recommends, in the cache of torch.hub.

    Raises
    ------
    InputError
        When they are not there, and cannot be downloaded.
    """
    url = torchvision_models().get_model_weights(name).DEFAULT.url
    path = Path(torch.hub.get_dir(), "checkpoints", url.rsplit("/", 1)[-1])
    if path.is_file():
        return path
    known = _HASH.search(path.name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with stage(f"downloading {path.name}"):
            # It checks the hash, and moves the whole file to its place.
            torch.hub.download_url_to_file(
                url, str(path), known[1] if known else None, progress=False
            )
    except _DOWNLOAD_ERRORS as error:
        raise InputError(
            f"the weights of the backbone '{name}' cannot be downloaded ({error})",
            remedy=f"Put the file {path.name} into the folder {path.parent}, or give the weights "
            "as a file",
        ) from error
    return path


def _load(backbone: Backbone, tensors: dict[str, Tensor], path: Path) -> None:
    expected = backbone.network.state_dict()
    found = {}
    for old, value in tensors.items():
        name = _OLD_DENSENET.sub(r"\1\2", old)
        if not name.startswith(f"{backbone.removed}."):
            found[name] = value
    # Files from before 2018 do not count the batches of batch normalisation, which changes nothing.
    counts = {name for name in expected if name.endswith("num_batches_tracked")}
    for what, names in (
        ("lack", expected.keys() - found.keys() - counts),
        ("also have", found.keys() - expected.keys()),
    ):
        if names:
            listed = ", ".join(sorted(names)[:3])
            raise _misfit(backbone, path, f"they {what} {len(names):,} tensors, such as {listed}")
    for name, value in found.items():
        if value.shape != expected[name].shape:
            shapes = f"{tuple(value.shape)}, not {tuple(expected[name].shape)}"
            raise _misfit(backbone, path, f"{name} has the shape {shapes}")
        if not value.isfinite().all():
            raise _misfit(backbone, path, f"{name} is NaN or infinite")
    backbone.network.load_state_dict(found, strict=False)


def _misfit(backbone: Backbone, path: Path, problem: str) -> InputError:
    return InputError(
        f"these are no weights of the backbone '{backbone.name}': {problem}",
        file=path,
        remedy="Give the backbone that the weights are of, or other weights",
    )
