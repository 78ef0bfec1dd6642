"""One HTML page of the outputs of danq: reads them, and draws them as SVG."""

from danq.report.content import Absent, Plot, Section, Table
from danq.report.evaluation_section import evaluation_section
from danq.report.motif_section import motif_section
from danq.report.mutation_section import mutation_section
from danq.report.prediction_section import StripOptions, prediction_section
from danq.report.report_file import ReportOptions, WrittenReport, report_sections, write_report
from danq.report.training_section import folds_section, training_section
from danq.report.variant_section import Surroundings, variant_section
from danq.report.window_section import window_section

__all__ = [
    "Absent",
    "Plot",
    "ReportOptions",
    "Section",
    "StripOptions",
    "Surroundings",
    "Table",
    "WrittenReport",
    "evaluation_section",
    "folds_section",
    "motif_section",
    "mutation_section",
    "prediction_section",
    "report_sections",
    "training_section",
    "variant_section",
    "window_section",
    "write_report",
]
