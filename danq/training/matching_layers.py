"""Layers that two sequence models share by name and shape, and tracks that they share by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from danq.core import CnnRnn, ConvEncoder, NormalisedEncoder
from danq.core.heads import JointHeads, Mlp, MultiLabel, Pooled, Profiles
from danq.core.parallel_filters import StepConv, TemporalStack
from danq.models import Architecture, ModelSpec, TargetGroup
from danq.models.training_record import LayerOrigin

OUTPUT, PROFILES = "head.output", "profiles"
"""Keys of the layers with rows for each track."""

_FUNCTION = {
    "encoder": ("both_strands", "members"),
    "temporal": ("temporal", "bidirectional", "gates", "second_direction", "members"),
    "pooling": ("pooling",),
    "head": ("pooling", "members"),
}
"""Hyperparameters that change the meaning of weights, but not their shape."""


class Copy(NamedTuple):
    """Values of a tensor that are taken: all, or some rows."""

    target: str
    source: str
    target_rows: Sequence[int] | None = None
    source_rows: Sequence[int] | None = None


@dataclass(frozen=True)
class Match:
    """What a model takes from another one.

    Attributes
    ----------
    origins
        Each layer of the new model.
    copies
        Tensors that are copied.
    tracks
        Tracks whose outputs are taken.
    other_kind
        Tracks of both models whose values have another loss or transform.
    """

    origins: tuple[LayerOrigin, ...]
    copies: tuple[Copy, ...]
    tracks: tuple[str, ...]
    other_kind: tuple[str, ...]


@dataclass(frozen=True)
class _Layer:
    """A layer: its name in the state, a key that other blocks around it do not change, shapes."""

    name: str
    key: str
    shapes: dict[str, tuple[int, ...]]
    function: tuple[object, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the largest tensor."""
        return max(self.shapes.values(), key=lambda one: (len(one), torch.Size(one).numel()))

    def names(self) -> list[str]:
        return [f"{self.name}.{tensor}" for tensor in self.shapes]


class _TrackRows(NamedTuple):
    """Rows of a track in an output layer; models may share them if ``kind`` is equal."""

    layer: str
    kind: tuple[object, ...]
    rows: range


def match_layers(module: CnnRnn, spec: ModelSpec, source: CnnRnn, source_spec: ModelSpec) -> Match:
    """Find the layers and tracks that a model can take from another one.

    A layer is taken if its name, its shapes and the layers before it are those of the other model:
    after a new layer, features have another meaning. Rows of the output layers are taken for tracks
    with the name of a track of the other model, the same loss, bins and transform. Outputs of
    amounts are relative to the mean and deviation of their track, which may differ.

    Parameters
    ----------
    module, spec
        The new model, which may be on the meta device.
    source, source_spec
        The other model.
    """
    ours = _layers(module, spec.architecture)
    theirs = {one.key: one for one in _layers(source, source_spec.architecture)}
    reasons = _reasons(ours, list(theirs.values()))
    rows, others = _track_rows(spec), _track_rows(source_spec)
    shared = [track for track in rows if track in others]
    same = [track for track in shared if others[track].kind == rows[track].kind]
    origins, copies, tracks = [], [], set()
    for layer in ours:
        reason = reasons[layer.key]
        per_track = _is_output(layer.key)
        origin, detail = ("new", reason) if reason else ("taken", "")
        if not reason and per_track:
            parts = [one for one in rows if rows[one].layer == _output_key(layer.key)]
            kept = [one for one in parts if one in same]
            tracks.update(kept)
            origin = "new" if not kept else "taken" if len(kept) == len(parts) else "tracks"
            detail = f"taken for {len(kept):,} of {len(parts):,} tracks"
            for track in kept:
                copies += _row_copies(layer, theirs, rows[track], others[track])
        elif not reason:
            pairs = zip(layer.names(), theirs[layer.key].names(), strict=True)
            copies += [Copy(*pair) for pair in pairs]
        origins.append(
            LayerOrigin(name=layer.name, shape=layer.shape, origin=origin, detail=detail)  # type: ignore[arg-type]
        )
    return Match(
        tuple(origins),
        tuple(copies),
        tuple(track for track in rows if track in tracks),
        tuple(track for track in shared if track not in same),
    )


@torch.no_grad()
def copy_layers(match: Match, module: nn.Module, source: nn.Module) -> None:
    """Copy what `match_layers` found into the new model."""
    ours, theirs = module.state_dict(), source.state_dict()
    for copy in match.copies:
        value: Tensor = theirs[copy.source]
        if copy.target_rows is None:
            ours[copy.target].copy_(value)
        elif len(copy.target_rows):
            ours[copy.target][list(copy.target_rows)] = value[list(copy.source_rows or ())]


def _layers(module: CnnRnn, architecture: Architecture) -> list[_Layer]:
    """Layers from the input to the outputs."""
    renamed = _renamed(module)
    found: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, value in module.state_dict().items():
        owner = name.partition(".parametrizations.")[0]
        owner = owner if owner != name else name.rpartition(".")[0]
        tensor = name[len(owner) + 1 :]
        found.setdefault(owner, {})[tensor] = tuple(value.shape)
    layers = []
    for name, shapes in found.items():
        key = name
        for prefix, other in renamed.items():
            if f"{name}.".startswith(prefix):
                key = (other + f"{name}."[len(prefix) :]).removesuffix(".")
        part = key.partition(".")[0]
        function = tuple(getattr(architecture, one) for one in _FUNCTION.get(part, ()))
        layers.append(_Layer(name, key, shapes, function))
    return layers


