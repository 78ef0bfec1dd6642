"""Settings of a training run: sections of its TOML file, which are also Python objects."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import tomli_w
from pydantic import Field

from danq._version import __version__
from danq.datasets.dataset import Dataset
from danq.datasets.fold_groups import LEAST, MOST
from danq.errors import InputError
from danq.files.pipes import is_pipe
from danq.files.toml_file import read_toml
from danq.models import DEFAULT_PRESET, PRESETS, Architecture, ModelCard, architecture
from danq.output import replacing
from danq.training.launches import launch_marks
from danq.training.recipe import RECIPES, Recipe, Settings

log = logging.getLogger("danq")

S = TypeVar("S")

CONFIG = "config.toml"
LAUNCH = "# launch "
PRETRAINED = "pretrained"
"""Entry of ``[model]`` that names the model to start from."""

_PATHS = {"file", "genome", "tracks", "signal", "sequences", "exclude", "chrom_map"}
NO_FILES = ("auto", "none")
"""Initial motifs that are not a file."""


class DataSettings:
    """A dataset file, or a genome and peak files to build a dataset from.

    Parameters
    ----------
    genome, tracks
        FASTA file; peak files, their directory or their sheet.
    options
        Other options of `danq.datasets.label_genome`, such as ``signal`` and the fields of
        `danq.datasets.SignalOptions`; ``sequences`` and the fields of `danq.datasets.TableColumns`
        for a table of sequences; or ``file``, a dataset file. None counts as not given. The names
        are checked when the dataset is opened or built.

    Examples
    --------
    >>> data = DataSettings("sacCer3.fa", "peaks/", window=500, valid="chrXV", test="chrIV")
    """

    def __init__(self, genome: Any = None, tracks: Any = None, **options: Any) -> None:
        given = {"genome": genome, "tracks": tracks, **options}
        self.table: dict[str, Any] = {n: v for n, v in given.items() if v is not None}

    def resolved(self, directory: Path) -> DataSettings:
        """The same settings with absolute paths; relative paths start at ``directory``."""

        def resolve(name: str, value: Any) -> Any:
            if isinstance(value, list | tuple):
                return [resolve(name, one) for one in value]
            if name in _PATHS and isinstance(value, str | Path):
                return _absolute(directory / value)
            return value

        return DataSettings(**{name: resolve(name, value) for name, value in self.table.items()})


class ModelSettings:
    """A model preset, the hyperparameters that differ from it, and a model to start from.

    Parameters
    ----------
    preset
        One of `danq.models.PRESETS`. None for the preset and the hyperparameters of
        ``pretrained``; without it, for the preset that suits the dataset.
    pretrained
        Model file or run directory. Layers with the same names and shapes start with its weights,
        and outputs of tracks with the same names too; see `danq.training.matching_layers`.
    hyperparameters
        Fields of `danq.models.Architecture`. None counts as not given.

    Raises
    ------
    InputError
        When the preset or a hyperparameter does not exist.

    Examples
    --------
    >>> ModelSettings("danq", temporal="tcn").architecture.temporal
    'tcn'
    """

    def __init__(
        self,
        preset: str | None = None,
        *,
        pretrained: str | Path | None = None,
        **hyperparameters: Any,
    ) -> None:
        if not isinstance(pretrained, str | Path | None):
            raise InputError(
                f"the model to start from is a {type(pretrained).__qualname__}",
                remedy="Give the path of a model file or run directory",
            )
        path = None if pretrained is None else str(pretrained)
        given = {"preset": preset, PRETRAINED: path, **hyperparameters}
        self.table: dict[str, Any] = {n: v for n, v in given.items() if v is not None}
        self.preset = DEFAULT_PRESET if preset is None else preset
        known = architecture(self.preset).model_dump()
        for name in self._changes:
            if name not in known:
                raise InputError(
                    f"'{name}' is not a hyperparameter of a model",
                    remedy=f"The hyperparameters are {', '.join(known)}",
                )

    @property
    def architecture(self) -> Architecture:
        """The preset with the changed hyperparameters.

        Raises
        ------
        InputError
            When a value is not allowed.
        """
        return architecture(self.preset, **self._changes)

    @property
    def _changes(self) -> dict[str, Any]:
        return {n: v for n, v in self.table.items() if n not in ("preset", PRETRAINED)}

    def resolved(self, directory: Path) -> ModelSettings:
        """The same settings with an absolute path; a relative one starts at ``directory``."""
        path = self.table.get(PRETRAINED)
        if path is None:
            return self
        return ModelSettings(**(self.table | {PRETRAINED: _absolute(directory / path)}))


class RunSettings(Settings):
    """Settings of a run that belong neither to the model nor to the recipe."""

    seed: int = Field(default=0, ge=0, lt=2**63)
    """Random seed of initial weights, data order, augmentation and dropout. On the CPU, the same
    seed and number of threads give the same weights, bit for bit."""
    device: str = "auto"
    """As `danq.device.resolve_device` takes it."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """As `danq.device.resolve_precision` takes it."""
    threads: int | None = Field(default=None, gt=0)
    """CPU threads of each process; None for all cores, which the processes of a node share.
    Rounding depends on the number."""
    devices: int = Field(default=1, gt=0)
    """Processes per node, one per device (distributed data parallel). The batch size of the recipe
    is that of all processes together."""
    nodes: int = Field(default=1, gt=0)
    """Nodes of a cluster."""
    checkpoint_steps: int | None = Field(default=None, gt=0)
    """Steps between checkpoints. A checkpoint is also written every 5 minutes and after each
    epoch."""
    evaluate: bool = True
    """Evaluate the best model on the test split."""
    quiet: bool = False
    """Show no progress and write no log, metrics or event files of TensorBoard."""
    card: ModelCard | None = None
    """Model card for the header of the model file; a run that is resumed keeps its card."""


class FoldSettings(Settings):
    """Folds of a training, see `danq.train_folds`."""

    number: int | None = Field(default=None, ge=LEAST, le=MOST)
    """Number of folds; None for a training without folds."""
    hold_out: str | tuple[str, ...] = ()
    """Contigs, or folds of a table of sequences, that are in no fold."""
    fold: int | None = Field(default=None, gt=0)
    """Number of the fold, in the configuration of the run of one fold."""


@dataclass(frozen=True)
class RunConfig:
    """A run configuration: sections ``[data]``, ``[model]``, ``[recipe]``, ``[run]``, ``[folds]``.

    Each section of a TOML file holds the arguments of the class of the same field. Sections and
    entries may be left out.
    """

    data: DataSettings = field(default_factory=DataSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    recipe: Recipe = field(default_factory=Recipe)
    run: RunSettings = field(default_factory=RunSettings)
    folds: FoldSettings = field(default_factory=FoldSettings)


def read_config(path: str | Path) -> RunConfig:
    """Read a run configuration; relative paths in it start at its directory.

    Raises
    ------
    InputError
        When the file cannot be read, is not TOML, or has an unknown section or name. Values of
        hyperparameters are checked after merging, by `ModelSettings.architecture`.
    """
    path = Path(path)
    sections = read_toml(path)
    kinds = {
        "data": DataSettings,
        "model": ModelSettings,
        "recipe": Recipe,
        "run": RunSettings,
        "folds": FoldSettings,
    }
    settings: dict[str, Any] = {}
    for name, values in sections.items():
        if name == "training":
            raise InputError(
                "a run configuration of an earlier version of danq: it has a section [training]",
                file=path,
                remedy="The section is now [recipe], and its entry 'base' names the recipe",
            )
        if name not in kinds or not isinstance(values, dict):
            raise InputError(
                f"'{name}' is not a section of a run configuration",
                file=path,
                remedy="The sections are [data], [model], [recipe], [run] and [folds]",
            )
        settings[name] = _section(kinds[name], name, values, path)
    config = RunConfig(**settings)
    directory = Path() if is_pipe(path) else path.parent
    return RunConfig(
        config.data.resolved(directory),
        config.model.resolved(directory),
        _resolve_motif_file(config.recipe, directory),
        config.run,
        config.folds,
    )


def read_run_settings(path: Path) -> RunSettings:
    """Read the section ``[run]`` of the ``config.toml`` of a run, on a dataset or on a task.

    Raises
    ------
    InputError
        When the file cannot be read, is not TOML, or the section has an unknown name or value.
    """
    return _section(RunSettings, "run", read_toml(path).get("run", {}), path)


def _section(kind: type[S], name: str, values: Any, path: Path) -> S:
    if not isinstance(values, dict):
        raise InputError(f"'{name}' is not a section of a run configuration", file=path)
    try:
        return kind(**values)
    except InputError as error:
        raise InputError(
            f"[{name}]: {error.problem}",
            file=path,
            remedy=error.remedy or "Correct it, or remove it for the default",
        ) from error


def merge_config(
    config: str | Path | RunConfig | None,
    model: str | ModelSettings | None,
    recipe: str | Recipe | None,
    run: RunSettings | None,
) -> RunConfig:
    """Join a configuration with settings that take precedence over it.

    Only the fields that were given to ``model``, ``recipe`` and ``run`` replace those of
    ``config``. When they name another preset or base recipe than ``config``, a value of ``config``
    is kept if it differs from the preset or base that ``config`` names: the ``config.toml`` of a
    run holds every value.

    Raises
    ------
    InputError
        As `read_config`.
    """
    if config is None:
        config = RunConfig()
    elif not isinstance(config, RunConfig):
        config = read_config(config)
    model = ModelSettings(model) if isinstance(model, str) else model or ModelSettings()
    model = model.resolved(Path.cwd())
    recipe = Recipe(base=recipe) if isinstance(recipe, str) else recipe or Recipe()
    recipe = _resolve_motif_file(recipe, Path.cwd())
    usual_model = PRESETS[config.model.preset].model_dump(mode="json")
    usual_recipe = RECIPES[config.recipe.base].model_dump(mode="json")
    return RunConfig(
        config.data,
        ModelSettings(**_overlay(config.model.table, model.table, usual_model, "preset")),
        Recipe(**_overlay(config.recipe.given(), recipe.given(), usual_recipe, "base")),
        config.run if run is None else config.run.replaced(run),
        config.folds,
    )


def data_settings(
    configured: DataSettings, data: str | Path | Dataset | DataSettings | None
) -> DataSettings:
    """Data of the configuration, replaced by the dataset or the settings that were given."""
    if data is None or isinstance(data, DataSettings):
        given = (data or DataSettings()).resolved(Path.cwd())
        below = dict(configured.table)
        if {"genome", "sequences"} & {*given.table}:
            below.pop("file", None)
        return DataSettings(**(below | given.table))
    file = data.path if isinstance(data, Dataset) else data
    given = DataSettings(file=file).resolved(Path.cwd())
    if configured.table and configured.table != given.table:
        log.warning(
            "A dataset was given, so [data] of the configuration is not used: %s.",
            ", ".join(f"{name} = {value}" for name, value in configured.table.items()),
        )
    return given


def _overlay(
    below: Mapping[str, Any], above: Mapping[str, Any], usual: Mapping[str, Any], key: str
) -> dict[str, Any]:
    """Entries of ``above`` over those of ``below``; ``usual`` is what the name in ``below`` means.

    Parameters
    ----------
    key
        Entry that holds the name: "preset" or "base".
    """
    if key in above and above[key] != below.get(key):
        below = {n: v for n, v in below.items() if n not in usual or v != usual[n]}
    return {**below, **above}


def _absolute(path: Path) -> str:
    # Links are kept: the target of /dev/fd/63 has no path.
    return os.path.abspath(path)


def _resolve_motif_file(recipe: Recipe, directory: Path) -> Recipe:
    if "initial_motifs" not in recipe.model_fields_set or recipe.initial_motifs in NO_FILES:
        return recipe
    file = _absolute(directory / recipe.initial_motifs)
    return Recipe(**(recipe.given() | {"initial_motifs": file}))


def write_config(directory: Path, tables: Mapping[str, Mapping[str, Any]], checksum: str) -> None:
    """Write ``config.toml`` of a run directory, after comments with danq's version and the data's.

    A run that torchrun or SLURM started also gets the marks of `launch_marks`.

    Parameters
    ----------
    directory
        Run directory.
    tables
        Sections, every value resolved.
    checksum
        Checksum of the dataset.

    Raises
    ------
    InputError
        When the file cannot be written.
    """
    text = f"# danq {__version__}, dataset sha256 {checksum}\n"
    text += "".join(f"{LAUNCH}{mark}\n" for mark in launch_marks())
    with replacing(directory / CONFIG, overwrite=True) as temporary:
        temporary.write_text(text + tomli_w.dumps(tables), encoding="utf-8")
