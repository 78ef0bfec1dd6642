"""Version of danq."""

__version__ = "0.2.0"
