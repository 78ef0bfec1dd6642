"""Presets, architectures, initial weights and model files of sequence models."""

from danq.models.architecture import Architecture, Stage, StepStage, build_module
from danq.models.ensemble_file import load_ensemble
from danq.models.initialisation import (
    first_layer,
    first_layers,
    initialise_danq,
    initialise_jaspar,
    set_base_rates,
    set_initial_outputs,
)
from danq.models.model_card import ModelCard, read_card
from danq.models.model_file import (
    Model,
    ModelSpec,
    load_model,
    read_spec,
    save_model,
    untrained,
)
from danq.models.model_summary import summary
from danq.models.presets import DEFAULT_PRESET, PRESETS, architecture, build
from danq.models.run_options import RunOptions
from danq.models.targets import TargetGroup

__all__ = [
    "DEFAULT_PRESET",
    "PRESETS",
    "Architecture",
    "Model",
    "ModelCard",
    "ModelSpec",
    "RunOptions",
    "Stage",
    "StepStage",
    "TargetGroup",
    "architecture",
    "build",
    "build_module",
    "first_layer",
    "first_layers",
    "initialise_danq",
    "initialise_jaspar",
    "load_ensemble",
    "load_model",
    "read_card",
    "read_spec",
    "save_model",
    "set_base_rates",
    "set_initial_outputs",
    "summary",
    "untrained",
]
