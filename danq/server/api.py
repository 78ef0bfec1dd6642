"""Routes of the JSON API."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from danq._version import __version__
from danq.errors import InputError, few
from danq.server.answers import Answer, score_columns
from danq.server.api_description import describe_api
from danq.server.jobs import Job, JobQueue, QueueFull, notices_of_request
from danq.server.messages import Messages
from danq.server.predictor import EFFECTS, TASKS, Predictor
from danq.server.request_input import UPLOAD, is_short
from danq.server.security import COOKIE, Sessions

MAX_WAIT = 30.0
"""Seconds for which a request waits for a job."""

MAX_ROWS = 200
"""Rows of one answer."""

_POLL = 0.01
_TYPES = ("text/plain", "application/octet-stream")


class Api:
    """Functions that answer requests.

    Parameters
    ----------
    predictor
        Models, genome and tasks.
    jobs
        The queue.
    sessions
        Browsers that have sent the token.
    messages
        Makes texts for users.
    folder
        Private folder of uploads.
    """

    def __init__(
        self,
        predictor: Predictor,
        jobs: JobQueue,
        sessions: Sessions,
        messages: Messages,
        folder: Path,
    ) -> None:
        self.predictor, self.jobs, self.sessions = predictor, jobs, sessions
        self.messages, self.folder = messages, folder
        self.settings = predictor.settings

    def routes(self) -> list[Route]:
        """All routes under ``/api``."""
        return [
            Route("/api/openapi.json", self.description, methods=["GET"]),
            Route("/api/session", self.session, methods=["POST"]),
            Route("/api/model", self.model, methods=["GET"]),
            Route("/api/jobs", self.submit, methods=["POST"]),
            Route("/api/jobs/{id}", self.job, methods=["GET"]),
            Route("/api/jobs/{id}", self.remove, methods=["DELETE"]),
            Route("/api/jobs/{id}/events", self.events, methods=["GET"]),
            Route("/api/jobs/{id}/rows", self.rows, methods=["GET"]),
            Route("/api/jobs/{id}/map", self.map, methods=["GET"]),
            Route("/api/jobs/{id}/table", self.table, methods=["GET"]),
        ]

    async def description(self, request: Request) -> Response:
        """OpenAPI description."""
        return JSONResponse(describe_api(self.settings))

    async def session(self, request: Request) -> Response:
        """Open a session with the token, for browsers."""
        body = await self._body(request, 4096)
        try:
            token = json.loads(body)["token"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise HTTPException(400, "the body is not JSON with a token") from None
        if not isinstance(token, str) or not self.sessions.is_token(token):
            if self.sessions.needed:
                # Slows down guessing.
                await asyncio.sleep(1)
            raise HTTPException(401, "the token is wrong")
        answer = JSONResponse({"ok": True})
        answer.set_cookie(COOKIE, self.sessions.open(), httponly=True, samesite="strict")
        return answer

    async def model(self, request: Request) -> Response:
        """The models, their tracks, the genome and the limits."""
        ensemble, genome = self.predictor.ensemble, self.predictor.genome
        tracks = zip(ensemble.tracks, ensemble.groups, ensemble.kinds, ensemble.units, strict=True)
        return JSONResponse(
            {
                "danq": __version__,
                "models": [self.messages.clean(name) for name in ensemble.names],
                "window": ensemble.window,
                "bin": ensemble.bin,
                "tracks": [
                    {"name": name, "group": group, "kind": kind, "unit": str(unit or "")}
                    for name, group, kind, unit in tracks
                ],
                "genome": genome.path.name,
                "contigs": few(genome.packed.contigs, 5),
                "ids": genome.ids is not None,
                "examples": self.predictor.examples,
                "effects": list(EFFECTS),
                "limits": {
                    name: getattr(self.settings, name)
                    for name in ("max_bytes", "max_rows", "max_bases", "max_seconds", "max_waiting")
                },
            }
        )

    async def submit(self, request: Request) -> Response:
        """Put a task in the queue."""
        query = request.query_params
        unknown = set(query) - {"task", "effect"}
        if unknown or len(query.multi_items()) != len(query):
            raise HTTPException(400, "parameters are task and effect, each once")
        if "task" not in query:
            raise HTTPException(400, f"the parameter task is missing: {', '.join(TASKS)}")
        task = self.predictor.check(query["task"], query.get("effect"))
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in _TYPES:
            raise HTTPException(415, f"the body has the type '{kind}', not {' or '.join(_TYPES)}")
        body = await self._body(request, self.settings.max_bytes)
        if not body:
            raise InputError("the input is empty", remedy="Paste a sequence, region or variant")
        folder, notices, source = None, [], None
        if kind == "text/plain":
            try:
                text = body.decode("utf-8")
            except UnicodeDecodeError:
                raise InputError("the text is not UTF-8", remedy="Send a file") from None
            source, notices = await run_in_threadpool(self._typed, text, task)
        if source is None:
            folder = Path(tempfile.mkdtemp(prefix="job-", dir=self.folder))
            source = folder / UPLOAD
            source.write_bytes(body)

        def discard() -> None:
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)

        job = Job(
            task,
            self.predictor.work(task, source, query.get("effect")),
            discard,
            self.settings.max_seconds,
            short=is_short(task, body),
            notices=notices,
        )
        try:
            self.jobs.submit(job)
        except QueueFull as full:
            discard()
            raise HTTPException(
                429,
                f"{self.settings.max_waiting} jobs wait already; try again in {full.seconds} s",
                {"Retry-After": str(full.seconds)},
            ) from None
        return JSONResponse(self._state(job), 202, {"Location": f"/api/jobs/{job.id}"})

    def _typed(self, text: str, task: Any) -> tuple[Any, list[str]]:
        with notices_of_request() as notices:
            return self.predictor.typed(text, task), notices

    async def job(self, request: Request) -> Response:
        """State of a job; with ``wait``, when it ended or after this time in seconds."""
        job = self._find(request)
        wait = _number(request, "wait", 0.0, MAX_WAIT)
        end = asyncio.get_running_loop().time() + wait
        while not job.is_ended and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(_POLL)
        return JSONResponse(self._state(job))

    async def remove(self, request: Request) -> Response:
        """Cancel a job, or forget one that ended."""
        job = self._find(request)
        self.jobs.remove(job)
        return JSONResponse(self._state(job))

    async def events(self, request: Request) -> Response:
        """States of a job as they change, as server-sent events."""
        job = self._find(request)

        async def stream() -> AsyncIterator[bytes]:
            last, silent = None, 0.0
            while True:
                ended = job.is_ended
                state = json.dumps(self._state(job))
                if state != last:
                    yield f"data: {state}\n\n".encode()
                    last, silent = state, 0.0
                if ended:
                    return
                await asyncio.sleep(0.05)
                silent += 0.05
                if silent > 15:
                    # Keeps the connection open.
                    yield b": waiting\n\n"
                    silent = 0.0

        return StreamingResponse(stream(), media_type="text/event-stream")

    async def rows(self, request: Request) -> Response:
        """Some rows of the answer of a job."""
        answer = self._answer(request, ("predict", "variants"))
        first = int(_number(request, "first", 0, 10**9, whole=True))
        count = int(_number(request, "count", 20, MAX_ROWS, whole=True))
        found = await run_in_threadpool(answer.rows, first, count)
        if answer.result.rows.columns and "alt" in answer.result.rows.columns:
            found["scores"] = score_columns(answer.result.tracks, answer.result.columns)
        return JSONResponse(found)

    async def map(self, request: Request) -> Response:
        """Effects of all substitutions of a sequence on a track."""
        answer = self._answer(request, ("mutate",))
        sequence = int(_number(request, "sequence", 0, 10**9, whole=True))
        track = int(_number(request, "track", 0, 10**9, whole=True))
        return JSONResponse(await run_in_threadpool(answer.map, sequence, track))

    async def table(self, request: Request) -> Response:
        """The whole answer of a job as a table, as the commands write it."""
        answer = self._answer(request, TASKS)
        body = await run_in_threadpool(answer.table, self.messages.clean)
        name = f"danq-{self._find(request).task}.tsv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(body, media_type="text/tab-separated-values", headers=headers)

    def _find(self, request: Request) -> Job:
        job = self.jobs.find(request.path_params["id"])
        if job is None:
            raise HTTPException(404, "there is no such job, or it is no longer kept")
        return job

    def _answer(self, request: Request, tasks: tuple[str, ...]) -> Answer:
        job = self._find(request)
        if job.state != "done":
            raise HTTPException(409, f"the job has no answer; it is {job.state}")
        if job.task not in tasks:
            raise HTTPException(409, f"the task of the job is {job.task}")
        return job.answer

    def _state(self, job: Job) -> dict[str, Any]:
        return {
            "id": job.id,
            "task": job.task,
            "state": job.state,
            "ahead": self.jobs.ahead(job),
            "done": job.done,
            "total": job.total,
            "notices": list(job.notices),
            "error": job.error,
        }

    async def _body(self, request: Request, most: int) -> bytes:
        """Body of a request, within a limit."""
        parts, size = [], 0
        async for part in request.stream():
            size += len(part)
            if size > most:
                raise HTTPException(413, f"the request has more than {most:,} bytes")
            parts.append(part)
        return b"".join(parts)


def _number(
    request: Request, name: str, default: float, most: float, *, whole: bool = False
) -> float:
    """A number among the parameters of a request."""
    text = request.query_params.get(name)
    if text is None:
        return default
    try:
        value = float(int(text)) if whole else float(text)
    except (ValueError, OverflowError):
        value = -1.0
    if not 0 <= value <= most or not text.isascii():
        raise HTTPException(400, f"{name} is not a number from 0 to {most:g}")
    return value
