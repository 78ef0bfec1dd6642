"""The full pipeline on a small simulated genome, compared with the ground truth."""

from danq.demo.demo_report import OUTPUTS, DemoReport
from danq.demo.run_demo import maximum_aupr, run_demo

__all__ = ["OUTPUTS", "DemoReport", "maximum_aupr", "run_demo"]
