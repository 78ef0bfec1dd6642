"""The run configuration: what a TOML file may say, and what a run writes down."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from danq._version import __version__
from danq.datasets.dataset import Dataset
from danq.errors import InputError, describe_validation_error
from danq.models import DEFAULT_PRESET, PRESETS, Architecture, architecture
from danq.output import replacing
from danq.training.recipe import DEFAULT_RECIPE, RECIPES, Recipe, named_recipe

CONFIG = "config.toml"
_PATHS = {"file", "genome", "tracks", "exclude", "chrom_map"}
_NO_FILES = ("auto", "none")


class RunSettings(BaseModel):
    """Where and how a run computes: seed, arithmetic, threads, processes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(default=0, ge=0, lt=2**63)
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    threads: int | None = Field(default=None, gt=0)
    """CPU threads; None for all cores. Sums may be rounded otherwise with another number."""
    devices: int = Field(default=1, gt=0)
    nodes: int = Field(default=1, gt=0)


class RunConfig(BaseModel):
    """What a run configuration file (TOML) may say; every part may be left out.

    ``[data]`` holds a dataset ``file``, or ``genome``, ``tracks`` and options of
    `danq.datasets.build_dataset`; ``[model]`` a ``preset`` and changed
    numbers of its architecture, ``[training]`` a ``recipe`` and changed choices of it, ``[run]``
    the fields of `RunSettings`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: dict[str, Any] = {}
    model: dict[str, Any] = {}
    training: dict[str, Any] = {}
    run: RunSettings = RunSettings()

    @property
    def preset(self) -> str:
        """Name of the model preset."""
        return str(self.model.get("preset", DEFAULT_PRESET))

    @property
    def recipe_name(self) -> str:
        """Name of the recipe."""
        return str(self.training.get("recipe", DEFAULT_RECIPE))

    def architecture(self) -> Architecture:
        """Numbers of the model.

        Raises
        ------
        InputError
            When the preset's name, a number's name or its value is not known.
        """
        fields = {name: value for name, value in self.model.items() if name != "preset"}
        return architecture(self.preset, **fields)

    def recipe(self) -> Recipe:
        """The training recipe.

        Raises
        ------
        InputError
            When the recipe's name, a choice's name or its value is not known.
        """
        fields = {name: value for name, value in self.training.items() if name != "recipe"}
        return named_recipe(self.recipe_name, **fields)


def read_config(path: str | Path) -> RunConfig:
    """Read a run configuration; relative paths in it start at its folder.

    Raises
    ------
    InputError
        When the file is missing, not TOML, or holds a part that is not known.
    """
    path = Path(path)
    try:
        config = RunConfig.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(f"cannot read it: {error.strerror}", file=path) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"not valid TOML: {error}", file=path) from error
    except ValidationError as error:
        raise InputError(
            describe_validation_error(error),
            file=path,
            remedy="Known parts are [data], [model], [training] and [run]",
        ) from error
    return config.model_copy(
        update={
            "data": placed(config.data, path.parent),
            "training": _with_motif_file(config.training, path.parent),
        }
    )


def placed(data: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The ``[data]`` part as TOML keeps it, its paths from the root.

    Parameters
    ----------
    data
        Dataset file, or options of `danq.datasets.build_dataset`; None says nothing.
    folder
        Where relative paths start.
    """

    def place(name: str, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [place(name, one) for one in value]
        if name in _PATHS and isinstance(value, str | Path):
            return str((folder / value).resolve())
        return value

    return {name: place(name, value) for name, value in data.items() if value is not None}


def _with_motif_file(training: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The ``[training]`` part with its motif file, if it names one, from the root."""
    file = training.get("seed_filters")
    if not isinstance(file, str | Path) or file in _NO_FILES:
        return dict(training)
    return {**training, "seed_filters": str((folder / file).resolve())}


def merged(
    config: str | Path | RunConfig | None,
    *,
    model: Mapping[str, Any],
    training: Mapping[str, Any],
    run: Mapping[str, Any],
) -> RunConfig:
    """One configuration out of a file and of what was said beside it; None says nothing.

    Where another preset or recipe is named beside the file, those of the file's numbers stay that
    differ from the preset or recipe that it names itself: a run's own ``config.toml`` holds all.

    Raises
    ------
    InputError
        As `read_config`, or when a setting of the run is not valid.
    """
    if config is None:
        config = RunConfig()
    elif not isinstance(config, RunConfig):
        config = read_config(config)
    said = {name: value for name, value in run.items() if value is not None}
    try:
        settings = RunSettings.model_validate(config.run.model_dump() | said)
    except ValidationError as error:
        raise InputError(
            f"the run cannot take {said}: {describe_validation_error(error)}"
        ) from error
    presets, recipes = (
        {name: one.model_dump(mode="json") for name, one in known.items()}
        for known in (PRESETS, RECIPES)
    )
    preset, recipe = presets.get(config.preset, {}), recipes.get(config.recipe_name, {})
    return RunConfig(
        data=config.data,
        model=_overlaid(config.model, model, preset, "preset"),
        training=_overlaid(
            config.training, _with_motif_file(training, Path.cwd()), recipe, "recipe"
        ),
        run=settings,
    )


def _overlaid(
    table: Mapping[str, Any], said: Mapping[str, Any], usual: Mapping[str, Any], key: str
) -> dict[str, Any]:
    """A table of a file under what was said beside it; ``usual`` is what its own name means."""
    said = {name: value for name, value in said.items() if value is not None}
    if said.get(key, table.get(key)) != table.get(key):
        table = {name: v for name, v in table.items() if name not in usual or v != usual[name]}
    return {**table, **said}


def write_config(
    folder: Path,
    data: Mapping[str, Any],
    dataset: Dataset,
    settings: RunConfig,
    run: RunSettings,
) -> None:
    """Write ``config.toml`` of a run folder: every number resolved, ready for `read_config`.

    Parameters
    ----------
    folder
        Run folder.
    data
        Where the data set comes from, as `placed` gives it.
    dataset
        The labelled windows.
    settings
        Model and recipe.
    run
        Settings of the run, precision and threads resolved.

    Raises
    ------
    InputError
        When it cannot be written.
    """
    recipe = settings.recipe().settled(len(dataset.indices("train")))
    tables = {
        "data": dict(data),
        "model": {"preset": settings.preset} | settings.architecture().model_dump(mode="json"),
        "training": {"recipe": settings.recipe_name} | recipe.model_dump(mode="json"),
        "run": run.model_dump(exclude_none=True),
    }
    write_tables(folder, tables, dataset.sha256)


def write_tables(folder: Path, tables: Mapping[str, Any], digest: str) -> None:
    """Write ``config.toml`` of a run folder, under a line with danq's version and the data's.

    Raises
    ------
    InputError
        When it cannot be written.
    """
    text = f"# danq {__version__}, dataset sha256 {digest}\n"
    with replacing(folder / CONFIG, overwrite=True) as temporary:
        temporary.write_text(text + tomli_w.dumps(tables), encoding="utf-8")
