"""The pages of the public Python names, which mkdocstrings fills with signatures and docstrings."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

PACKAGES = {
    "danq": "# `danq`\n\nThe functions and classes of `import danq`.\n\n",
    "danq.core": "# `danq.core`\n\nThe blocks that models are built from. Shapes: `B` batch, `L` "
    "bases, `T` steps, `F` features, `K` tracks or outputs, `C H W` channels, height and width."
    "\n\n",
    "danq.vision": "# `danq.vision`\n\nModels of images, video, text and sound.\n\n",
}


def pages() -> Iterator[tuple[str, str]]:
    """Each page and its text."""
    for package, introduction in PACKAGES.items():
        listed = importlib.import_module(package).__all__
        names = sorted((name for name in listed if name[0] != "_"), key=str.lower)
        blocks = "".join(f"::: {package}.{name}\n\n" for name in names)
        yield f"reference/{package}.md", introduction + blocks
