"""The whole chain on a small simulated genome: what comes out, and how near the truth it is."""

from danq.demo.demo_report import PARTS, DemoReport
from danq.demo.run_demo import ceilings, demo

__all__ = ["PARTS", "DemoReport", "ceilings", "demo"]
