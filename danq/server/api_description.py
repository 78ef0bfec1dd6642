"""OpenAPI description of the JSON API."""

from __future__ import annotations

from typing import Any, get_args

from danq._version import __version__
from danq.inference.mutagenesis.effect_kinds import Effect
from danq.server.request_input import Task
from danq.server.settings import ServerSettings

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": ["number", "null"]}
_COUNT: Schema = {"type": "integer", "minimum": 0}


def describe_api(settings: ServerSettings) -> dict[str, Any]:
    """The description, as JSON.

    Parameters
    ----------
    settings
        Limits.
    """
    secured = [{"token": []}, {"session": []}] if settings.token is not None else []
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "danq",
            "version": __version__,
            "description": "Predictions, effects of variants and in silico mutagenesis with the "
            "models of this server. A job is submitted, then asked for its state, then for its "
            "answer. The functions are those of the command line and of the Python library, with "
            "their default settings.",
        },
        "servers": [{"url": "/"}],
        "security": secured,
        "paths": {
            "/api/model": {"get": _model()},
            "/api/jobs": {"post": _submit(settings)},
            "/api/jobs/{id}": {"get": _job(), "delete": _remove()},
            "/api/jobs/{id}/events": {"get": _events()},
            "/api/jobs/{id}/rows": {"get": _rows()},
            "/api/jobs/{id}/map": {"get": _map()},
            "/api/jobs/{id}/table": {"get": _table()},
            "/api/session": {"post": _session()},
        },
        "components": {
            "schemas": {"Job": _job_schema(), "Error": _object(error=_TEXT)},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "danq-session"},
            },
        },
    }


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _json(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _errors(**texts: str) -> dict[str, Schema]:
    known = {
        "s401": "The token is missing or wrong.",
        "s403": "The request comes from a page of another site.",
        "s421": "The request is for another host.",
        **texts,
    }
    error = {"$ref": "#/components/schemas/Error"}
    return {name[1:]: _json(text, error) for name, text in known.items()}


_JOB_REF = {"$ref": "#/components/schemas/Job"}
_ID: Schema = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{24}$"},
}
_GONE = "There is no such job, or it is no longer kept."
_NOT_READY = "The job has no answer of this kind (yet)."
_BAD = "A parameter is wrong."


def _parameter(name: str, description: str, schema: Schema, *, required: bool = False) -> Schema:
    return {
        "name": name,
        "in": "query",
        "required": required,
        "description": description,
        "schema": schema,
    }


def _model() -> Schema:
    track = _object(name=_TEXT, group=_TEXT, kind=_TEXT, unit=_TEXT)
    schema = _object(
        danq=_TEXT, models=_list(_TEXT), window=_COUNT, bin=_COUNT, tracks=_list(track),
        genome=_TEXT, contigs=_TEXT, ids={"type": "boolean"},
        examples={"type": "object"}, effects=_list(_TEXT),
        limits={"type": "object"},
    )  # fmt: skip
    return {
        "summary": "Models, tracks, genome and limits",
        "operationId": "model",
        "responses": {"200": _json("The models of this server.", schema), **_errors()},
    }


def _submit(settings: ServerSettings) -> Schema:
    return {
        "summary": "Submit a job",
        "operationId": "submit",
        "description": "The body is the input. text/plain: what a person types or pastes: a "
        "sequence; regions (chr1:1001-2000), one on each line; variants (chr1:12345 A>G, "
        "chr1-12345-A-G, chr1:g.12345A>G, or an ID such as rs123 if the server has a file with "
        "IDs), one on each line; or the content of a file. application/octet-stream: a file. Files "
        "are FASTA, BED, VCF, BCF and tables of variants, plain or gzip.",
        "parameters": [
            _parameter("task", "What is computed.", {"enum": list(get_args(Task))}, required=True),
            _parameter(
                "effect",
                "With mutate: kind of effect.",
                {"enum": list(get_args(Effect))},
            ),
        ],
        "requestBody": {
            "required": True,
            "content": {
                "text/plain": {
                    "schema": {"type": "string", "minLength": 1},
                    "example": "chrIV:1001-2000",
                },
                "application/octet-stream": {
                    "schema": {"type": "string", "format": "binary", "minLength": 1}
                },
            },
        },
        "responses": {
            "202": {
                **_json("The job waits or runs.", _JOB_REF),
                "headers": {"Location": {"description": "Its address.", "schema": _TEXT}},
            },
            **_errors(
                s400=_BAD,
                s413=f"The body has more than {settings.max_bytes:,} bytes.",
                s415="The body has another type.",
                s422="The input cannot be used.",
            ),
            "429": {
                **_json("Too many jobs wait.", {"$ref": "#/components/schemas/Error"}),
                "headers": {
                    "Retry-After": {
                        "description": "Seconds to wait.",
                        "schema": {"type": "integer"},
                    }
                },
            },
        },
    }


