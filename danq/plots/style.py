"""What all plots share: colours, names as text, and how they are saved."""

from __future__ import annotations

from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from danq.errors import InputError

INK, MUTED = "#222222", "#777777"
CROWD, MAIN = "#9db4cc", "#b3261e"
"""Many tracks together, and what stands out among them."""

EXTENSIONS = (".png", ".svg", ".pdf")

_DOTS_PER_INCH = 150


def literal(name: str) -> str:
    """Escape a name so that matplotlib does not read it as a formula."""
    return name.replace("$", r"\$")


def short_name(name: str, limit: int = 28) -> str:
    """Name as matplotlib must get it: without formulas, and shown in the legend."""
    cut = name if len(name) <= limit else f"{name[: limit - 1]}…"
    return literal(f" {cut}" if cut.startswith("_") else cut)


def check_plot_format(path: Path) -> None:
    """Check that the extension of a plot's file name is supported.

    Raises
    ------
    InputError
        When the extension is not ``.png``, ``.svg`` or ``.pdf``.
    """
    if path.suffix.lower() not in EXTENSIONS:
        raise InputError(
            "does not end in the extension of a plot format",
            file=path,
            remedy=f"Use {', '.join(EXTENSIONS)}",
        )


def save(figure: Figure, path: Path, extension: str = ".png") -> None:
    """Write a plot in the format of an extension. The same plot gives the same bytes.

    The file holds no date.
    """
    kind = extension.lower().removeprefix(".")
    dates = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
    with rc_context({"svg.hashsalt": "danq"}):
        figure.savefig(path, format=kind, dpi=_DOTS_PER_INCH, metadata=dates)
