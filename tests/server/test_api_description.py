"""The OpenAPI description, and requests that schemathesis makes from it."""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.server.conftest import BASE, User

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    response_schema_conformance,
    response_headers_conformance,
]


def call(client: Any, case: schemathesis.Case) -> Any:
    """Send a request of schemathesis."""
    given = case.as_transport_kwargs(base_url=BASE)
    data = given.get("data")
    content = data.encode() if isinstance(data, str) else data
    return client.request(
        given["method"],
        given["url"],
        params=given.get("params"),
        headers=given.get("headers"),
        content=content,
        **({"json": given["json"]} if "json" in given else {}),
    )


def test_every_address_is_described(client):
    description = client.get("/api/openapi.json").json()
    described = {
        (path, method.upper())
        for path, operations in description["paths"].items()
        for method in operations
    }
    served = {
        (route.path, method)
        for route in client.app.routes
        for method in route.methods - {"HEAD"}
        if route.path.startswith("/api/")
    }
    assert described == served - {("/api/openapi.json", "GET")}
    for operation in (one for paths in description["paths"].values() for one in paths.values()):
        assert operation["summary"]
        assert operation["operationId"]


def test_schemathesis_finds_no_server_error(client):
    predicted = User(client).state("predict", "ACGTACGT")["id"]
    mutated = User(client).state("mutate", "ACGTACGT")["id"]
    schema = schemathesis.openapi.from_dict(client.get("/api/openapi.json").json())
    statuses = set()

    for operation in (one.ok() for one in schema.get_all_operations()):

        @settings(max_examples=20, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def send(case):
            for id in (predicted, mutated, None):
                if id is not None:
                    if "id" not in case.path_parameters or case.method == "DELETE":
                        continue
                    case.path_parameters["id"] = id
                response = call(client, case)
                statuses.add(response.status_code)
                case.validate_response(response, checks=CHECKS)

        send()
    assert {200, 202, 400, 404, 409, 422} <= statuses
