"""Who may use the server."""

from __future__ import annotations

import pytest

from danq.server.security import HEADERS
from tests.server.conftest import BASE, User

TOKEN = "a-token-of-some-length"


@pytest.mark.parametrize("path", ["/", "/page.js", "/api/model", "/api/jobs/x", "/nothing"])
def test_headers_of_every_response(client, path):
    response = client.get(path)
    for name, value in HEADERS.items():
        assert response.headers[name] == value
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8765", "127.0.0.1.evil.example", "127.0.0.1@evil.example",
     "localhost:x", "", "192.168.1.5:8765", "localhost/evil"],
)  # fmt: skip
def test_other_hosts_are_refused(client, host):
    for path in ("/", "/api/model"):
        assert client.get(path, headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8765", "[::1]:8765", "LOCALHOST:1"])
def test_own_hosts(client, host):
    assert client.get("/api/model", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "http://127.0.0.1:8765.evil.example"},
        {"Origin": "file://"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_pages_of_other_sites_are_refused(client, headers):
    kind = {"Content-Type": "text/plain"}
    response = client.post("/api/jobs?task=predict", content="ACGT", headers={**headers, **kind})
    assert response.status_code == 403
    assert "access-control-allow-origin" not in response.headers


def test_the_own_page_is_allowed(client):
    headers = {"Origin": BASE, "Sec-Fetch-Site": "same-origin", "Content-Type": "text/plain"}
    response = client.post("/api/jobs?task=predict", content="ACGT", headers=headers)
    assert response.status_code == 202


def test_a_token_is_needed_for_the_api_only(serve):
    client = serve(token=TOKEN, host="0.0.0.0", base="http://192.168.1.5:8765")
    assert client.get("/").status_code == 200
    assert client.get("/page.js").status_code == 200
    for path in ("/api/model", "/api/openapi.json", "/api/jobs/x", "/api/nothing"):
        response = client.get(path)
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert User(client).post("predict", "ACGT").status_code == 401
    for wrong in ("Bearer", "Bearer x", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xe4"):
        headers = {"Authorization": wrong.encode("latin-1")}
        assert client.get("/api/model", headers=headers).status_code == 401
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert client.get("/api/model", headers=headers).status_code == 200


def test_a_browser_gets_a_session(serve):
    client = serve(token=TOKEN)
    for wrong in (b"", b"{", b"[]", b'{"token": 5}', b'{"token": "x"}', b"[" * 4000):
        response = client.post("/api/session", content=wrong)
        assert response.status_code in (400, 401)
        assert "set-cookie" not in response.headers
    assert client.post("/api/session", content=b"x" * 5000).status_code == 413
    response = client.post("/api/session", json={"token": TOKEN})
    cookie = response.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert client.get("/api/model").status_code == 200
    assert User(client).state("predict", "ACGT")["state"] == "done"
    client.cookies.clear()
    client.cookies.set("danq-session", "x")
    assert client.get("/api/model").status_code == 401


def test_a_host_with_a_token_is_an_address_or_an_own_name(serve):
    import socket

    client = serve(token=TOKEN, host="0.0.0.0", base="http://192.168.1.5:8765")
    headers = {"Authorization": f"Bearer {TOKEN}"}
    for host, status in ((socket.gethostname(), 200), ("evil.example", 421), ("[fe80::1]", 200)):
        found = client.get("/api/model", headers={**headers, "Host": host})
        assert found.status_code == status
