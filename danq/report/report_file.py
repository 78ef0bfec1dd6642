"""Write one HTML page of the outputs of other commands."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from danq.datasets.dataset import Dataset
from danq.errors import InputError
from danq.files.inputs_in_use import protects_inputs
from danq.files.toml_file import read_toml
from danq.genome.fasta import Genome
from danq.genome.gene_models import read_genes
from danq.models import Model, load_model
from danq.notebook_display import Display, display_html, display_text
from danq.output import check_target, replacing
from danq.progress import counted
from danq.report.attribution_motif_section import attribution_motif_section
from danq.report.attribution_section import attribution_section
from danq.report.content import Absent, Gene, Section
from danq.report.evaluation_section import evaluation_section
from danq.report.experiment_sections import design_section, marginalization_section
from danq.report.find_outputs import Found, find_outputs
from danq.report.genotypes import without_sample
from danq.report.motif_section import motif_section
from danq.report.mutation_section import mutation_section
from danq.report.observed_tracks import DatasetTracks, FileTrack
from danq.report.other_sections import dataset_section, table_section, unfinished_section
from danq.report.page import render_page, sections_shown
from danq.report.prediction_section import ObservedRows, StripOptions, prediction_section
from danq.report.training_section import folds_section, training_section
from danq.report.variant_section import Surroundings, variant_section
from danq.report.window_section import window_section
from danq.training.config import CONFIG
from danq.training.run_directory import DATASET
from danq.typing import Location

MAX_BYTES = 15_000_000
"""Largest size of a page."""

MAX_DATASET = 2_000_000_000
"""Bytes of the largest dataset that is opened without being named."""

_THINNED = (1, 4, 16, 64)

log = logging.getLogger("danq")


class WrittenReport(NamedTuple):
    """A page that was written.

    Attributes
    ----------
    path
        The page.
    sections
        Its sections.
    size
        Its bytes.
    """

    path: Path
    sections: tuple[Section, ...]
    size: int

    __repr__ = display_text
    _repr_html_ = display_html

    def _display(self) -> Display:
        *sections, page = self.describe().splitlines()
        return Display(page, "\n".join(sections))

    def describe(self) -> str:
        """A line for each section, then the page and its size."""
        lines = list(sections_shown(self.sections))
        many = "s" * (len(lines) != 1)
        size = f"{len(lines)} section{many}, {self.size / 1e6:.1f} MB"
        return "\n".join([*lines, f"{self.path}: {size}"])

    def to_dict(self) -> dict[str, Any]:
        """Path and size of the page, and of each section its title, source and what is absent."""
        sections = []
        for one in self.sections:
            absent = [part for part in one.parts if isinstance(part, Absent)]
            sections.append(
                {
                    "title": one.title,
                    "source": one.source,
                    "parts": len(one.parts) - len(absent),
                    "absent": [{"what": part.what, "why": part.why} for part in absent],
                }
            )
        return {"path": self.path, "size": self.size, "sections": sections}


@dataclass(frozen=True)
class ReportOptions:
    """What a report shows beside the outputs.

    Attributes
    ----------
    genome
        FASTA of the genome, for the mutations around variants.
    model
        Model for these; None for that of a run directory among the outputs.
    genes
        GFF3, GTF or BED of genes, for browser strips.
    observed
        Files of peaks (BED) or signals (bigWig), for browser strips.
    region
        Region of browser strips, 1-based and closed; None for that around the highest prediction.
    windows
        Whether the best and worst windows are found, which runs the model.
    genotypes
        Whether genotypes and names of samples in outputs of variant effects are shown.
    title
        Title of the page.
    """

    genome: Location | None = None
    model: Location | None = None
    genes: Location | None = None
    observed: Sequence[Location] = ()
    region: str | None = None
    windows: bool = True
    genotypes: bool = False
    title: str = "danq report"


@protects_inputs
def write_report(
    paths: Sequence[Location] | Location,
    out: Location,
    options: ReportOptions | None = None,
    *,
    overwrite: bool = False,
) -> WrittenReport:
    """Write one self-contained HTML page of run directories and other outputs of danq.

    Parameters
    ----------
    paths
        Run directories, folders of folds, evaluations or motifs, and files of variant effects,
        mutations, predictions, datasets and other tables. They are recognised by their content. A
        run directory also gives the evaluations and motifs in it.
    out
        The page.
    options
        What it shows beside the outputs.
    overwrite
        Whether to replace an existing file.

    Returns
    -------
    WrittenReport
        The sections, with what each of them does not show, and why.

    Raises
    ------
    InputError
        When a path does not exist or danq did not write it; when another input cannot be read; when
        the page exists and ``overwrite`` is false, would be larger than `MAX_BYTES`, or cannot be
        written.
    """
    options = options or ReportOptions()
    target = check_target(out, overwrite)
    sections = report_sections(paths, options)
    page = b""
    for thinned in _THINNED:
        page = render_page(sections, options.title, thinned=thinned).encode("utf-8")
        if len(page) <= MAX_BYTES:
            break
        log.info("the page has %.1f MB: fewer rows of tables are shown", len(page) / 1e6)
    if len(page) > MAX_BYTES:
        raise InputError(
            f"the report would have {len(page) / 1e6:.0f} MB; {MAX_BYTES / 1e6:.0f} are allowed",
            remedy="Give fewer outputs",
        )
    with replacing(target, overwrite) as temporary:
        temporary.write_bytes(page)
    return WrittenReport(target, sections, len(page))


def report_sections(
    paths: Sequence[Location] | Location, options: ReportOptions | None = None
) -> tuple[Section, ...]:
    """The sections of a report, in the order of the outputs. Each has another title.

    Parameters
    ----------
    paths, options
        As in `write_report`.

    Raises
    ------
    InputError
        As `write_report`, for the inputs.
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    if not given:
        raise InputError(
            "there is nothing to report on", remedy="Give a run directory or an output"
        )
    found = find_outputs(map(Path, given))
    context = _Context(found, options or ReportOptions())
    sections: list[Section] = []
    for one in counted(found, "reading outputs", "outputs"):
        log.info("report: %s %s", one.kind, one.path)
        sections += context.sections(one)
    if not context.options.genotypes:
        sections = [replace(one, provenance=without_sample(one.provenance)) for one in sections]
    counts = Counter(one.title for one in sections)
    return tuple(
        one if counts[one.title] == 1 else replace(one, title=f"{one.title} ({one.source})")
        for one in sections
    )


