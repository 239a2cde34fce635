"""Checks before an application: host names, requests that other sites send, the length of bodies; and headers for all replies."""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mien.errors import MienError

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""The names of this machine for itself."""
MOST_BYTES = 64 << 10
"""The longest body that a request may have in bytes, where it is read here."""

CONTENT = ("default-src 'self'", "base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'", "object-src 'none'")
HEADERS = {
    "Content-Security-Policy": "; ".join(CONTENT),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Nothing for other sites. With no-referrer browsers say `Origin: null` when a form is sent.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def error_response(status: int, error: MienError) -> JSONResponse:
    """A reply with an error as JSON: what was expected, what was found, what to do."""
    return JSONResponse({"expected": error.expected, "found": error.found, "todo": error.todo}, status)


class RefusedRequest(Exception):
    """Ends a request, and says why; `seconds`: after how long it may be sent again at the earliest, where that is known."""

    def __init__(self, status: int, error: MienError, seconds: int = 0) -> None:
        super().__init__(str(error))
        self.status, self.error, self.seconds = status, error, seconds


class ClientGone(Exception):
    """The client left before its request was there."""


async def until_left(request: Request) -> None:
    """Return once the client has left; what it still sends is thrown away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


class RequestChecks:
    """An ASGI application that checks requests and passes them on to another.

    `names`: the host names that it answers to, any for None. `path`: what a proxy may leave before the application's own paths.
    `most_bytes`: the longest body of a request, which is read here; None: the application reads bodies, and limits them.
    """

    def __init__(
        self, app: ASGIApp, names: Collection[str] | None = LOOPBACK, path: str = "", most_bytes: int | None = MOST_BYTES
    ) -> None:
        self._app, self._names, self._path, self._most_bytes = app, names, path, most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request, and pass it on or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)  # a page that needs the camera says so itself
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            headers = Headers(scope=scope)
            self._check_name(headers)
            if scope["method"] not in ("GET", "HEAD"):
                _check_origin(headers)
            receive = receive if self._most_bytes is None else await _whole_body(headers, receive, self._most_bytes)
        except RefusedRequest as refused:
            await error_response(refused.status, refused.error)(scope, receive, send_with_headers)
            return
        except ClientGone:
            return
        if self._path and scope["path"] == self._path:
            # Links are relative to what ends with a slash.
            await RedirectResponse(f"{self._path.rpartition('/')[2]}/", 307)(scope, receive, send_with_headers)
            return
        await self._app(self._within(scope), receive, send_with_headers)

    def _within(self, scope: Scope) -> Scope:
        """The request with the path that the application knows."""
        path: str = scope["path"]
        return {**scope, "path": path[len(self._path) :]} if self._path and path.startswith(f"{self._path}/") else scope

    def _check_name(self, headers: Headers) -> None:
        """Refuses a request to another host name: a site whose name was made to lead here (DNS rebinding) sends its own name."""
        host = headers.get("host", "")
        name = _name(host)
        if (host and not name) or (self._names is not None and name not in self._names):
            todo = "open the address that mien printed, or give mien this name with --name"
            raise RefusedRequest(421, MienError("a name that this server is known by", repr(host[:200]), todo))


def _check_origin(headers: Headers) -> None:
    """Refuses a request that another site's form or script sent: browsers say which site that is, and programs say nothing."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
    # Without the scheme: a proxy in front may speak TLS.
    same = origin is None or origin.partition("://")[2] == headers.get("host")
    if not same or site not in ("same-origin", "none"):
        found = f"one from {origin[:200]!r}" if origin and not same else f"one that is {site[:50]}"
        raise RefusedRequest(403, MienError("a request from this address's own pages", found, "ask it without another site"))


async def _whole_body(headers: Headers, receive: Receive, most: int) -> Receive:
    """Reads the whole body, and returns the function from which the application receives it."""
    parts, size, more = [], 0, True
    length = headers.get("content-length", "")
    if len(length) > 9 or (length.isdigit() and int(length) > most):
        raise _too_long(most)
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        parts.append(message.get("body", b""))
        size, more = size + len(parts[-1]), message.get("more_body", False)
        if size > most:
            raise _too_long(most)
    waiting = [{"type": "http.request", "body": b"".join(parts), "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again


def _too_long(most: int) -> RefusedRequest:
    return RefusedRequest(413, MienError(f"at most {most} bytes", "more", "send less at once"))


def _name(host: str) -> str:
    """The host name without its port; empty for a text that is no host."""
    try:
        parts = urlsplit(f"//{host}")
        return (parts.hostname or "") if parts.port != 0 else ""
    except ValueError:
        return ""
