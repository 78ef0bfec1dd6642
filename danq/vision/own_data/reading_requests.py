"""Requests to processes that read files, and the answers to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Request = dict[str, Any]
"""Name and arguments of a method of `danq.vision.own_data.reading_worker.Worker`."""


def file_count(request: Request) -> int:
    """Number of files that a request is for."""
    return len(request.get("paths") or request.get("rows") or [])


def name_of_request(request: Request) -> str:
    """Path of the first file of a request."""
    return request["paths"][0] if "paths" in request else name_of(request["sources"][0])


def single_requests(request: Request) -> list[Request]:
    """Requests for one file each."""
    if "paths" in request:
        return [{**request, "paths": [path]} for path in request["paths"]]
    lists = ("rows", "sources", "stamps")
    return [
        {**request, "first": request["first"] + i, **{name: [request[name][i]] for name in lists}}
        for i in range(len(request["rows"]))
    ]


def joined_answers(request: Request, answers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Answer to a request, from those to `single_requests`."""
    for answer in answers:
        if "bug" in answer or ("error" in answer and "paths" not in request):
            return answer
    if "paths" not in request:
        return {"answer": None}
    # An error is an answer to a request to check files.
    found = [[one["error"]] if "error" in one else one["answer"] for one in answers]
    return {"answer": [one for part in found for one in part]}


def name_of(source: Any) -> str:
    """Path of the file of an example."""
    return source if isinstance(source, str) else source["path"]