@dataclass(frozen=True)
class _Context:
    """What sections need beside their own output; each is read once, if a section needs it."""

    found: list[Found]
    options: ReportOptions
    _datasets: dict[Path, Dataset | Absent] = field(default_factory=dict)
    _models: dict[Path, Model | Absent] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Wrong files are refused before any work.
        _ = self.strip
        if self.options.genome is not None:
            with Genome(self.options.genome):
                pass
        if self.options.model is not None:
            self._models[Path(self.options.model).resolve()] = load_model(self.options.model)

    def sections(self, one: Found) -> Iterator[Section]:
        """The sections on an output."""
        if one.kind in ("run", "model"):
            dataset = self._dataset_of(one)
            yield training_section(one.path, dataset)
            if one.kind == "run" and self.options.windows:
                yield window_section(one.path, self._loaded(one.path), dataset)
        elif one.kind == "variants":
            yield variant_section(
                one.path,
                Surroundings(self._model, self.options.genome),
                genotypes=self.options.genotypes,
            )
        elif one.kind == "predictions":
            data = [
                DatasetTracks(one) for one in self._datasets.values() if isinstance(one, Dataset)
            ]
            own = replace(self.strip, observed=(*self.strip.observed, *data))
            yield prediction_section(one.path, own)
        elif one.kind == "dataset":
            yield dataset_section(one.path, self._opened(one.path))
        else:
            yield _SIMPLE[one.kind](one.path)

    @cached_property
    def strip(self) -> StripOptions:
        """Region, observed tracks and genes of browser strips."""
        observed: list[ObservedRows] = [FileTrack(Path(file)) for file in self.options.observed]
        for one in self.found:
            if one.kind == "dataset":
                self._opened(one.path)
        genes: dict[str, list[Gene]] | None = None
        if self.options.genes is not None:
            genes = {}
            for gene in read_genes(self.options.genes):
                own = Gene(gene.name, gene.start, gene.end, gene.strand, gene.exons)
                genes.setdefault(gene.contig, []).append(own)
        return StripOptions(self.options.region, tuple(observed), genes)

    @cached_property
    def _model(self) -> Model | Absent:
        if self.options.model is not None:
            return self._loaded(Path(self.options.model))
        for one in self.found:
            if one.kind in ("run", "model"):
                return self._loaded(one.path)
        return Absent("the model", "they need the model, which was not given")

    def _loaded(self, path: Path) -> Model | Absent:
        key = path.resolve()
        if key not in self._models:
            try:
                self._models[key] = load_model(path)
            except InputError as error:
                self._models[key] = Absent("the model", str(error))
        return self._models[key]

    def _opened(self, path: Path) -> Dataset | Absent:
        key = path.resolve()
        if key not in self._datasets:
            try:
                self._datasets[key] = Dataset.open(path)
            except InputError as error:
                self._datasets[key] = Absent("the dataset", str(error))
        return self._datasets[key]

    def _dataset_of(self, run: Found) -> Dataset | Absent:
        """The dataset that a model was trained on: one of the outputs, or that of the run."""
        loaded = self._loaded(run.path)
        if isinstance(loaded, Absent):
            return Absent("the positives of each track", loaded.why)
        expected = loaded.spec.data_sha256
        given = [one.path for one in self.found if one.kind == "dataset"]
        for path in given:
            dataset = self._opened(path)
            if isinstance(dataset, Dataset) and dataset.sha256 == expected:
                return dataset
        what = "the positives of each track"
        path = _stored_dataset(run.path)
        if path is None:
            return Absent(what, "the dataset of the training is not known; give it as well")
        if not path.is_file():
            return Absent(what, f"the dataset {path} does not exist any more; give it as well")
        if path.stat().st_size > MAX_DATASET:
            return Absent(what, f"the dataset {path} is large; give it as well to show them")
        dataset = self._opened(path)
        if isinstance(dataset, Dataset) and expected and dataset.sha256 != expected:
            return Absent(what, f"{path} is not the dataset of the training any more")
        return dataset


_SIMPLE = {
    "folds": folds_section,
    "evaluation": evaluation_section,
    "motifs": motif_section,
    "mutations": mutation_section,
    "attributions": attribution_section,
    "attribution motifs": attribution_motif_section,
    "effects of motifs": marginalization_section,
    "designs": design_section,
    "table": table_section,
    "unfinished": unfinished_section,
}


def _stored_dataset(path: Path) -> Path | None:
    """The dataset file of a run: in its directory, or where its configuration says."""
    if not path.is_dir():
        return None
    if (path / DATASET).is_file():
        return path / DATASET
    try:
        file = read_toml(path / CONFIG).get("data", {}).get("file")
    except (InputError, AttributeError):
        return None
    return Path(file) if isinstance(file, str) else None
