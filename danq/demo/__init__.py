"""The whole chain on a small simulated genome: what comes out, and how near the truth it is."""

from danq.demo.chain import ceilings, demo
from danq.demo.report import PARTS, DemoReport

__all__ = ["PARTS", "DemoReport", "ceilings", "demo"]
