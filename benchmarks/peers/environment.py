"""The programs that danq is compared with, in a separate virtual environment."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from danq.cache_folder import cache_folder

PACKAGES = ("tangermeme==1.6.0", "captum==0.9.0", "figwig==0.2.0", "memelite==0.5.0")
"""The programs, and their dependencies that danq does not have."""


def peer_packages() -> Path:
    """Folder with the programs; the first call installs them in the cache folder.

    The environment sees the packages of the running Python, so torch and the other libraries have
    one version on both sides and are not installed twice.
    """
    installed = {one.name: one.version for one in importlib.metadata.distributions()}
    name = "-".join([*PACKAGES, f"python{sys.version_info[0]}.{sys.version_info[1]}"])
    folder = cache_folder("benchmark-peers") / name.replace("==", "")
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    complete = folder / "complete"
    if not complete.exists():
        print(f"installing {', '.join(PACKAGES)} in {folder}", flush=True)
        venv.create(folder, clear=True, with_pip=True)
        own = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
        (packages / "danq.pth").write_text("\n".join(sorted(own)) + "\n")
        versions = folder / "constraints.txt"
        versions.write_text("".join(f"{one}=={version}\n" for one, version in installed.items()))
        python = Path(sysconfig.get_path("scripts", vars={"base": str(folder)})) / "python"
        words = [python, "-m", "pip", "install", "-q", "-c", versions, *PACKAGES]
        subprocess.run(words, check=True)
        complete.touch()
    return packages
