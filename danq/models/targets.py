"""What the outputs of a sequence model predict: groups of tracks, each with its loss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from danq.core.amount_losses import (
    expected_value,
    gaussian_loss,
    multinomial_loss,
    poisson_loss,
    soft_bin_loss,
    soft_bins,
    total_count_loss,
    weighted_mean,
)

MAX_BINS = 10_000
"""Largest number of bins of an amount."""

MAX_STEPS = 1_000_000
"""Largest number of steps of a profile."""

MAX_OUTPUTS = 10_000_000
"""Largest number of outputs of a model for a window."""

MAX_WEIGHT = 1e6

Positive = Annotated[float, Field(gt=0)]

Loss = Literal["binary", "gaussian", "poisson", "soft-bins", "profile"]


class TargetGroup(BaseModel):
    """Consecutive tracks that share a loss.

    The outputs of a track are one logit (``binary``), x of the amount ``mean + deviation x``
    (``gaussian``) or ``mean exp(x)`` (``poisson``), one logit per bin (``soft-bins``), or one logit
    per step and ``log(1 + total)`` (``profile``). Errors of ``gaussian`` are divided by the
    deviation, and losses of ``poisson`` by the mean, so that all tracks count alike.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    loss: Loss
    tracks: int = Field(gt=0, le=1_000_000)
    weight: float = Field(default=1.0, gt=0, le=MAX_WEIGHT)
    """Weight of the group in the loss of the model."""
    means: tuple[float, ...] = ()
    """Mean of each track (``gaussian``, ``poisson``); without them 0 and 1."""
    deviations: tuple[Positive, ...] = ()
    """Standard deviation of each track (``gaussian``); without them 1."""
    reverse: tuple[int, ...] = ()
    """Index within the group of the track that has the amounts of each track on the reverse strand;
    without them the track itself."""
    bins: int = Field(default=0, ge=0, le=MAX_BINS)
    """Number of soft bins, at least two."""
    lowest: float = 0.0
    """Centre of the first soft bin."""
    bin_width: float = Field(default=1.0, gt=0)
    """Distance between the centres of soft bins; the standard deviation of a measured amount is
    half of it."""
    steps: int = Field(default=0, ge=0, le=MAX_STEPS)
    """Number of steps of a profile."""
    step_bases: int = Field(default=0, ge=0)
    """Bases of a step of a profile."""
    total_weight: float = Field(default=1.0, gt=0, le=MAX_WEIGHT)
    """Weight of the loss of the totals beside that of the profiles."""

    @model_validator(mode="after")
    def _check_kind(self) -> TargetGroup:
        soft, profile = self.loss == "soft-bins", self.loss == "profile"
        if (self.bins >= 2) != soft or self.bins == 1:
            raise ValueError(f"{self.bins} bins for the loss '{self.loss}'")
        if (self.steps > 0) != profile or (self.step_bases > 0) != profile:
            raise ValueError(
                f"{self.steps} steps of {self.step_bases} bases for the loss '{self.loss}'"
            )
        allowed = {"gaussian": ("means", "deviations"), "poisson": ("means",)}.get(self.loss, ())
        for name in ("means", "deviations"):
            count = len(getattr(self, name))
            if count and (name not in allowed or count != self.tracks):
                raise ValueError(
                    f"{count} {name} of {self.tracks} tracks for the loss '{self.loss}'"
                )
        if self.loss == "poisson" and min(self.means, default=1) <= 0:
            raise ValueError(f"a mean of {min(self.means):g} for the loss 'poisson'")
        return self

    @model_validator(mode="after")
    def _check_reverse(self) -> TargetGroup:
        tracks = [*range(self.tracks)]
        if self.reverse and (
            self.loss == "binary"
            or sorted(self.reverse) != tracks
            or [self.reverse[other] for other in self.reverse] != tracks
        ):
            raise ValueError("reverse does not pair the tracks of amounts of the group")
        return self

    def mean(self, like: Tensor) -> Float[Tensor, " K"]:
        """Mean of each track, with the type and device of another tensor."""
        return like.new_tensor(self.means or (float(self.loss == "poisson"),) * self.tracks)

    def deviation(self, like: Tensor) -> Float[Tensor, " K"]:
        """Standard deviation of each track, with the type and device of another tensor."""
        return like.new_tensor(self.deviations or (1.0,) * self.tracks)

    @property
    def outputs(self) -> int:
        """Number of outputs of the model for the group."""
        each = {"soft-bins": self.bins, "profile": self.steps + 1}
        return self.tracks * each.get(self.loss, 1)

    @property
    def columns(self) -> int:
        """Number of measured values of a window for the group."""
        return self.tracks * (self.steps or 1)

    def centres(self, like: Tensor) -> Float[Tensor, " N"]:
        """Centres of the soft bins, with the type and device of another tensor."""
        return torch.arange(self.bins).to(like) * self.bin_width + self.lowest