def _job_schema() -> Schema:
    return _object(
        id=_TEXT,
        task=_TEXT,
        state={"enum": ["waiting", "running", "done", "failed", "cancelled"]},
        ahead=_COUNT,
        done=_COUNT,
        total={"type": ["integer", "null"]},
        notices=_list(_TEXT),
        error={"type": ["string", "null"]},
    )


def _job() -> Schema:
    wait = {"type": "number", "minimum": 0, "maximum": 30}
    return {
        "summary": "State of a job",
        "operationId": "job",
        "parameters": [
            _ID,
            _parameter("wait", "Answer when the job ended, or after this time in seconds.", wait),
        ],
        "responses": {"200": _json("Its state.", _JOB_REF), **_errors(s400=_BAD, s404=_GONE)},
    }


def _remove() -> Schema:
    return {
        "summary": "Cancel a job, or forget one that ended",
        "operationId": "remove",
        "parameters": [_ID],
        "responses": {"200": _json("Its state.", _JOB_REF), **_errors(s404=_GONE)},
    }


def _events() -> Schema:
    stream = {"description": "States, as server-sent events.", "content": {"text/event-stream": {}}}
    return {
        "summary": "States of a job as they change",
        "operationId": "events",
        "parameters": [_ID],
        "responses": {"200": stream, **_errors(s404=_GONE)},
    }


def _rows() -> Schema:
    most = {"type": "integer", "minimum": 0, "maximum": 200}
    schema = _object(
        values=_TEXT, total=_COUNT, first=_COUNT, names=_list(_TEXT), columns=_list(_TEXT),
        rows=_list({"type": "object"}), data=_list(_list(_NUMBER)), rejected_total=_COUNT,
        rejected=_list({"type": "object"}),
        meanings={"type": "object", "additionalProperties": _TEXT},
    )  # fmt: skip
    return {
        "summary": "Rows of the answer of predict or variants",
        "operationId": "rows",
        "parameters": [
            _ID,
            _parameter("first", "Number of the first row, from 0.", _COUNT),
            _parameter("count", "Number of rows.", most),
        ],
        "responses": {
            "200": _json("Values of each row, in the order of columns.", schema),
            **_errors(s400=_BAD, s404=_GONE, s409=_NOT_READY),
        },
    }


def _map() -> Schema:
    schema = _object(
        values=_TEXT, sequences=_list(_TEXT), sequence=_COUNT, name=_TEXT, first=_COUNT,
        bases=_TEXT, track=_TEXT, effects=_list(_list(_NUMBER)), strongest=_list(_NUMBER),
    )  # fmt: skip
    return {
        "summary": "Effects of all substitutions of one sequence on one track",
        "operationId": "map",
        "parameters": [
            _ID,
            _parameter("sequence", "Number of the sequence, from 0.", _COUNT),
            _parameter("track", "Number of the track, from 0.", _COUNT),
        ],
        "responses": {
            "200": _json("Effects of A, C, G and T at each base.", schema),
            **_errors(s400=_BAD, s404=_GONE, s409=_NOT_READY, s422="There is no such sequence."),
        },
    }


def _table() -> Schema:
    table = {
        "description": "The table, as the commands write it.",
        "content": {"text/tab-separated-values": {"schema": _TEXT}},
    }
    return {
        "summary": "The whole answer as TSV",
        "operationId": "table",
        "parameters": [_ID],
        "responses": {"200": table, **_errors(s404=_GONE, s409=_NOT_READY)},
    }


def _session() -> Schema:
    body = {"application/json": {"schema": _object(token=_TEXT)}}
    return {
        "summary": "Open a session with the token, for browsers",
        "operationId": "session",
        "security": [],
        "requestBody": {"required": True, "content": body},
        "responses": {
            "200": _json("The cookie is set.", _object(ok={"type": "boolean"})),
            **_errors(s400="The body is not JSON.", s413="The body is too large."),
        },
    }
