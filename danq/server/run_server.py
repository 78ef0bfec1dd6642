"""Run the application with uvicorn."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence

import uvicorn

from danq.errors import InputError
from danq.models import Model
from danq.server.app import make_app
from danq.server.settings import ServerSettings
from danq.typing import Location


def run_server(
    models: Sequence[Model],
    genome: Location,
    settings: ServerSettings,
    started: Callable[[str], None],
) -> None:
    """As `danq.server.serve`."""
    with _listen(settings) as listening:
        app = make_app(models, genome, settings)
        config = uvicorn.Config(
            app,
            log_level="critical",
            access_log=False,
            server_header=False,
            ws="none",
            http="h11",
            lifespan="on",
            loop="asyncio",
            limit_concurrency=256,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=5,
            proxy_headers=False,
        )
        server = _Server(config, lambda: started(_address(listening, settings)))
        server.run([listening])


class _Server(uvicorn.Server):
    """A server that reports when it answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], object]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            self._ready()


def _listen(settings: ServerSettings) -> socket.socket:
    """A socket that is bound to the address."""
    place = f"{settings.host} port {settings.port}"
    try:
        found = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, address = found[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise InputError(f"cannot listen on {place}: {error.strerror}") from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        listening.close()
        raise InputError(
            f"cannot listen on {place}: {error.strerror}", remedy="Choose another port"
        ) from error
    return listening


def _address(listening: socket.socket, settings: ServerSettings) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{listening.getsockname()[1]}/"
