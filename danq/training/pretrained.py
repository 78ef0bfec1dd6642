"""The model that a training starts from, and what it takes from it."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from danq.core import CnnRnn
from danq.errors import InputError, few
from danq.files.json_file import read_json
from danq.models import (
    DEFAULT_PRESET,
    PRESETS,
    Architecture,
    Model,
    ModelSpec,
    build_module,
    load_model,
)
from danq.models.stored_model import RUN_MODEL
from danq.models.training_record import (
    PRETRAINING,
    Pretraining,
    parse_pretrainings,
    stored_pretrainings,
    stored_splits,
)
from danq.output import replacing
from danq.provenance import sha256_of
from danq.training.config import NO_FILES, PRETRAINED, ModelSettings, RunConfig
from danq.training.matching_layers import Match, copy_layers, match_layers, shape_text
from danq.training.optimizer import TakenLayers
from danq.training.recipe import Recipe
from danq.training.session import Session

RECORD = "pretrained.json"
"""File of a run directory: the models that a training started from, the last one directly."""

_TRAIN_AGAIN = "Copy it back, or train the model again: overwrite this run"

FROZEN = {"none": (), "encoder": ("encoder",), "temporal": ("encoder", "temporal")}
"""Parts of a model that a recipe freezes."""

log = logging.getLogger("danq")


@dataclass(frozen=True)
class Pretrained:
    """A model that a training starts from.

    Attributes
    ----------
    model
        The model; None where a run resumes, which has its weights in the checkpoint.
    records
        Models that it started from itself; of a run that resumes, also this model.
    """

    model: Model | None
    records: tuple[Pretraining, ...]

    def with_architecture(self, settings: RunConfig) -> RunConfig:
        """Settings with the hyperparameters of the model, unless a preset is named."""
        table = settings.model.table
        if self.model is None or "preset" in table:
            return settings
        spec = self.model.spec
        preset = spec.preset if spec.preset in PRESETS else DEFAULT_PRESET
        own = {"preset": preset, **spec.architecture.model_dump(mode="json")}
        return replace(settings, model=ModelSettings(**(own | table)))

    def start(self, spec: ModelSpec) -> Start:
        """What a new model with a header takes from this one."""
        if self.model is None:
            return Start(None, None, self.records)
        source, file = self.model.spec, self.model.path
        assert file is not None
        with torch.device("meta"):  # without memory
            module = build_module(spec.architecture, len(spec.tracks), spec.window, spec.targets)
        match = match_layers(module, spec, self.model.module, source)
        record = Pretraining(
            model="/".join(file.absolute().parts[-2:]),
            sha256=self.model.sha256,
            data_sha256=source.data_sha256,
            splits=stored_splits(source.training, file),
            layers=match.origins,
            tracks=match.tracks,
        )
        return Start(self.model, match, (*self.records, record))


@dataclass(frozen=True)
class Start:
    """What a new model takes from a pretrained one.

    Attributes
    ----------
    model, match
        The pretrained model and what is taken; None where a run resumes.
    records
        The pretrained model, after the models that it started from itself.
    """

    model: Model | None
    match: Match | None
    records: tuple[Pretraining, ...]

    @property
    def file(self) -> Path | None:
        """File of the pretrained model."""
        return None if self.model is None else self.model.path

    def check(self, recipe: Recipe, architecture: Architecture) -> None:
        """Check that something is taken, and that the recipe does not contradict it.

        Raises
        ------
        InputError
            When the models share no layer, a layer is new that the recipe freezes, or the recipe
            names motifs for filters that are taken.
        """
        origins = self.records[-1].layers
        if all(one.origin == "new" for one in origins):
            reasons = [f"{one.name} {one.detail}" for one in origins]
            raise InputError(
                f"shares no layer with the new model: {few(reasons)}",
                file=self.file,
                remedy="Leave out the preset and the hyperparameters: they are then those of this "
                "model. Or start from another model",
            )
        if recipe.freeze == "temporal" and architecture.temporal == "none":
            raise InputError(
                "there is no temporal layer to freeze",
                file=self.file,
                remedy="Freeze the encoder, or nothing",
            )
        for one in origins:
            if one.origin != "taken" and _is_frozen(one.name, recipe):
                raise InputError(
                    f"the layer {one.name} is new and cannot be frozen: it {one.detail}",
                    file=self.file,
                    remedy="Freeze fewer layers, or leave out the hyperparameters that differ from "
                    "those of this model",
                )
        if recipe.initial_motifs not in NO_FILES and origins[0].origin == "taken":
            raise InputError(
                f"the filters are taken from this model, so that the motifs of "
                f"{recipe.initial_motifs} initialise none",
                file=self.file,
                remedy="Leave out the initial motifs, or the model to start from",
            )

    def without_taken(self, recipe: Recipe) -> Recipe:
        """The recipe, without initial motifs if the filters are taken."""
        taken = self.records[-1].layers[0].origin == "taken"
        return recipe.model_copy(update={"initial_motifs": "none"}) if taken else recipe

    def copy_into(self, module: CnnRnn) -> None:
        """Copy the layers that are taken into a new model."""
        if self.match is not None and self.model is not None:
            copy_layers(self.match, module, self.model.module)

    def in_header(self, spec: ModelSpec) -> ModelSpec:
        """A header with the records."""
        return spec.model_copy(update={"training": spec.training | {PRETRAINING: self._content()}})

    def identity(self) -> dict[str, str]:
        """What a resumed run must share about the models that it started from."""
        return {PRETRAINED: hashlib.sha256(json.dumps(self._content()).encode()).hexdigest()}

    def taken(self, module: CnnRnn, recipe: Recipe) -> TakenLayers:
        """The parameters that are taken, and the parts that are never trained."""
        layers = tuple(f"{one.name}." for one in self.records[-1].layers if one.origin == "taken")
        names = [name for name, _ in module.named_parameters() if name.startswith(layers)]
        return TakenLayers(frozenset(names), recipe.pretrained_lr, FROZEN[recipe.freeze])

    def write(self, directory: Path) -> None:
        """Write `RECORD` of a run directory.

        Raises
        ------
        InputError
            When it cannot be written.
        """
        with replacing(directory / RECORD, overwrite=True) as temporary:
            temporary.write_text(json.dumps(self._content(), indent=1) + "\n", encoding="utf-8")

    def report(self, recipe: Recipe, spec: ModelSpec) -> None:
        """Log a table of the layers, and what differs in the pretrained model.

        Parameters
        ----------
        recipe
            Learning rate of the layers that are taken, and those that are frozen.
        spec
            Header of the new model.
        """
        if self.match is None or self.model is None:
            return
        rate = f"learning rate x {recipe.pretrained_lr:g}"
        rows = []
        for one in self.match.origins:
            detail = one.detail
            if one.origin == "taken":
                detail = "frozen" if _is_frozen(one.name, recipe) else rate
            origin = {"tracks": "some rows"}.get(one.origin, one.origin)
            rows.append((one.name, shape_text(one.shape), origin, detail))
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        lines = ["  ".join([*map(str.ljust, row[:3], widths), row[3]]).rstrip() for row in rows]
        new = sum(one.origin == "new" for one in self.match.origins)
        log.info("starting from %s: %d layers taken, %d new", self.file, len(rows) - new, new)
        for line in lines:
            log.info("  %s", line)
        _report_differences(spec, self.model.spec, self.file)
        if self.match.other_kind:
            log.warning(
                "%d tracks have the name of a track of %s, but another loss, transform or bins; "
                "their outputs are new: %s",
                len(self.match.other_kind),
                self.file,
                few(self.match.other_kind),
            )

    def _content(self) -> list[dict[str, Any]]:
        return [one.model_dump(mode="json") for one in self.records]


def _report_differences(spec: ModelSpec, source: ModelSpec, file: Path | None) -> None:
    """Log other hyperparameters, another window, and sequences that only one model orients."""
    ours, theirs = spec.architecture.model_dump(), source.architecture.model_dump()
    changes = [f"{name} is {ours[name]}, not {theirs[name]}" for name in ours]
    changes = [one for one, name in zip(changes, ours, strict=True) if ours[name] != theirs[name]]
    if changes:
        log.warning("hyperparameters differ from those of %s: %s", file, few(changes, 6, "; "))
    if spec.window != source.window:
        log.info("the window is %d bp, that of %s %d bp", spec.window, file, source.window)
    if spec.oriented != source.oriented:
        one, other = (
            "oriented sequences" if oriented else "both strands"
            for oriented in (spec.oriented, source.oriented)
        )
        log.info("the training is on %s, that of %s was on %s", one, file, other)


def _is_frozen(layer: str, recipe: Recipe) -> bool:
    return layer.partition(".")[0] in FROZEN[recipe.freeze]


def open_pretrained(
    session: Session, settings: RunConfig, given: str | ModelSettings | None
) -> Pretrained | None:
    """The model that a training starts from, or None.

    Parameters
    ----------
    session
        A run that resumes reads `RECORD` in place of the model.
    settings
        All settings of the run.
    given
        The model of this call; a model that a run is resumed with must be the one that it started
        from.

    Raises
    ------
    InputError
        As `load_model`; when the model is in the directory of a run that is replaced; or when a run
        is resumed with another model, or its record is missing or damaged.
    """
    path = settings.model.table.get(PRETRAINED)
    if path is None:
        if settings.recipe.freeze != "none":
            raise InputError(
                f"the recipe freezes the {settings.recipe.freeze}, and the training starts from no "
                "other model",
                remedy="Give a model to start from, or freeze nothing",
            )
        return None
    if session.resuming:
        named = given.table.get(PRETRAINED) if isinstance(given, ModelSettings) else None
        if named is not None:
            _check_same(Path(named), session.directory)
        return Pretrained(None, _read_record(session.directory))
    model = load_model(path, device="cpu")
    file = model.path
    assert file is not None
    if not session.resume and session.directory.resolve() in file.resolve().parents:
        raise InputError(
            f"is stored in the run directory {session.directory}, which would be emptied",
            file=file,
            remedy="Choose another run directory",
        )
    return Pretrained(model, tuple(stored_pretrainings(model.spec.training, file)))


def _read_record(directory: Path) -> tuple[Pretraining, ...]:
    file = directory / RECORD
    if not file.is_file():
        raise InputError(
            "is missing: it names the layers that this run took from another model",
            file=file,
            remedy=_TRAIN_AGAIN,
        )
    content = read_json(file, "the record of a pretrained model", remedy=_TRAIN_AGAIN)
    records = parse_pretrainings(content, file)
    if not records:
        raise InputError("names no model", file=file, remedy=_TRAIN_AGAIN)
    return tuple(records)


def _check_same(path: Path, directory: Path) -> None:
    """Refuse to resume a run with another model than the one that it started from."""
    file = path / RUN_MODEL if path.is_dir() else path
    record = _read_record(directory)[-1] if (directory / RECORD).is_file() else None
    if record is not None and sha256_of(file) == record.sha256:
        return
    began = "from initial weights" if record is None else f"from {record.model}"
    raise InputError(
        f"is not the model that the run {directory} started from: it started {began}",
        file=file,
        remedy="Leave the model out, because a resumed run does not need it; or choose another run "
        "directory",
    )
