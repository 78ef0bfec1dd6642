"""Settings of the workflow, checked before its first job.

A section has the options of one danq command. They are checked by the parser of that command, so
that a wrong name or value is found before a job runs. Relative paths start at the folder in which
Snakemake runs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import click
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from danq.errors import InputError, describe_validation_error, few
from danq_cli.data import build
from danq_cli.evaluate import evaluate
from danq_cli.predict import predict
from danq_cli.train import train
from danq_cli.variants import variants

COMMANDS: Mapping[str, click.Command] = {
    "dataset": build,
    "train": train,
    "evaluate": evaluate,
    "predict": predict,
    "variants": variants,
}
"""The command that has the options of a section."""

OWN = {
    "dataset": {"genome", "tracks", "signal", "sequences", "overwrite"},
    "train": {"out", "threads", "folds", "resume", "overwrite"},
    "evaluate": {"out", "threads", "overwrite"},
    "predict": {"out", "threads", "genome", "tile", "format", "shard", "resume", "overwrite"},
    "variants": {
        *("out", "threads", "genome", "format", "shard", "resume", "overwrite"),
        *("background", "regions"),
    },
}
"""Options that the workflow sets itself, or that do not apply to its commands."""

VARIANT_FILES = (".vcf.gz", ".vcf.bgz", ".vcf", ".bcf")
SAMPLE = re.compile(r"\w[\w .,+=@-]*")

Options = dict[str, Any]
Name = Annotated[str, Field(min_length=1)]
Names = Name | list[Name]


class Section(BaseModel):
    """A part of the settings; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Resources(Section):
    """What a job of one step may use.

    Attributes
    ----------
    threads
        Number of processor cores.
    mem_mb
        Memory, in MB.
    runtime
        Time, in minutes, or as text such as ``"8h"``.
    gpu
        Number of GPUs.
    """

    threads: int = Field(1, ge=1)
    mem_mb: int = Field(4000, ge=1)
    runtime: Annotated[int, Field(ge=1)] | Annotated[str, Field(min_length=2)] = 60
    gpu: int = Field(0, ge=0)

    def limits(self) -> dict[str, Any]:
        """All but the threads, as Snakemake names them."""
        return self.model_dump(exclude={"threads"})


class StepResources(Section):
    """Resources of a job of each step."""

    dataset: Resources = Resources(mem_mb=16000, runtime=120)
    train: Resources = Resources(threads=2, mem_mb=16000, runtime=1440)
    evaluate: Resources = Resources(threads=2, mem_mb=16000)
    predict: Resources = Resources(threads=1, mem_mb=8000, runtime=240)
    variants: Resources = Resources(threads=1, mem_mb=8000, runtime=240)
    merge: Resources = Resources(mem_mb=8000)
    report: Resources = Resources(mem_mb=16000)

    @model_validator(mode="before")
    @classmethod
    def _keep_defaults(cls, given: Any) -> Any:
        """What a step does not name keeps the default of that step."""
        if not isinstance(given, Mapping):
            return given
        defaults = {name: field.default.model_dump() for name, field in cls.model_fields.items()}
        return {
            step: defaults.get(step, {}) | dict(own) if isinstance(own, Mapping) else own
            for step, own in given.items()
        }


class DatasetSettings(Section):
    """The dataset: what it is built from, or an existing one."""

    tracks: Names | None = None
    signal: Names | None = None
    sequences: Name | None = None
    file: Name | None = None
    options: Options = {}

    @model_validator(mode="after")
    def _one_source(self) -> DatasetSettings:
        sources = [name for name in ("tracks", "signal", "sequences", "file") if self.given(name)]
        if not sources or (len(sources) > 1 and sources != ["tracks", "signal"]):
            raise ValueError(
                f"give tracks, signal, sequences or file; now: {', '.join(sources) or 'none'}"
            )
        if self.file and self.options:
            raise ValueError("options are for a dataset to build, and file is an existing one")
        return self

    def given(self, name: str) -> list[str]:
        """Paths of a source, as a list."""
        value = getattr(self, name)
        return [value] if isinstance(value, str) else list(value or ())


class TrainSettings(Section):
    """Training of one model, or of one model per fold."""

    folds: int | None = Field(None, ge=3)
    options: Options = {}


class EvaluateSettings(Section):
    """Evaluation of one model on held-out windows."""

    options: Options = {}