class Part(NamedTuple):
    """A group with its outputs, or its outputs and measured values.

    Attributes
    ----------
    group
        The group.
    outputs
        ``(B, tracks)``; ``(B, tracks, bins)`` for soft bins; ``(B, tracks, steps)``, the logits of
        profiles.
    totals
        ``(B, tracks)`` ``log(1 + total)`` of profiles; otherwise None.
    columns
        Measured values of the group.
    """

    group: TargetGroup
    outputs: Tensor
    totals: Tensor | None
    columns: slice


def count_outputs(groups: Sequence[TargetGroup]) -> int:
    """Number of outputs of a model for all groups."""
    return sum(group.outputs for group in groups)


def check_groups(groups: Sequence[TargetGroup], tracks: int) -> None:
    """Check that groups are those of a number of tracks, with profiles after all other groups.

    Raises
    ------
    ValueError
        When they are not, or have more than `MAX_OUTPUTS` outputs.
    """
    total = sum(group.tracks for group in groups)
    if groups and total != tracks:
        raise ValueError(f"groups of {total:,} tracks for {tracks:,} tracks")
    if count_outputs(groups) > MAX_OUTPUTS:
        raise ValueError(
            f"{count_outputs(groups):,} outputs for a window; at most {MAX_OUTPUTS:,} are allowed"
        )
    profile = [group.loss == "profile" for group in groups]
    if profile != sorted(profile):
        raise ValueError("groups of profiles come before other groups")


def parts(outputs: Float[Tensor, "B O"], groups: Sequence[TargetGroup]) -> Iterator[Part]:
    """Split the outputs of a model by group."""
    at = column = 0
    for group in groups:
        own = outputs[:, at : at + group.outputs]
        totals = None
        if group.loss == "soft-bins":
            own = own.unflatten(1, (group.tracks, group.bins))
        elif group.loss == "profile":
            own, totals = own[:, : -group.tracks], own[:, -group.tracks :]
            own = own.unflatten(1, (group.tracks, group.steps))
        yield Part(group, own, totals, slice(column, column + group.columns))
        at, column = at + group.outputs, column + group.columns


def target_loss(
    outputs: Float[Tensor, "B O"],
    targets: Float[Tensor, "B W"],
    groups: Sequence[TargetGroup],
    weights: Float[Tensor, " B"] | None = None,
    scale: Float[Tensor, " G"] | None = None,
) -> Float[Tensor, ""]:
    """Mean of the losses of all groups, weighted by the weights of the groups.

    Parameters
    ----------
    outputs
        Outputs of the model.
    targets
        Measured values, group after group: labels 0 or 1, amounts, or the steps of each profile.
        NaN marks a missing value, which does not count.
    groups
        Groups of all tracks.
    weights
        Weight of each window, 0 or more; None for equal weights.
    scale
        Number that the loss of each group is multiplied by; None for 1.
    """
    outputs = outputs.float() if outputs.dtype != torch.float64 else outputs
    share = None if weights is None else weights.unsqueeze(1)
    total = sum(group.weight for group in groups)
    losses = [
        _group_loss(part, targets[:, part.columns], share) * (part.group.weight / total)
        for part in parts(outputs, groups)
    ]
    each = torch.stack(losses)
    return (each if scale is None else each * scale).sum()


def target_weights(
    targets: Float[Tensor, "B W"],
    groups: Sequence[TargetGroup],
    weights: Float[Tensor, " B"] | None = None,
) -> Float[Tensor, " G"]:
    """Sum of the weights of the values, or of the profiles, that count in the loss of each group.

    Parameters
    ----------
    targets, groups, weights
        As in `target_loss`.
    """
    share = torch.ones(len(targets)) if weights is None else weights
    mask, column, found = ~targets.isnan(), 0, []
    for group in groups:
        own = mask[:, column : column + group.columns]
        if group.loss == "profile":
            own = own.unflatten(1, (group.tracks, group.steps)).any(dim=2)
        counts = own.sum(dim=1).to(share)
        found.append((counts.double() * share.double()).sum())
        column += group.columns
    return torch.stack(found)


def _group_loss(part: Part, target: Tensor, share: Tensor | None) -> Tensor:
    group, outputs = part.group, part.outputs
    target = target.to(outputs.dtype)
    mask = ~target.isnan()
    if group.loss == "binary":
        safe = target.masked_fill(~mask, 0.0)
        each = F.binary_cross_entropy_with_logits(outputs, safe, reduction="none")
        return weighted_mean(each, mask, share)
    if group.loss == "gaussian":
        standardised = (target - group.mean(target)) / group.deviation(target)
        return gaussian_loss(outputs, standardised, mask, share)
    if group.loss == "poisson":
        return poisson_loss(outputs, target / group.mean(target), mask, share)
    if group.loss == "soft-bins":
        centres = group.centres(outputs)
        return soft_bin_loss(outputs, target, centres, group.bin_width / 2, mask, share)
    assert part.totals is not None
    shape = (group.tracks, group.steps)
    target, mask = target.unflatten(1, shape), mask.unflatten(1, shape)
    profile = multinomial_loss(outputs, target, mask, share)
    return profile + group.total_weight * total_count_loss(part.totals, target, mask, share)


