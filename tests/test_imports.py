"""Who may import whom, and what an import may cost."""

from __future__ import annotations

import ast
import configparser
import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]

BASE = {"errors", "typing", "progress", "_jit"}
FILES = {*BASE, "_lazy", "_version", "cache_folder", "files", "names", "output", "provenance"}
FILES |= {"file_lock", "track_names", "amounts", "cache_limit", "notebook_display"}
DATA = {*FILES, "bounded_queue", "genome", "datasets"}
MODEL = {*FILES, "_memory", "device", "core", "models"}
PLOTS = {"evaluation", "plots"}
USE = {*DATA, *MODEL, *PLOTS, "gpu", "inference"}
ARROWS = {
    "_jit": {"_kernel_cache"},
    "_kernel_cache": {"_version", "cache_folder", "progress"},
    "_lazy": set(),
    "_memory": set(),
    "_version": set(),
    "bounded_queue": {"progress"},
    "cache_folder": {"errors"},
    "errors": set(),
    "progress": set(),
    "notebook_display": set(),
    "typing": set(),
    "file_lock": {"errors"},
    "files": {"errors", "typing", "progress"},
    "provenance": {"errors", "typing", "files"},
    "names": {"errors", "typing"},
    "amounts": {"errors", "names"},
    "track_names": {"errors", "typing", "files", "names"},
    "output": {"errors", "typing", "files", "file_lock"},
    "cache_limit": {"cache_folder", "output"},
    "device": {"errors"},
    "genome": FILES,
    "simulation": {*FILES, "genome"},
    "datasets": {*FILES, "bounded_queue", "genome"},
    "core": BASE,
    "gpu": {*BASE, "cache_folder", "device", "core"},
    "models": {*FILES, "device", "core"},
    "evaluation": {*BASE, "files"},
    "plots": {*FILES, "genome", "evaluation"},
    "inference": {*DATA, *MODEL, *PLOTS, "gpu"},
    "interpretation": {*USE, "_kernel_cache"},
    "training": USE,
    "vision": {*FILES, *MODEL, "evaluation", "inference", "training"},
    "demo": {*USE, "simulation", "training"},
    "report": {*USE, "demo", "interpretation", "training"},
    "server": USE,
    "diagnosis": {*USE, "_kernel_cache", "_version"},
}
"""Part of danq, and the other parts that it may import."""

TORCH_FREE = {*FILES, "bounded_queue", "genome", "simulation", "datasets", *PLOTS}
NEVER = {"pickle", "cPickle", "dill", "cloudpickle", "yaml", "joblib", "shelve", "marshal"}
HARMLESS = {"pickle.UnpicklingError"}  # what torch's safe loader raises at a damaged file

# Its build has to be that of the installed torch (for CPUs or CUDA), which a pin does not choose.
BUILT_FOR_TORCH = "torchvision"

