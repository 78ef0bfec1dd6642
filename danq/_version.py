"""Version of danq."""

__version__ = "0.1.0"
