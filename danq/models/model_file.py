"""The model file: safetensors with the architecture, tracks and provenance in its header."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import nn

from danq.amounts import AmountUnit
from danq.core import CnnRnn
from danq.errors import InputError
from danq.models.architecture import MAX_TRACKS, MAX_WINDOW, Architecture, build_module
from danq.models.model_card import FilledModelCard, stored_card
from danq.models.run_options import RunOptions
from danq.models.stored_model import (
    FORMAT_VERSION,
    StoredModel,
    load_weights,
    parse_spec,
    read_stored,
    sized_for,
    write_stored,
)
from danq.models.targets import Loss, TargetGroup, check_groups
from danq.names import name_problem
from danq.notebook_display import Display, FirstRows, display_html, display_text
from danq.typing import Location


class ModelSpec(BaseModel):
    """Header of a model file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int = FORMAT_VERSION
    created_by: str = ""
    preset: str
    architecture: Architecture
    tracks: tuple[str, ...] = Field(min_length=1, max_length=MAX_TRACKS)
    groups: tuple[str, ...]
    """Group of each track."""
    targets: tuple[TargetGroup, ...] = Field(default=(), max_length=MAX_TRACKS)
    """Groups of consecutive tracks that share a loss; none if all tracks are peaks."""
    units: tuple[AmountUnit, ...] = Field(default=(), max_length=MAX_TRACKS)
    """Unit of each track of amounts, in the order of the tracks."""
    oriented: bool = False
    """Whether only the given strand of a sequence has a meaning, as for designed sequences."""
    window: int = Field(gt=0, le=MAX_WINDOW)
    """Input length L in bases."""
    bin: int = Field(gt=0)
    """Bases in the middle of the window that the labels describe."""
    data_sha256: str = ""
    """SHA-256 checksum of the training dataset."""
    training: dict[str, Any] = {}
    """Recipe and results of training."""
    temperature: float | None = Field(default=None, ge=0.01, le=100)
    """Divides the logits of the stored weights, see `danq.evaluation.temperature`; None for a model
    that is not scaled."""

    @model_validator(mode="after")
    def _check_names(self) -> ModelSpec:
        for kind, names in (("track", self.tracks), ("group", filter(None, self.groups))):
            for name in names:
                if (problem := name_problem(name)) is not None:
                    raise ValueError(f"the name {name[:40]!r} of a {kind} {problem}")
        if len(set(self.tracks)) < len(self.tracks):
            raise ValueError("two tracks have the same name")
        if len(self.groups) != len(self.tracks):
            raise ValueError(f"{len(self.groups):,} groups for {len(self.tracks):,} tracks")
        check_groups(self.targets, len(self.tracks))
        amounts = self.kinds.count("amounts")
        if len(self.units) != amounts:
            raise ValueError(f"{len(self.units):,} units for {amounts:,} tracks of amounts")
        if self.temperature is not None and self.has_amounts:
            raise ValueError("a temperature for tracks that are not peaks")
        if self.bin > self.window:
            raise ValueError(f"a bin of {self.bin} bp in a window of {self.window} bp")
        return self

    @property
    def has_amounts(self) -> bool:
        """Whether a track measures amounts."""
        return any(group.loss != "binary" for group in self.targets)

    @property
    def losses(self) -> tuple[Loss, ...]:
        """Loss of each track."""
        if not self.targets:
            return ("binary",) * len(self.tracks)
        return tuple(group.loss for group in self.targets for _ in range(group.tracks))

    @property
    def kinds(self) -> tuple[str, ...]:
        """What each track measures: "peaks" or "amounts"."""
        return tuple("peaks" if loss == "binary" else "amounts" for loss in self.losses)

    @property
    def track_units(self) -> tuple[AmountUnit | None, ...]:
        """Unit of each track; None for peaks."""
        units = iter(self.units)
        return tuple(None if kind == "peaks" else next(units) for kind in self.kinds)


@dataclass(frozen=True)
class Model:
    """A module with its header and the options of its use.

    Attributes
    ----------
    module
        Codes ``(B, window)`` to logits ``(B, K)``, or to the outputs of ``spec.targets``, in
        evaluation mode on the CPU. `load_model` has divided the weights of the last layer by
        ``spec.temperature``, if there is one.
    spec
        Tracks, window geometry and provenance.
    path
        The file that the model was loaded from, or None.
    sha256
        SHA-256 checksum of that file, or "".
    options
        How the model runs; an oriented model on the forward strand, and a model of amounts in fp32
        unless the precision is chosen.
    """

    module: CnnRnn
    spec: ModelSpec
    path: Path | None = None
    sha256: str = ""
    options: RunOptions = field(default_factory=RunOptions)
    tracks: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tracks", self.spec.tracks)
        if self.spec.oriented:
            object.__setattr__(self, "options", replace(self.options, strand="forward"))
        # bfloat16 would round amounts to two or three digits.
        if self.spec.has_amounts and self.options.precision == "auto":
            object.__setattr__(self, "options", replace(self.options, precision="fp32"))

    __repr__ = display_text
    _repr_html_ = display_html

    def _display(self) -> Display:
        spec, options = self.spec, self.options
        parameters = sum(one.numel() for one in self.module.parameters())
        facts = {
            "File": self.path,
            "Preset": spec.preset,
            "Window": f"{spec.window:,} bp; labels describe the middle {spec.bin:,} bp",
            "Parameters": parameters,
            "Strand": options.strand,
            "Device": options.device,
            "Precision": options.precision,
            "Trained on": spec.data_sha256,
            "Written by": spec.created_by,
            "SHA-256": self.sha256,
        }
        units = ["peaks" if unit is None else str(unit) for unit in spec.track_units]
        tracks = {"track": spec.tracks, "group": spec.groups, "measures": units}
        count = len(spec.tracks)
        summary = (
            f"{spec.preset}, {count:,} track{'s' * (count != 1)}, window of {spec.window:,} bp"
        )
        return Display(summary, facts=facts, tables=[FirstRows.of("Tracks", tracks)])

    @property
    def window(self) -> int:
        """Input length in bases."""
        return self.spec.window

    @property
    def card(self) -> FilledModelCard | None:
        """Card of the model; None if it has none."""
        return stored_card(self.spec.training, self.path)

    def with_options(self, **changes: Any) -> Model:
        """The same model with other settings of `RunOptions`.

        Weights are shared with this model.

        Raises
        ------
        InputError
            When a setting does not exist or a value is not allowed, or both strands are asked of
            an oriented model.

        Examples
        --------
        >>> forward = model.with_options(strand="forward", batch_size=64)  # doctest: +SKIP
        """
        _check_strand(self.spec, changes, self.path)
        return replace(self, options=replace(self.options, **_checked(changes)))


