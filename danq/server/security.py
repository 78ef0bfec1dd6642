"""Checks of every request, and headers of every response."""

from __future__ import annotations

import hmac
import ipaddress
import json
import secrets
import socket
from collections import OrderedDict
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from danq.server.jobs import log_place
from danq.server.settings import ServerSettings

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}

COOKIE = "danq-session"

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_OPEN = "/api/session"
_MAX_SESSIONS = 1000


class Sessions:
    """Browsers that have sent the token.

    Parameters
    ----------
    token
        The token; None if none is needed.
    """

    def __init__(self, token: str | None) -> None:
        self._token = token
        self._known: OrderedDict[str, None] = OrderedDict()

    @property
    def needed(self) -> bool:
        """Whether requests need a token."""
        return self._token is not None

    def is_token(self, text: str) -> bool:
        """Whether a text is the token."""
        return self._token is not None and hmac.compare_digest(
            text.encode("utf-8", "replace"), self._token.encode()
        )

    def open(self) -> str:
        """A new session."""
        name = secrets.token_urlsafe(32)
        self._known[name] = None
        if len(self._known) > _MAX_SESSIONS:
            self._known.popitem(last=False)
        return name

    def allow(self, headers: Headers) -> bool:
        """Whether a request has the token or a session."""
        if not self.needed:
            return True
        scheme, _, text = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.is_token(text.strip()):
            return True
        cookies = headers.get("cookie", "").split(";")
        pairs = (one.strip().partition("=") for one in cookies)
        return any(name == COOKIE and value in self._known for name, _, value in pairs)


class Guard:
    """Refuses requests for another host, of other pages, and without the token.

    A page of another site can make a browser send requests to this server, and under its own name
    if its name server answers with this address. Their Host or Origin headers show this.

    Parameters
    ----------
    app
        The application.
    settings
        Address of the server.
    sessions
        Browsers that may use it.
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings, sessions: Sessions) -> None:
        self.app, self.settings, self.sessions = app, settings, sessions
        self._names = set(_LOOPBACK)
        if not settings.is_private:
            own = {settings.host, socket.gethostname(), socket.getfqdn()}
            self._names |= {name.lower() for name in own}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        refusal = self._refusal(scope["path"], Headers(scope=scope))
        if refusal is not None:
            await _respond(*refusal, send_with_headers)
            return
        try:
            await self.app(scope, receive, send_with_headers)
        except Exception as error:
            log_place(error)
            if not begun:
                await _respond(500, "danq failed unexpectedly; this is a bug", send_with_headers)

    def _refusal(self, path: str, headers: Headers) -> tuple[int, str] | None:
        """Status and message for a request that is refused."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_own(hosts[0]):
            return 421, "the request is for another host"
        for origin in headers.getlist("origin"):
            parts = urlsplit(origin) if origin.startswith(("http://", "https://")) else None
            if parts is None or parts.netloc != hosts[0]:
                return 403, "the request comes from a page of another site"
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and path.startswith("/api"):
            return 403, "the request comes from a page of another site"
        if path.startswith("/api/") and path != _OPEN and not self.sessions.allow(headers):
            return 401, "the request has no valid token"
        return None

    def _is_own(self, host: str) -> bool:
        try:
            parts = urlsplit(f"//{host}")
            name, _ = parts.hostname, parts.port
        except ValueError:
            return False
        if not name or parts.netloc != host or "@" in host:
            return False
        if name in self._names:
            return True
        # No name server can make a browser send the address of another server.
        return not self.settings.is_private and _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


async def _respond(status: int, text: str, send: Send) -> None:
    body = json.dumps({"error": text}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="danq"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