# Where the name that is imported is not the name that is installed.
DISTRIBUTION = {
    "Bio": "biopython",
    "PIL": "pillow",
    "modiscolite": "modisco-lite",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
}


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def part_of(path: Path) -> str:
    first = path.relative_to(ROOT / "danq").parts[0]
    return first.removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and absolute dotted name of everything a file imports, at any depth."""
    package = path.relative_to(ROOT).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: -node.level]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            for alias in node.names:
                yield node.lineno, f"{module}.{alias.name}"


def danq_parts(path: Path) -> Iterator[tuple[int, str]]:
    """Line and part of danq for every import of danq in a file."""
    for line, name in imports(path):
        words = name.split(".")
        if words[0] == "danq" and len(words) > 1:
            yield line, words[1]


def complaints(paths: list[Path], test) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in paths
        for line, name in imports(path)
        if test(path, name)
    ]


def normal(name: str) -> str:
    """Name of a distribution as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def dependencies() -> set[str]:
    """Every distribution that pyproject.toml asks for, in any extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    return {normal(re.split(r"[<>=!~\[ ;]", line)[0]) for lines in lists for line in lines}


def test_every_part_has_its_arrows():
    parts = {part_of(path) for path in sources("danq")} - {"__init__"}
    assert parts <= set(ARROWS)


def test_the_arrows_make_no_circle():
    seen: set[str] = set()
    while len(seen) < len(ARROWS):
        free = {part for part, needs in ARROWS.items() if part not in seen and needs <= seen}
        assert free, f"a circle among {sorted(set(ARROWS) - seen)}"
        seen |= free


@pytest.mark.parametrize("part", sorted(ARROWS))
def test_imports_run_one_way(part: str):
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports danq.{other}"
        for path in sources("danq")
        if part_of(path) == part
        for line, other in danq_parts(path)
        if other != part and other not in ARROWS[part]
    ]
    assert wrong == []


def test_files_of_the_core_are_short():
    lengths = {path.name: len(path.read_text().splitlines()) for path in sources("danq/core")}
    assert {name: lines for name, lines in lengths.items() if lines > 400} == {}


def test_click_stays_in_the_command_line():
    assert complaints(sources("danq"), lambda _, name: name.split(".")[0] == "click") == []


def test_the_library_does_not_know_its_command_line():
    names = {"cli", "danq_cli"}
    assert complaints(sources("danq"), lambda _, name: name.split(".")[0] in names) == []


def test_the_command_line_needs_only_danq_and_click():
    allowed = {"danq", "danq_cli", "cli", "click", "rich", *sys.stdlib_module_names}
    assert complaints(sources("cli"), lambda _, name: name.split(".")[0] not in allowed) == []


def test_lightning_stays_in_training():
    def wrong(path: Path, name: str) -> bool:
        lightning = name.split(".")[0] in {"lightning", "pytorch_lightning"}
        return lightning and part_of(path) != "training"

    assert complaints(sources("danq"), wrong) == []


def test_files_and_figures_need_no_tensors():
    def wrong(path: Path, name: str) -> bool:
        return part_of(path) in TORCH_FREE and name.split(".")[0] == "torch"

    assert complaints(sources("danq"), wrong) == []


def test_nothing_is_unpickled():
    paths = sources("danq") + sources("cli")

    def wrong(_: Path, name: str) -> bool:
        return name.split(".")[0] in NEVER and name not in HARMLESS

    assert complaints(paths, wrong) == []


def test_every_library_is_a_declared_dependency():
    declared = dependencies()
    ours = {"danq", "danq_cli", "cli", "__future__", *sys.stdlib_module_names}

    def undeclared(path: Path, name: str) -> bool:
        root = name.split(".")[0]
        return root not in ours and normal(DISTRIBUTION.get(root, root)) not in declared

    assert complaints(sources("danq") + sources("cli"), undeclared) == []


def test_every_declared_dependency_is_pinned():
    pins = {
        normal(line.split("==")[0])
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    assert dependencies() - {BUILT_FOR_TORCH} <= pins
    assert BUILT_FOR_TORCH in dependencies()


def test_the_wheel_holds_every_package_and_nothing_else():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    listed = set(setup["options"]["packages"].split())
    tree = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for folder in ("danq", "cli")
        for path in (ROOT / folder).rglob("__init__.py")
    }
    assert listed == {re.sub(r"^cli\b", "danq_cli", name) for name in tree}


@pytest.mark.parametrize("module", ["danq", "danq_cli.main", "danq_cli.options"])
def test_import_is_light(module: str):
    heavy = {"torch", "lightning", "numpy", "numba", "polars", "h5py", "matplotlib", "sklearn"}
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert heavy & set(done.stdout.split()) == set()


@pytest.mark.parametrize("part", sorted(TORCH_FREE))
def test_torch_free_parts_load_no_torch(part: str):
    code = f"import sys, danq.{part}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("name", ["danq", "danq.genome"])
def test_every_public_name_resolves_and_is_listed(name: str):
    package = importlib.import_module(name)
    assert set(package.__all__) <= set(dir(package))
    for public in package.__all__:
        value = getattr(package, public)
        assert value is not None
        assert not isinstance(value, ModuleType)
    with pytest.raises(AttributeError, match=f"'{name}' has no attribute 'nonsense'"):
        package.nonsense  # noqa: B018


@pytest.mark.parametrize("module", ["danq.simulation.simulator", "danq.genome.motif_files"])
def test_a_module_that_is_imported_first_hides_no_name(module: str):
    code = f"import {module}, danq; assert all(map(callable, (danq.simulate, danq.read_motifs)))"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_no_name_of_a_package_is_the_name_of_one_of_its_modules():
    packages = [path.parent for path in sources("danq") if path.name == "__init__.py"]
    lazy = re.compile(r'^        "(\w+)": "danq\.', re.MULTILINE)
    names = [
        (package, name)
        for package in packages
        for name in lazy.findall((package / "__init__.py").read_text())
    ]
    assert len(names) > 100
    assert [
        f"{package.relative_to(ROOT)}: {name}"
        for package, name in names
        if (package / f"{name}.py").exists() or (package / name).is_dir()
    ] == []


def test_packed_windows_load_no_readers_of_files():
    code = "import sys, danq.genome.packed_genome; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert {"Bio", "pyfaidx", "polars"} & set(done.stdout.split()) == set()