def check_loaded(model: object, expected: str, *, remedy: str) -> None:
    """Check that an argument is a loaded model; ``expected`` names what the function takes.

    Raises
    ------
    InputError
        When it is a path or another object.
    """
    if isinstance(model, str | Path):
        raise InputError(
            f"the model is a path ('{model}') and is not loaded",
            remedy=f"Use danq.load('{model}')",
        )
    if not hasattr(model, "module") or not hasattr(model, "spec"):
        raise InputError(
            f"the model is a {type(model).__qualname__}, not {expected} of danq.load",
            remedy=remedy,
        )


def save_model(path: Location, module: nn.Module, spec: BaseModel) -> str:
    """Write a model file. A failed write leaves no partial file.

    Parameters
    ----------
    path
        The output file; an existing one is replaced.
    module
        The model, with weights that are not divided by the temperature.
    spec
        Header: a `ModelSpec`, or that of another kind of model.

    Returns
    -------
    SHA-256 checksum of the file.

    Raises
    ------
    InputError
        When the file cannot be written.
    """
    return write_stored(path, module, spec)


def read_spec(path: Location) -> ModelSpec:
    """Read the header of a model file, or of the best model of a run directory.

    Raises
    ------
    InputError
        As `load_model`, except for weights that do not fit.
    """
    return _spec(read_stored(path))


def load_model(path: Location, **options: Any) -> Model:
    """Load a model file, or the best model of a run directory.

    The file is read once. Its checksum is verified before its content is used.

    Parameters
    ----------
    path
        Model file or run directory.
    options
        How the model runs: ``device``, ``precision``, ``batch_size``, ``threads``, ``strand``,
        ``tolerance``, ``measured``; see `RunOptions`.

    Raises
    ------
    InputError
        When there is no such file, it is not a danq model, it is damaged, its format version is not
        supported, its weights do not fit its architecture, or one of them is NaN or infinite; when
        both strands are asked of an oriented model.
    """
    settings = RunOptions(**_checked(options))
    model = model_from(read_stored(path), settings)
    _check_strand(model.spec, options, model.path)
    return model


def model_from(stored: StoredModel, options: RunOptions | None = None) -> Model:
    """Build the model of a file that was read.

    Raises
    ------
    InputError
        As `load_model`.
    """
    spec = _spec(stored)
    # Without memory: to initialise the weights of DanQ takes longer than to read the file.
    with torch.device("meta"), sized_for(stored):
        module = build_module(spec.architecture, len(spec.tracks), spec.window, spec.targets)
    weights = load_weights(module, stored)
    if spec.temperature is not None:
        _divide_logits(weights, spec.temperature)
    return Model(weights, spec, stored.file, stored.sha256, options or RunOptions())


def _divide_logits(module: CnnRnn, temperature: float) -> None:
    """Divide the weights and the bias of the last layer, so that every use sees scaled logits."""
    with torch.no_grad():
        for value in module.head.output.parameters():  # type: ignore[union-attr]
            value.div_(temperature)


def _check_strand(spec: ModelSpec, options: dict[str, Any], path: Path | None) -> None:
    if spec.oriented and options.get("strand") == "both":
        raise InputError(
            "both strands were asked for, but the model was trained on oriented sequences, whose "
            "reverse complements are other sequences",
            file=path,
            remedy="Leave the strand out, or choose 'forward'",
        )


def _spec(stored: StoredModel) -> ModelSpec:
    if stored.is_vision:
        raise InputError(
            f"a model of the vision task '{stored.fields['task']}', not a sequence model",
            file=stored.file,
            remedy="Use the functions of danq.vision",
        )
    return parse_spec(ModelSpec, stored)


def _checked(options: dict[str, Any]) -> dict[str, Any]:
    known = [one.name for one in dataclasses.fields(RunOptions)]
    for name in options:
        if name not in known:
            raise InputError(
                f"a model has no option '{name}'", remedy=f"Choose from {', '.join(known)}"
            )
    return options


def untrained(
    preset: str,
    architecture: Architecture,
    tracks: tuple[str, ...],
    window: int,
    bin: int,
    targets: tuple[TargetGroup, ...] = (),
    units: tuple[AmountUnit, ...] = (),
) -> Model:
    """A model with initial weights, for tests and for counting its parameters."""
    from danq.models.initialisation import initialise_danq

    amounts = sum(group.tracks for group in targets if group.loss != "binary")
    spec = ModelSpec(
        preset=preset,
        architecture=architecture,
        tracks=tracks,
        groups=("",) * len(tracks),
        targets=targets,
        units=units or (AmountUnit(),) * amounts,
        window=window,
        bin=bin,
    )
    module = build_module(architecture, len(tracks), window, targets)
    with torch.no_grad():
        initialise_danq(module)
    return Model(module.eval(), spec)