def track_values(
    outputs: Float[Tensor, "B O"], groups: Sequence[TargetGroup], *, reverse: bool = False
) -> Float[Tensor, "B K"]:
    """One value per track: a probability, an amount, or the total of a profile.

    Parameters
    ----------
    outputs
        Outputs of the model.
    groups
        Groups of all tracks.
    reverse
        Whether the outputs are those of reverse complements. The values are those of the given
        windows: the tracks of two strands are exchanged.
    """
    numbers = [
        one.sigmoid() if group.loss == "binary" else one
        for group, one in _track_numbers(outputs, groups)
    ]
    values = torch.cat(numbers, dim=1)
    order = reverse_tracks(groups) if reverse else ()
    return values[:, list(order)] if order else values


def reverse_tracks(groups: Sequence[TargetGroup]) -> tuple[int, ...]:
    """Index of the track that has the values of each track on the reverse strand.

    Empty if it is the track itself for all tracks.
    """
    found, first = [], 0
    for group in groups:
        own = group.reverse or range(group.tracks)
        found += [first + other for other in own]
        first += group.tracks
    return tuple(found) if any(group.reverse for group in groups) else ()


def track_scores(
    outputs: Float[Tensor, "B O"], groups: Sequence[TargetGroup]
) -> Float[Tensor, "B K"]:
    """As `track_values`, but the logit of a peak instead of its probability.

    Effects are computed from these numbers (`danq.inference.track_levels`). Without groups, they
    are the outputs, one logit per track.
    """
    if not groups:
        return outputs
    return torch.cat([one for _, one in _track_numbers(outputs, groups)], dim=1)


def _track_numbers(
    outputs: Tensor, groups: Sequence[TargetGroup]
) -> Iterator[tuple[TargetGroup, Tensor]]:
    for part in parts(outputs, groups):
        group, found = part.group, part.outputs
        if group.loss == "poisson":
            found = group.mean(found) * found.exp()
        elif group.loss == "gaussian":
            found = group.mean(found) + group.deviation(found) * found
        elif group.loss == "soft-bins":
            found = expected_value(found, group.centres(found))
        elif part.totals is not None:
            found = part.totals.expm1()
        yield group, found


def profiles(
    outputs: Float[Tensor, "B O"], groups: Sequence[TargetGroup]
) -> list[Float[Tensor, "B K S"]]:
    """Predicted amounts of the steps of each profile, one array per group of profiles.

    The steps of a profile add up to its total, or to 0 if the total is negative.
    """
    return [
        part.outputs.softmax(dim=2) * part.totals.expm1().clamp(min=0).unsqueeze(2)
        for part in parts(outputs, groups)
        if part.totals is not None
    ]


def initial_outputs(
    mean: Float[Tensor, " W"], deviation: Float[Tensor, " W"], groups: Sequence[TargetGroup]
) -> Float[Tensor, " O"]:
    """Outputs that predict the mean of the measured values, for the biases of an untrained model.

    Parameters
    ----------
    mean, deviation
        Mean and standard deviation of each column of the targets over the training windows.
    groups
        Groups of all tracks.

    Returns
    -------
    Log odds of the mean, clipped to [1e-4, 1 - 1e-4]; the mean, or the logarithm of the mean, at
    least 1e-6, relative to the means and deviations of the group; the logarithm of a normal
    distribution over the bins; 0 for the steps of profiles and ``log(1 + total)`` of the mean
    profile.
    """
    found = []
    for part in parts(torch.zeros(1, count_outputs(groups)), groups):
        group, own = part.group, mean[part.columns]
        if group.loss == "binary":
            own = own.clamp(1e-4, 1 - 1e-4).logit()
        elif group.loss == "poisson":
            own = (own.clamp(min=1e-6) / group.mean(own)).log()
        elif group.loss == "gaussian":
            own = (own - group.mean(own)) / group.deviation(own)
        elif group.loss == "soft-bins":
            widest = deviation[part.columns].clamp(min=group.bin_width / 2)
            centres = group.centres(own)
            share = [
                soft_bins(each, centres, float(width))
                for each, width in zip(own, widest, strict=True)
            ]
            own = torch.stack(share).clamp(min=1e-6).log().flatten()
        elif group.loss == "profile":
            totals = own.unflatten(0, (group.tracks, group.steps)).sum(dim=1).clamp(min=0).log1p()
            own = torch.cat([torch.zeros(group.columns).to(own), totals])
        found.append(own)
    return torch.cat(found)
