"""What danq runs on: packages, CPU, devices and caches, with short measured checks."""

from danq.diagnosis.diagnose import doctor
from danq.diagnosis.report import Diagnosis, Finding

__all__ = ["Diagnosis", "Finding", "doctor"]
