"""Units of amounts: how the values of a track were made from measured values, and back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64, Int64
from pydantic import BaseModel, ConfigDict, Field, field_validator

from danq.errors import InputError
from danq.names import name_problem

LIBRARY = 1e6
"""Sum of the values of a signal after `library_scale`."""

LARGEST = float(np.finfo(np.float32).max)

_LOGARITHM = re.compile(r"log2(?![0-9])|log10(?![0-9])|ln(?![a-z0-9])", re.IGNORECASE)
_BITS = {"log2": 1.0, "log10": float(np.log2(10)), "ln": float(1 / np.log(2))}


class AmountUnit(BaseModel):
    """Unit of a track of amounts: ``transform(scale * measured)``.

    ``log1p`` is ``log(1 + x)`` and ``asinh`` is ``log(x + sqrt(x**2 + 1))``, both with natural
    logarithms.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    unit: str = ""
    """Unit of the measured values, such as "reads"; empty if it is not known."""
    transform: Literal["none", "log1p", "asinh"] = "none"
    scale: float = Field(default=1.0, gt=0, le=1e30)

    @field_validator("unit")
    @classmethod
    def _check_unit(cls, unit: str) -> str:
        problem = name_problem(unit) if unit else None
        if problem is not None:
            raise ValueError(f"the unit {problem}")
        return unit

    def apply(self, measured: np.ndarray) -> Float32[np.ndarray, "..."]:
        """Values in this unit, from measured values; NaN stays NaN.

        Raises
        ------
        InputError
            When a value is negative, for ``log1p``; or the result is too large for float32.
        """
        scaled = np.asarray(measured, np.float64) * self.scale
        if self.transform == "log1p":
            if (scaled < 0).any():
                raise InputError(
                    f"{int((scaled < 0).sum()):,} values are negative, down to "
                    f"{float(np.nanmin(measured)):g}; log1p needs values of 0 or more",
                    remedy="Use asinh, or a signal without negative values",
                )
            scaled = np.log1p(scaled)
        elif self.transform == "asinh":
            scaled = np.arcsinh(scaled)
        if (np.abs(scaled) > LARGEST).any():
            raise InputError("a value is too large for float32", remedy="Use a smaller scale")
        return scaled.astype(np.float32)

    def undo(self, values: np.ndarray) -> Float32[np.ndarray, "..."]:
        """Measured values, from values in this unit; at most the largest number of float32."""
        return self.measured(values).astype(np.float32)

    def measured(self, values: np.ndarray) -> Float64[np.ndarray, "..."]:
        """As `undo`, in float64."""
        return self._measured(values, LARGEST)

    def _measured(self, values: np.ndarray, largest: float) -> Float64[np.ndarray, "..."]:
        back = np.asarray(values, np.float64)
        with np.errstate(over="ignore"):
            if self.transform == "log1p":
                back = np.expm1(back)
            elif self.transform == "asinh":
                back = np.sinh(back)
            return np.clip(back / self.scale, -largest, largest)

    @property
    def logarithm(self) -> str | None:
        """The function of which measured values are logarithms; None if they are none.

        It is ``log2``, ``log10`` or ``ln`` if the unit begins with it.
        """
        begins = _LOGARITHM.match(self.unit)
        return None if begins is None else begins[0].lower()

    def bits(self, values: np.ndarray) -> Float64[np.ndarray, "..."]:
        """Values in bits, whose differences are log2 fold changes, from values in this unit.

        These are ``log2(1 + x)`` of the measured value x; ``-log2(1 - x)`` if x is negative; or x
        itself, as a logarithm to the base of 2, if the unit says that it is a logarithm.
        """
        # Not limited to float32: two amounts above its largest number still differ.
        measured = self._measured(values, float(np.finfo(np.float64).max))
        if self.logarithm is not None:
            return measured * _BITS[self.logarithm]
        return np.sign(measured) * np.log1p(np.abs(measured)) / np.log(2)

    def __str__(self) -> str:
        """The unit for headers, such as "log1p(0.5 x reads)"; may be empty."""
        factor = "" if self.scale == 1 else f"{self.scale:.6g} x "
        inside = f"{factor}{self.unit or 'value'}"
        if self.transform != "none":
            return f"{self.transform}({inside})"
        return inside if factor else self.unit


def unit_text(unit: AmountUnit | None) -> str:
    """A unit as text; None is the unit of peaks."""
    return "probability" if unit is None else str(unit) or "not known"


def columns_of_units(
    units: Sequence[AmountUnit | None],
) -> list[tuple[AmountUnit | None, Int64[np.ndarray, "columns"]]]:
    """Each unit, and the indices of its columns; None is the unit of peaks."""
    found: dict[AmountUnit | None, list[int]] = {}
    for number, unit in enumerate(units):
        found.setdefault(unit, []).append(number)
    return [(unit, np.array(columns)) for unit, columns in found.items()]


def describe_units(tracks: Sequence[str], units: Sequence[AmountUnit | None]) -> str:
    """Units of tracks as one line of text; None is the unit of peaks.

    The names of tracks are left out where all have the same unit.
    """
    texts = [unit_text(one) for one in units]
    if len(set(texts)) == 1:
        return texts[0]
    return "; ".join(f"{name}: {text}" for name, text in zip(tracks, texts, strict=True))


def library_scale(total: float, library: float = LIBRARY) -> float:
    """Scale at which the values of a signal add up to ``library``.

    Parameters
    ----------
    total
        Sum of the values of all bases.
    library
        Sum after scaling.

    Raises
    ------
    InputError
        When the total is not above 0, or too small for a number.
    """
    scale = library / total if total > 0 else np.inf
    if not 0 < scale <= 1e30:
        raise InputError(
            f"the values of the signal add up to {total:g} and cannot be scaled to {library:g}",
            remedy="Check the signal, or leave out the scaling",
        )
    return scale
