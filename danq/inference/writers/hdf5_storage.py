"""How HDF5 files store predictions."""

from __future__ import annotations

from dataclasses import dataclass

from danq.errors import InputError

COMPRESSIONS = ("none", "gzip")
DTYPES = ("float32", "float16")


@dataclass(frozen=True)
class Hdf5Storage:
    """How an HDF5 file stores predictions.

    Attributes
    ----------
    compress
        ``"none"``, or ``"gzip"``: a smaller file, written at a tenth of the speed.
    dtype
        ``"float32"``, or ``"float16"``: half the size. A probability is rounded by at most 0.00025
        (2^-12); none is too large for float16, and those below 3e-8 become 0.

    Raises
    ------
    InputError
        When a value is not allowed.
    """

    compress: str = "none"
    dtype: str = "float32"

    def __post_init__(self) -> None:
        for name, allowed in (("compress", COMPRESSIONS), ("dtype", DTYPES)):
            value = getattr(self, name)
            if value not in allowed:
                raise InputError(f"{name} is {value!r}", remedy=f"Choose {' or '.join(allowed)}")

    def provenance(self) -> dict[str, str]:
        """The rounding of the values, if they are rounded, as text for the header of an output."""
        return {} if self.dtype == "float32" else {"rounding": f"values are {self.dtype}"}

    def check_format(self, format: str) -> None:
        """Check that a format of output has these settings.

        Raises
        ------
        InputError
            When they are not the defaults and the format is not ``hdf5``.
        """
        if self != Hdf5Storage() and format != "hdf5":
            raise InputError(
                f"compression {self.compress} and {self.dtype} are for HDF5, and the format of the "
                f"output is {format}",
                remedy="Choose an output that ends with .h5, or leave both settings out",
            )
