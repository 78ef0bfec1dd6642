"""Kinds of effects of mutations: in bits, or of probabilities and amounts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast, get_args

from danq.amounts import AmountUnit
from danq.errors import InputError

Effect = Literal["logit", "probability", "log2fc", "difference"]

BITS: tuple[Effect, ...] = ("logit", "log2fc")
"""Effects that are differences of `danq.inference.track_levels.Levels.bits`; the others are
differences of its values."""

_CHANGES = {
    ("logit", "peaks"): "change in log2 odds (bits), mutant minus reference",
    ("probability", "peaks"): "change in probability, mutant minus reference",
    ("log2fc", "amounts"): "log2 fold change (bits), mutant over reference",
    ("difference", "amounts"): "change in amount, mutant minus reference",
}


def effect_for(kinds: Sequence[str], effect: str | None) -> Effect:
    """The effect for tracks of these kinds.

    Parameters
    ----------
    kinds
        "peaks" or "amounts" for each track.
    effect
        Selected effect; None selects ``"logit"`` for peaks alone, and ``"difference"`` if a track
        is of amounts.

    Raises
    ------
    InputError
        When there is no such effect, or it is of another kind than all tracks.
    """
    known: tuple[Effect, ...] = get_args(Effect)
    if effect is None:
        return "difference" if "amounts" in kinds else "logit"
    if effect not in known:
        raise InputError(f"effect is '{effect}'", remedy=f"Choose {_listed(known)}")
    for kind, other in (("peaks", "amounts"), ("amounts", "peaks")):
        if (effect, kind) in _CHANGES and kind not in kinds:
            allowed = [one for one in known if (one, kind) not in _CHANGES]
            raise InputError(
                f"the effect '{effect}' is of {kind}, and every track is of {other}",
                remedy=f"Choose {_listed(allowed)}",
            )
    return cast(Effect, effect)


def describe_effect(effect: Effect, kinds: Sequence[str]) -> str:
    """What the effects on tracks of these kinds are, as a line of text."""
    return "; ".join(
        f"{change} ({kind})" if len(set(kinds)) > 1 else change
        for kind, change in (
            ("peaks", _change(effect, "peaks")),
            ("amounts", _change(effect, "amounts")),
        )
        if kind in kinds
    )


def describe_change(effect: Effect, unit: AmountUnit | None) -> str:
    """What the effects on one track are, without their direction, for the axis of a plot."""
    change = _change(effect, "peaks" if unit is None else "amounts").partition(",")[0]
    return f"{change} ({unit})" if effect not in BITS and unit is not None and str(unit) else change


def _change(effect: Effect, kind: str) -> str:
    """The change of a kind of track that belongs to an effect, of that or of the other kind."""
    bits = effect in BITS
    return next(
        text for (one, other), text in _CHANGES.items() if other == kind and (one in BITS) == bits
    )


def _listed(names: Sequence[str]) -> str:
    return " or ".join(f"'{name}'" for name in names)