def _renamed(module: CnnRnn) -> dict[str, str]:
    """Prefixes of names that depend on other blocks, and what replaces them."""
    renamed: dict[str, str] = {}
    profiles = 0
    encoder, prefix = module.encoder, "encoder."
    if isinstance(encoder, NormalisedEncoder):
        encoder, prefix = encoder.encoder, "encoder.encoder."
        renamed[prefix] = "encoder."
    if isinstance(encoder, ConvEncoder):
        renamed[f"{prefix}first."] = "encoder."
    if isinstance(module.temporal, TemporalStack):
        stage = 0
        for number, layer in enumerate(module.temporal.layers):
            other = f"temporal.step_stages.{stage}." if isinstance(layer, StepConv) else "temporal."
            stage += isinstance(layer, StepConv)
            renamed[f"temporal.layers.{number}."] = other
    head = module.head
    parts = enumerate(head.heads) if isinstance(head, JointHeads) else ((None, head),)
    for number, part in parts:
        prefix = "head." if number is None else f"head.heads.{number}."
        if isinstance(part, Profiles):
            renamed[prefix] = f"{PROFILES}.{profiles}."
            profiles += 1
        if isinstance(part, Pooled):
            renamed[f"{prefix}pooling."] = "pooling."
            prefix, part = f"{prefix}head.", part.head
            renamed[prefix] = "head."
        if isinstance(part, MultiLabel) and isinstance(part.body, Mlp):
            # Dropout between dense layers has a number too.
            dense = [n for n, one in part.body.named_children() if isinstance(one, nn.Linear)]
            for order, which in enumerate(dense):
                renamed[f"{prefix}body.{which}."] = f"head.body.{order}."
    return renamed


def _reasons(ours: Sequence[_Layer], theirs: Sequence[_Layer]) -> dict[str, str]:
    """Why each layer is new; empty for the layers that are taken."""
    reasons: dict[str, str] = {}
    keys = {one.key for one in theirs}
    for branch in sorted({_branch(layer.key) for layer in ours}):
        (mine, outputs), (other, other_outputs) = (
            _divided([one for one in layers if _branch(one.key) in ("", branch)])
            for layers in (ours, theirs)
        )
        blocked = False
        for number, layer in enumerate(mine):
            before = other[number] if number < len(other) else None
            reason = "follows a new layer" if blocked else _difference(layer, before, keys)
            reasons[layer.key] = reason
            blocked = blocked or bool(reason)
        for layer in outputs:
            before = other_outputs[0] if other_outputs and len(mine) == len(other) else None
            reason = "follows a new layer" if blocked else _difference(layer, before, keys)
            reasons[layer.key] = reason
    return reasons


def _divided(layers: Sequence[_Layer]) -> tuple[list[_Layer], list[_Layer]]:
    """Layers without rows for tracks, and those with."""
    return (
        [one for one in layers if not _is_output(one.key)],
        [one for one in layers if _is_output(one.key)],
    )


def _difference(layer: _Layer, other: _Layer | None, keys: set[str]) -> str:
    per_track = _is_output(layer.key)
    if other is None or (other.key != layer.key and not per_track):
        known = layer.key in keys
        return f"{'follows other layers' if known else 'is not'} in the pretrained model"
    if other.function != layer.function:
        part = layer.key.partition(".")[0]
        changes = [
            f"{name} {was} became {now}"
            for name, was, now in zip(_FUNCTION[part], other.function, layer.function, strict=True)
            if was != now
        ]
        return f"differs: {', '.join(changes)}"
    one, two = (
        {n: s[1:] if per_track else s for n, s in each.shapes.items()} for each in (layer, other)
    )
    return "" if one == two else f"has the shape {shape_text(other.shape)} in the pretrained model"


def shape_text(shape: Sequence[int]) -> str:
    """A shape, such as "320 x 4 x 26"."""
    return " x ".join(str(one) for one in shape)


def _branch(key: str) -> str:
    """Layers that depend on each other: the trunk "", then the head or the profiles."""
    if key.startswith(f"{PROFILES}."):
        return PROFILES
    return "head" if key.startswith(("head.", "pooling.")) else ""


def _is_output(key: str) -> bool:
    return key == OUTPUT or key.startswith(f"{PROFILES}.")


def _output_key(key: str) -> str:
    """Key of the head that an output layer belongs to."""
    return key if key == OUTPUT else key.rpartition(".")[0]


def _track_rows(spec: ModelSpec) -> dict[str, _TrackRows]:
    groups = spec.targets or (TargetGroup(loss="binary", tracks=len(spec.tracks)),)
    units = spec.track_units
    found: dict[str, _TrackRows] = {}
    track = at = profiles = 0
    for group in groups:
        profile, each = group.loss == "profile", group.bins or 1
        kind: tuple[object, ...] = (group.loss,)
        if group.bins:
            kind += (group.bins, group.lowest, group.bin_width)
        for number in range(group.tracks):
            unit = units[track]
            start = number if profile else at
            rows = range(start, start + (1 if profile else each))
            own = (*kind, "" if unit is None else unit.transform)
            layer = f"{PROFILES}.{profiles}" if profile else OUTPUT
            found[spec.tracks[track]] = _TrackRows(layer, own, rows)
            track, at = track + 1, at if profile else at + each
        profiles += profile
    return found


def _row_copies(
    layer: _Layer, theirs: Mapping[str, _Layer], rows: _TrackRows, other: _TrackRows
) -> list[Copy]:
    """Copies of the rows of a track, which another output layer of the same kind may hold."""
    key = other.layer + layer.key.removeprefix(rows.layer)
    pairs = zip(layer.names(), theirs[key].names(), strict=True)
    return [Copy(*pair, rows.rows, other.rows) for pair in pairs]