class PredictSettings(Section):
    """Prediction along the genome."""

    tile: int = Field(ge=1)
    shards: int = Field(1, ge=1)
    format: Literal["bigwig", "tsv", "tsv.gz", "h5", "parquet"] = "bigwig"
    options: Options = {}


class VariantSettings(Section):
    """Scores of the variants of each file of a folder."""

    folder: Name
    shards: int = Field(1, ge=1)
    format: Literal["tsv", "tsv.gz", "h5", "parquet", "vcf.gz"] = "tsv"
    options: Options = {}


class Settings(Section):
    """All settings of a run of the workflow."""

    out: Name = "results"
    genome: Name | None = None
    dataset: DatasetSettings
    train: TrainSettings = TrainSettings()
    evaluate: EvaluateSettings | None = None
    predict: PredictSettings | None = None
    variants: VariantSettings | None = None
    resources: StepResources = StepResources()

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        if self.evaluate is not None and self.train.folds is not None:
            raise ValueError(
                "evaluate is for one model; a training in folds evaluates each window with the "
                "model that never saw it. Remove the section evaluate, or train.folds"
            )
        needs = [name for name in ("predict", "variants") if getattr(self, name) is not None]
        if self.dataset.tracks or self.dataset.signal:
            needs.insert(0, "dataset")
        if needs and self.genome is None:
            raise ValueError(f"genome is not set; {' and '.join(needs)} need it")
        return self

    @property
    def prediction_name(self) -> str:
        """Name of the folder or file of the prediction."""
        kind = "bigwig" if self.predict is None else self.predict.format
        return "tracks" if kind == "bigwig" else f"windows.{kind}"

    def arguments(self, section: str) -> list[str]:
        """Options of a section, as arguments of its command."""
        return _checked_options(section, self._options(section))[0]

    def option_files(self, section: str) -> list[str]:
        """Input files among the options of a section."""
        return _checked_options(section, self._options(section))[1]

    def source_arguments(self) -> list[str]:
        """What the dataset is built from, as arguments of `danq data build`."""
        pairs = [("--genome", self.genome)] if self.dataset.sequences is None else []
        for name in ("tracks", "signal", "sequences"):
            pairs += [(f"--{name}", path) for path in self.dataset.given(name)]
        return [text for pair in pairs for text in pair if text is not None]

    def source_files(self) -> list[str]:
        """Input files of the dataset; a folder counts as the files in it."""
        names = [] if self.dataset.sequences or self.genome is None else [self.genome]
        for source in ("tracks", "signal", "sequences"):
            for name in self.dataset.given(source):
                path = Path(name)
                inside = sorted(path.glob("[!.]*")) if path.is_dir() else [path]
                names += [str(file) for file in inside if file.is_file()]
        return names

    def samples(self) -> dict[str, str]:
        """Files of variants by the name that their outputs have: the file's without extension.

        Raises
        ------
        InputError
            When the folder has no such file, two files have one name, or a name has characters
            that do not belong into names of files.
        """
        if self.variants is None:
            return {}
        folder = Path(self.variants.folder)
        found: dict[str, str] = {}
        for path in sorted(folder.iterdir()):
            end = next((end for end in VARIANT_FILES if path.name.lower().endswith(end)), None)
            if end is None or path.name.startswith("."):
                continue
            name = path.name[: -len(end)]
            if SAMPLE.fullmatch(name) is None:
                raise InputError(
                    f"the name {name!r} has other characters than letters, digits, blanks and "
                    "_.,+=@-, or begins with one of these marks",
                    file=path,
                    remedy="Rename the file",
                )
            if name in found:
                raise InputError(
                    f"has the name {name!r}, as {found[name]} has; their outputs would be the same",
                    file=path,
                    remedy="Rename one of the files, or move it",
                )
            found[name] = str(path)
        if not found:
            raise InputError(
                f"variants.folder: no file ends in {', '.join(VARIANT_FILES)}",
                file=folder,
                remedy="Name a folder with files of variants, or remove the section variants",
            )
        return found

    def _options(self, section: str) -> Options:
        part = getattr(self, section)
        return {} if part is None else part.options

    def _check_paths(self) -> None:
        paths = [("genome", self.genome)] if self.genome is not None else []
        for name in ("tracks", "signal", "sequences", "file"):
            paths += [(f"dataset.{name}", path) for path in self.dataset.given(name)]
        if self.variants is not None:
            paths.append(("variants.folder", self.variants.folder))
        for key, name in [*paths, ("out", self.out)]:
            if re.search(r"[{}\n]", name):
                raise _refusal(f"{key}: {name!r} has a brace or a line break", "Rename it")
            folder = key == "variants.folder"
            if key != "out" and not (Path(name).is_dir() if folder else Path(name).exists()):
                raise _refusal(
                    f"{key}: there is no {'folder' if folder else 'file or folder'} {name!r} in "
                    f"{Path.cwd()}",
                    "Correct the path, or run Snakemake in another folder",
                )


