"""Address and limits of the server."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from danq.errors import InputError
from danq.typing import Location

MIN_TOKEN = 16
"""Smallest number of characters of a token."""


@dataclass(frozen=True)
class ServerSettings:
    """Address and limits of the server.

    Attributes
    ----------
    host
        Address or name on which the server listens.
    port
        Port; 0 selects a free one.
    token
        Secret that clients must send. Needed if ``host`` is not a loopback address.
    ids
        VCF or BCF with variant IDs (rsIDs) that requests may name.
    max_bytes
        Bytes of a request.
    max_unpacked
        Bytes of an unpacked upload.
    max_rows
        Predictions or variants of a job.
    max_bases
        Bases that a job mutates.
    max_values
        Values of a result: rows times columns.
    max_seconds
        Seconds that a job runs.
    max_waiting
        Jobs that wait. Further ones are refused until one of them starts.
    max_kept
        Completed jobs that are kept.
    max_kept_values
        Values of all results that are kept.
    keep_seconds
        Seconds for which a completed job is kept.

    Raises
    ------
    InputError
        When a token is missing or too short, or the port is none.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    token: str | None = None
    ids: Location | None = None
    max_bytes: int = 10_000_000
    max_unpacked: int = 50_000_000
    max_rows: int = 10_000
    max_bases: int = 5_000
    max_values: int = 20_000_000
    max_seconds: float = 300.0
    max_waiting: int = 32
    max_kept: int = 64
    max_kept_values: int = 50_000_000
    keep_seconds: float = 1800.0

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise InputError(f"port {self.port} is not from 0 to 65535")
        if self.token is None and not self.is_private:
            raise InputError(
                f"other machines can reach the address {self.host}, and no token is set",
                remedy=f"Set a token of at least {MIN_TOKEN} characters, or use 127.0.0.1",
            )
        if self.token is not None and not (
            len(self.token) >= MIN_TOKEN and self.token.isascii() and self.token.isprintable()
        ):
            raise InputError(
                "the token is short or has other characters than ASCII letters, digits and signs",
                remedy=f"Choose at least {MIN_TOKEN} characters, at random",
            )

    @property
    def is_private(self) -> bool:
        """Whether only programs on the same machine can reach the address."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
