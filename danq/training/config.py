"""The run configuration: what a TOML file may say, and what a run writes down."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError

import danq
from danq.datasets.dataset import Dataset
from danq.errors import InputError
from danq.models import DEFAULT_PRESET, Architecture
from danq.output import replacing
from danq.training.recipe import Recipe, named_recipe, told

CONFIG = "config.toml"
_PATHS = {"file", "genome", "tracks", "exclude", "chrom_map"}


class RunSettings(BaseModel):
    """Where and how a run computes: seed, arithmetic, processes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(default=0, ge=0)
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
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
    def model_changes(self) -> dict[str, Any]:
        """Numbers that differ from the preset's."""
        return {name: value for name, value in self.model.items() if name != "preset"}

    def recipe(self) -> Recipe:
        """The training recipe.

        Raises
        ------
        InputError
            When the recipe's name, a choice's name or its value is not known.
        """
        fields = {name: value for name, value in self.training.items() if name != "recipe"}
        return named_recipe(str(self.training.get("recipe", "default")), **fields)


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
            told(error), file=path, remedy="Known parts are [data], [model], [training] and [run]"
        ) from error
    return config.model_copy(update={"data": _placed(config.data, path.parent)})


def _placed(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Relative paths of a configuration are meant from the folder it lies in."""

    def place(value: Any) -> Any:
        return [place(one) for one in value] if isinstance(value, list) else str(folder / value)

    return {name: place(v) if name in _PATHS else v for name, v in data.items()}


def merged(
    config: str | Path | RunConfig | None,
    *,
    model: Mapping[str, Any],
    training: Mapping[str, Any],
    run: Mapping[str, Any],
) -> RunConfig:
    """One configuration out of a file and of what was said beside it; None says nothing.

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
        raise InputError(f"the run cannot take {said}: {told(error)}") from error
    return RunConfig(
        data=config.data,
        model=config.model | {k: v for k, v in model.items() if v is not None},
        training=config.training | {k: v for k, v in training.items() if v is not None},
        run=settings,
    )


def write_config(
    folder: Path,
    data: Mapping[str, Any],
    dataset: Dataset,
    preset: str,
    numbers: Architecture,
    recipe: Recipe,
    run: RunSettings,
) -> None:
    """Write ``config.toml`` of a run folder: every number resolved, ready for `read_config`.

    Raises
    ------
    InputError
        When it cannot be written.
    """
    tables = {
        "data": {name: _plain(value) for name, value in data.items()},
        "model": {"preset": preset} | numbers.model_dump(mode="json"),
        "training": recipe.model_dump(mode="json"),
        "run": run.model_dump(),
    }
    text = f"# danq {danq.__version__}, dataset sha256 {dataset.digest}\n"
    with replacing(folder / CONFIG, overwrite=True) as temporary:
        temporary.write_text(text + tomli_w.dumps(tables), encoding="utf-8")


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return str(value.resolve()) if isinstance(value, Path) else value
