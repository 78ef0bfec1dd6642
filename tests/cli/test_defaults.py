"""Help texts show the defaults of the library; the command line defines none."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator

import click
import pytest

import danq
import danq.vision
from danq.datasets import LabelOptions, SignalOptions
from danq.demo import run_demo
from danq.device import BATCH_SIZES
from danq.inference.mutagenesis.effects import BLOCK
from danq.inference.variants.prepare import BATCH_WINDOWS
from danq.interpretation.attribution.gradient_scorer import BATCHES
from danq.models import RunOptions
from danq.server import ServerSettings
from danq.training import Recipe, RunSettings
from danq_cli.main import COMMANDS

DEFAULT = re.compile(r"\[default: ([^\]\s;]+)\]")
OWNERS: dict[str, tuple[Callable, ...]] = {
    "attribute": (danq.attribute, danq.Integration, RunOptions),
    "benchmark-variants": (danq.benchmark_variants, danq.Measurements, RunOptions),
    "classify-variants": (danq.classify_variants,),
    "compare": (danq.compare, RunOptions),
    "data build": (danq.build_dataset, LabelOptions, SignalOptions),
    "data convert": (danq.convert_dataset,),
    "demo": (run_demo, RunOptions),
    "design": (danq.design, danq.RandomStarts, RunOptions),
    "doctor": (danq.doctor,),
    "evaluate": (danq.evaluate, RunOptions),
    "marginalize": (danq.marginalize, danq.Backgrounds, RunOptions),
    "motifs": (danq.find_motifs, danq.find_attribution_motifs, RunOptions),
    "mutate": (danq.mutate, RunOptions),
    "predict": (danq.predict, danq.Hdf5Storage, RunOptions),
    "serve": (ServerSettings, RunOptions),
    "simulate": (danq.simulate,),
    "train": (RunSettings, Recipe, danq.build_dataset, LabelOptions, SignalOptions),
    "variants": (danq.score_variants, danq.Variants, RunOptions),
    "vision train": (RunSettings, Recipe),
    "vision bench": (danq.vision.bench,),
    "vision data": (danq.vision.make_dataset,),
}
NAMES = {"bin_size": "bin", "size": "genome_size"}
SPECIAL = {
    ("evaluate", "batch_size"): BATCH_SIZES["cpu"],
    ("compare", "batch_size"): BATCH_SIZES["cpu"],
    ("predict", "batch_size"): BATCH_SIZES["cpu"],
    ("motifs", "batch_size"): BATCH_SIZES["cpu"],
    ("marginalize", "background"): danq.Backgrounds().source,
    ("marginalize", "batch_size"): BLOCK,
    ("design", "batch_size"): BLOCK,
    ("attribute", "batch_size"): BATCHES["cpu"],
    ("mutate", "batch_size"): BLOCK,
    ("variants", "batch_size"): BATCH_WINDOWS,
    ("benchmark-variants", "batch_size"): BATCH_WINDOWS,
    ("vision train", "precision"): "fp32",
    ("vision predict", "precision"): "fp32",
    ("vision predict", "device"): RunOptions().device,
    ("vision evaluate", "precision"): "fp32",
    ("vision evaluate", "device"): RunOptions().device,
    ("vision evaluate", "split"): "test",
    ("import", "window"): 1000,
    ("import", "bin_size"): 200,
}
"""Defaults that are not in a signature, by command and parameter."""
NOT_VALUES = {"all"}
"""Words of help texts that describe a default."""


def commands() -> Iterator[tuple[str, click.Command]]:
    for name, (module, _) in COMMANDS.items():
        command = getattr(importlib.import_module(module), module.rpartition(".")[2])
        if isinstance(command, click.Group):
            yield from ((f"{name} {sub}", one) for sub, one in command.commands.items())
        else:
            yield name, command


def shown_defaults() -> list[tuple[str, str, str]]:
    """Command, parameter and default of every help text that names one value."""
    return [
        (name, option.name or "", match[1])
        for name, command in commands()
        for option in command.params
        if isinstance(option, click.Option)
        and (match := DEFAULT.search(option.help or ""))
        and match[1] not in NOT_VALUES
    ]


def library_default(command: str, parameter: str) -> object:
    if (command, parameter) in SPECIAL:
        return SPECIAL[command, parameter]
    for owner in OWNERS[command]:
        parameters = inspect.signature(owner).parameters
        if (found := parameters.get(NAMES.get(parameter, parameter))) is not None:
            return found.default
    raise AssertionError(f"no owner of {parameter} of danq {command}")


@pytest.mark.parametrize(("command", "parameter", "shown"), shown_defaults())
def test_help_shows_the_defaults_of_the_library(command, parameter, shown):
    assert shown == str(library_default(command, parameter))


def test_the_command_line_defines_no_defaults():
    defaults = {
        f"danq {name} {option.name}": option.default
        for name, command in commands()
        for option in command.params
        if isinstance(option, click.Option)
        and not option.is_flag
        and option.default not in (None, ())
        and type(option.default).__name__ != "Sentinel"
    }
    assert defaults == {}