SECTIONS: Mapping[str, type[Section]] = {
    "dataset": DatasetSettings,
    "train": TrainSettings,
    "evaluate": EvaluateSettings,
    "predict": PredictSettings,
    "variants": VariantSettings,
    "resources": StepResources,
    "limits": Resources,
}
"""The sections, and the limits of a step."""


def read_settings(config: Mapping[str, Any]) -> Settings:
    """Check the configuration of Snakemake.

    Raises
    ------
    InputError
        When a key is unknown, a value is invalid, a path does not exist, or a section has an
        option that its command does not have or that the workflow sets.
    """
    if not config:
        raise _refusal("there are no settings", "Name a file of settings with --configfile")
    try:
        settings = Settings(**config)
    except ValidationError as error:
        example = Path(__file__).with_name("config.yaml")
        raise _refusal(
            describe_validation_error(error), f"{example} describes all settings"
        ) from error
    settings._check_paths()
    for section in COMMANDS:
        settings.arguments(section)
    settings.samples()
    return settings


def _refusal(problem: str, remedy: str) -> InputError:
    return InputError(f"settings of the workflow: {problem}", remedy=remedy)


def _long_options(section: str) -> dict[str, click.Option]:
    """Options of the command of a section, without dashes."""
    return {
        name.removeprefix("--"): option
        for option in COMMANDS[section].params
        if isinstance(option, click.Option)
        for name in option.opts
        if name.startswith("--")
    }


def _allowed(section: str) -> dict[str, click.Option]:
    """Options of the command of a section that users may set."""
    own = OWN[section]
    if section == "train":
        # The dataset is already built.
        own = own | (_long_options("dataset").keys() - {"seed"})
    return {name: option for name, option in _long_options(section).items() if name not in own}


def _checked_options(section: str, options: Options) -> tuple[list[str], list[str]]:
    """Arguments of a command, and the input files among them."""
    allowed = _allowed(section)
    command = COMMANDS[section]
    arguments: list[str] = []
    files: list[str] = []
    for name, value in options.items():
        place = f"{section}.options.{name}"
        option = allowed.get(name)
        if option is None:
            known = name in _long_options(section)
            reason = "the workflow does not pass on" if known else "the command does not have"
            raise _refusal(
                f"{place}: {reason} this option", f"The options are {', '.join(sorted(allowed))}"
            )
        if option.is_flag:
            arguments += _flag(place, option, value)
            continue
        for text in _texts(place, option, value):
            try:
                option.type.convert(text, option, click.Context(command))
            except click.BadParameter as error:
                problem = error.message.rstrip(".")
                raise _refusal(f"{place}: {problem}", "Correct the value") from error
            arguments += [f"--{name}", text]
            if isinstance(option.type, click.Path) and option.type.exists:
                files.append(text)
    return arguments, files


def _flag(place: str, option: click.Option, value: Any) -> Sequence[str]:
    if not isinstance(value, bool):
        raise _refusal(f"{place}: {value!r} is not true or false", "Write true or false")
    if value:
        return [next(name for name in option.opts if name.startswith("--"))]
    return option.secondary_opts[:1]


def _texts(place: str, option: click.Option, value: Any) -> list[str]:
    """Values of an option, as text: several only where it may be repeated."""
    values = value if isinstance(value, list) else [value]
    if len(values) != 1 and not option.multiple:
        raise _refusal(f"{place}: {few(map(str, values))} are {len(values)} values", "Give one")
    for one in values:
        if isinstance(one, bool) or not isinstance(one, str | int | float):
            raise _refusal(f"{place}: {one!r} is not text or a number", "Give text or a number")
    return [str(one) for one in values]
