"""Recognise outputs of danq by their content."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from danq.datasets.dataset_format import KIND as DATASET_KIND
from danq.demo.demo_report import OUTPUTS as DEMO_OUTPUTS
from danq.errors import InputError, few
from danq.files.hdf5_input import open_hdf5
from danq.files.open_input import check_file, open_bytes, open_raw
from danq.files.recognise import GZIP_MAGIC, HDF5_MAGIC, PARQUET_MAGIC, SEAL
from danq.files.toml_file import read_toml
from danq.inference.blocks.folder import JOURNAL, folder_of
from danq.inference.blocks.shard import shard_folders
from danq.inference.evaluation.evaluation_folder import FORMAT as EVALUATION_FORMAT
from danq.inference.evaluation.evaluation_folder import KIND as EVALUATION_KIND
from danq.inference.writers.attribution_hdf5 import KIND as ATTRIBUTION_KIND
from danq.inference.writers.folder_summary import SUMMARY
from danq.inference.writers.mutation_hdf5 import MAGIC as MUTATIONS
from danq.inference.writers.prediction_bigwig import INDEX
from danq.inference.writers.prediction_bigwig import KIND as BIGWIG_KIND
from danq.inference.writers.prediction_hdf5 import MAGIC as PREDICTIONS
from danq.inference.writers.variant_hdf5 import KIND as VARIANT_KIND
from danq.interpretation.attribution_motifs.write_attribution_motifs import (
    FORMAT as ATTRIBUTION_MOTIF_FORMAT,
)
from danq.interpretation.attribution_motifs.write_attribution_motifs import (
    KIND as ATTRIBUTION_MOTIF_KIND,
)
from danq.interpretation.marginalization.write_marginalization import FORMAT as EFFECT_FORMAT
from danq.interpretation.marginalization.write_marginalization import KIND as EFFECT_KIND
from danq.interpretation.motifs.write_motifs import FORMAT as MOTIF_FORMAT
from danq.interpretation.motifs.write_motifs import KIND as MOTIF_KIND
from danq.interpretation.sequence_design.write_designs import FORMAT as DESIGN_FORMAT
from danq.interpretation.sequence_design.write_designs import KIND as DESIGN_KIND
from danq.models.stored_model import FOLDS, RUN_MODEL, read_stored
from danq.output import REJECTED, read_marker
from danq.report.read_tables import columns_of_parquet, comments_and_columns, is_danq_table
from danq.training.config import CONFIG
from danq.training.folds_directory import EVALUATION, HELD_OUT_EVALUATION, OUT_OF_FOLD
from danq.training.folds_directory import KIND as FOLDS_KIND
from danq.training.run_directory import KIND as RUN_KIND

Kind = Literal[
    "run",
    "folds",
    "model",
    "evaluation",
    "motifs",
    "variants",
    "mutations",
    "attributions",
    "attribution motifs",
    "effects of motifs",
    "designs",
    "predictions",
    "dataset",
    "table",
    "unfinished",
]
"""What an output is."""

NOTHING = "Give a run directory or another output of danq"

log = logging.getLogger("danq")

_MODEL_START = b'{"__metadata__":{"sha256":"'


class Found(NamedTuple):
    """An output.

    Attributes
    ----------
    kind
        What it is.
    path
        The file or folder.
    """

    kind: Kind
    path: Path


def find_outputs(paths: Iterable[Path]) -> list[Found]:
    """Recognise outputs; a folder with several of them gives each, and none is given twice.

    Raises
    ------
    InputError
        When a path does not exist, or is nothing that danq wrote and a report shows.
    """
    found: dict[Path, Found] = {}
    for path in paths:
        for one in _in_folder(path) if path.is_dir() else [_of_file(path)]:
            if one.kind in ("run", "model") and _is_vision(one):
                raise InputError(
                    "is a vision model, which a report does not show",
                    file=one.path,
                    remedy="Its summary and its evaluation describe it",
                )
            found.setdefault(one.path.resolve(), one)
    return list(found.values())


def _is_vision(one: Found) -> bool:
    """Whether a run or model is of a vision task; False where that cannot be read."""
    try:
        if one.kind == "run" and (one.path / CONFIG).is_file():
            return "task" in read_toml(one.path / CONFIG)
        return read_stored(one.path).is_vision
    except InputError:
        return False  # The section says what cannot be read.


def _in_folder(path: Path) -> Iterator[Found]:
    marker = read_marker(path)
    kind = None if marker is None else marker["kind"]
    if (path / JOURNAL).is_file():
        yield Found("unfinished", path)
    elif kind == RUN_KIND or (kind is None and (path / RUN_MODEL).is_file()):
        yield Found("run", path)
        yield from _marked_within(path)
    elif kind == FOLDS_KIND or (kind is None and (path / FOLDS).is_file()):
        yield Found("folds", path)
        for name in (EVALUATION, HELD_OUT_EVALUATION):
            if (path / name).is_dir():
                yield Found("evaluation", path / name)
        if (path / OUT_OF_FOLD).is_file():
            yield Found("predictions", path / OUT_OF_FOLD)
    elif kind == "demo":
        yield from _of_demo(path)
    elif (other := _of_marked(path, kind)) is not None:
        yield other
    else:
        what = "has no output of danq" if kind is None else f"is the folder of a {kind}"
        raise InputError(f"{what}, which a report does not show", file=path, remedy=NOTHING)


def _marked_within(path: Path) -> Iterator[Found]:
    """Evaluations, then motifs, in a run directory, in the order of their names."""
    found = []
    for folder in sorted(one for one in path.iterdir() if one.is_dir()):
        marker = read_marker(folder)
        found.append(_of_marked(folder, None if marker is None else marker["kind"]))
    yield from sorted(filter(None, found), key=lambda one: one.kind)


def _of_marked(path: Path, kind: str | None) -> Found | None:
    by_kind: dict[str, Kind] = {
        EVALUATION_KIND: "evaluation",
        MOTIF_KIND: "motifs",
        ATTRIBUTION_MOTIF_KIND: "attribution motifs",
        EFFECT_KIND: "effects of motifs",
        DESIGN_KIND: "designs",
        BIGWIG_KIND: "predictions",
    }
    if kind in by_kind:
        return Found(by_kind[kind], path)
    if kind is None and (path / INDEX).is_file():
        return Found("predictions", path)
    by_format: dict[str, Kind] = {
        EVALUATION_FORMAT: "evaluation",
        MOTIF_FORMAT: "motifs",
        ATTRIBUTION_MOTIF_FORMAT: "attribution motifs",
        EFFECT_FORMAT: "effects of motifs",
        DESIGN_FORMAT: "designs",
    }
    named = by_format.get(_format(path / SUMMARY)) if kind is None else None
    return None if named is None else Found(named, path)


def _format(path: Path) -> str:
    """The field ``format`` of a JSON file; empty if there is none."""
    try:
        with open_raw(check_file(path)) as file:
            content = json.loads(file.read(1 << 20))
    except (InputError, ValueError, RecursionError):
        return ""
    return str(content.get("format", "")) if isinstance(content, dict) else ""


def _of_demo(path: Path) -> Iterator[Found]:
    left = [one for one in DEMO_OUTPUTS if (path / one).exists() and not _is_shown_of_demo(one)]
    if left:
        log.info("%s: %s have no section in the report and are left out", path, few(left, 9))
    for name in DEMO_OUTPUTS:
        if _is_shown_of_demo(name) and (path / name).exists():
            entry = path / name
            yield from _in_folder(entry) if entry.is_dir() else [_of_file(entry)]


def _is_shown_of_demo(name: str) -> bool:
    return name in ("run", EVALUATION) or name.endswith((".tsv", ".gz"))


def _of_file(path: Path) -> Found:
    """Recognise a file.

    Raises
    ------
    InputError
        When there is none, or danq did not write it.
    """
    if not path.exists() and path.parent.is_dir():
        for folder in (folder_of(path), *shard_folders(path).values()):
            if folder.is_dir():
                return Found("unfinished", folder)
    if path.name.endswith(REJECTED):
        output = path.with_name(path.name.removesuffix(REJECTED))
        return _of_file(output) if output.exists() else Found("variants", output)
    with open_raw(check_file(path)) as file:
        head = file.read(2 * SEAL)
    kind = _of_bytes(path, head)
    if kind is None:
        raise InputError("is not an output of danq", file=path, remedy=NOTHING)
    return Found(kind, path)


def _of_bytes(path: Path, head: bytes) -> Kind | None:
    if head[8:].startswith(_MODEL_START):
        return "model"
    if head.startswith(b"danq HDF5 1 "):
        kinds: dict[str, Kind] = {
            DATASET_KIND: "dataset",
            VARIANT_KIND: "variants",
            ATTRIBUTION_KIND: "attributions",
        }
        return kinds.get(head.split(b" ")[3].decode("ascii", "replace"))
    if head.startswith(HDF5_MAGIC):
        with open_hdf5(path) as file:
            magic = file.attributes.get("magic")
        magics: dict[object, Kind] = {PREDICTIONS: "predictions", MUTATIONS: "mutations"}
        return magics.get(magic)
    if head.startswith(PARQUET_MAGIC):
        return _of_columns(columns_of_parquet(path))
    if head.startswith(GZIP_MAGIC):
        with open_bytes(path) as unpacked:
            head = unpacked.read(SEAL)
    if head.startswith(b"##fileformat=VCF"):
        return "variants" if _has_danq_fields(path) else None
    if not is_danq_table(head):
        return None
    return _of_columns(comments_and_columns(path)[1]) or "table"


def _has_danq_fields(path: Path) -> bool:
    with open_bytes(path) as file:
        for line in file:
            if not line.startswith(b"##"):
                return False
            if line.startswith(b"##INFO=<ID=DANQ_"):
                return True
    return False


def _of_columns(columns: list[str]) -> Kind | None:
    """What a table holds, by the columns that its rows are named by."""
    if columns[:5] == ["chrom", "pos", "id", "ref", "alt"] and len(columns) > 5:
        return "variants"
    if columns[0] in ("chrom", "name") and columns[1:4] == ["pos", "ref", "alt"]:
        return "mutations"
    if columns[0] in ("chrom", "name") and columns[1:3] == ["start", "end"]:
        return "predictions"
    return None
