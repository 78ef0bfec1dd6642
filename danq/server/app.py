"""The application: page, API, queue, private folder."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from importlib.resources import files
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from danq.errors import InputError
from danq.models import Model
from danq.server.api import Api
from danq.server.jobs import JobQueue
from danq.server.messages import Messages
from danq.server.predictor import Predictor
from danq.server.security import Guard, Sessions
from danq.server.settings import ServerSettings
from danq.typing import Location

_PAGES = {
    "/": ("danq.server", "static/page.html", "text/html"),
    "/api": ("danq.server", "static/api.html", "text/html"),
    "/report.css": ("danq.report", "page.css", "text/css"),
    "/page.css": ("danq.server", "static/page.css", "text/css"),
    "/page.js": ("danq.server", "static/page.js", "text/javascript"),
    "/drawings.js": ("danq.server", "static/drawings.js", "text/javascript"),
    "/api.js": ("danq.server", "static/api.js", "text/javascript"),
    "/icon.svg": ("danq.server", "static/icon.svg", "image/svg+xml"),
}
"""Files of the page by their address: package, path, type. There are no others."""


def make_app(
    models: Model | Sequence[Model],
    genome: Location,
    settings: ServerSettings | None = None,
    *,
    warm: bool = True,
) -> Starlette:
    """Web application of loaded models, for a server such as uvicorn.

    Parameters
    ----------
    models
        Loaded models.
    genome
        FASTA of the reference genome.
    settings
        Address and limits.
    warm
        Whether each task runs once before the first request.

    Raises
    ------
    InputError
        When a file cannot be read or the models disagree.
    """
    settings = settings or ServerSettings()
    listed = [models] if isinstance(models, Model) else list(models)
    predictor = Predictor.of(listed, genome, settings)
    folder = Path(tempfile.mkdtemp(prefix="danq-serve-"))
    discard = partial(shutil.rmtree, folder, ignore_errors=True)
    paths = [Path(genome), *(Path(one) for one in [settings.ids] if one is not None)]
    paths += [one.path for one in listed if one.path is not None]
    messages = Messages(folder, paths)
    jobs = JobQueue(settings, messages)
    sessions = Sessions(settings.token)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        try:
            if warm:
                await run_in_threadpool(predictor.warm_up)
            jobs.start()
            yield
        finally:
            await run_in_threadpool(jobs.stop)
            discard()

    async def refuse_input(request: Request, error: Exception) -> Response:
        return JSONResponse({"error": messages.of_error(error)}, 422)

    app = Starlette(
        routes=[*map(_page, _PAGES), *Api(predictor, jobs, sessions, messages, folder).routes()],
        lifespan=lifespan,
        middleware=[Middleware(Guard, settings=settings, sessions=sessions)],
        exception_handlers={HTTPException: _refuse, InputError: refuse_input},
    )
    weakref.finalize(app, discard)
    app.state.jobs, app.state.folder = jobs, folder
    return app


def _page(address: str) -> Route:
    """A file of the page, read once."""
    package, path, kind = _PAGES[address]
    content = files(package).joinpath(path).read_bytes()

    async def respond(request: Request) -> Response:
        return Response(content, media_type=kind)

    return Route(address, respond, methods=["GET"])


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)
