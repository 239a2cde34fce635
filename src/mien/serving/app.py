"""The service as an application: its addresses, who may use them, and its replies to errors."""

import asyncio
import hmac
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from mien.errors import MienError
from mien.http_server.client_addresses import client_key
from mien.http_server.client_limits import ClientLimits
from mien.http_server.recent_counts import MINUTE, RecentCounts
from mien.http_server.request_checks import LOOPBACK, RefusedRequest, RequestChecks, error_response, until_left
from mien.http_server.silent_app import silent_app
from mien.installed import own_version
from mien.serving.answers import BODY, CLOSED, CLOSED_TEXT, EXAMPLE, OPEN, REFUSALS, Answer
from mien.serving.batches import Answers, Asked, BatchedReader, Ended, Readers
from mien.serving.figures import Figures
from mien.serving.held_bodies import HeldBodies, HeldBody, busy
from mien.serving.page import Page
from mien.serving.page import router as page_router
from mien.serving.settings import ServiceSettings
from mien.serving.uploads import count_pixels, photos_of
from mien.wording import plain_text

LEFT = 499
"""The status that is noted where a client left before its answer."""
TOKEN = "send the header Authorization: Bearer TOKEN"
"""What clients without the right token are told to do."""
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


@dataclass
class Service:
    """What all requests share."""

    name: str
    """The model's name, without its folder."""
    card: dict[str, Any]
    """The model's card, as it stands in model.json."""
    readers: Readers
    figures: Figures
    settings: ServiceSettings
    token: str = ""
    """What clients have to send; empty where anybody may ask."""
    limits: ClientLimits = field(default_factory=ClientLimits)
    """How many wrong tokens a client may send, and how long it waits for the answer."""

    def __post_init__(self) -> None:
        self.bodies = HeldBodies(self.settings, self.figures)
        self.wrong_tokens = RecentCounts(self.limits.wrong_by_address, time.monotonic)


router = APIRouter()
_bearer = HTTPBearer(auto_error=False, description="The token of the file that --token names, where there is one.")


def build(
    service: Service, names: Collection[str] | None = LOOPBACK, path: str = "", page: Page = "This service has none."
) -> RequestChecks:
    """The application behind its request checks.

    `names`: the host names that it answers to, any for None. `path`: the path below which a proxy shows it. `page`: the page in
    the browser, or why there is none.
    """
    app = silent_app(
        "mien", version=own_version(), openapi_url="/openapi.json", servers=[{"url": path or "/"}],
        description="Names the expressions of faces in photos. No photo is kept.",
    )  # fmt: skip
    app.state.service = service
    app.state.page, app.state.path = page, path
    app.include_router(router)
    app.include_router(page_router)
    if not service.token:
        _describe_without_token(app)
    app.add_exception_handler(RefusedRequest, _on_refused)
    app.add_exception_handler(RequestValidationError, _on_bad_request)
    app.add_exception_handler(HTTPException, _on_http_error)
    return RequestChecks(app, names, path, most_bytes=None)


def _describe_without_token(app: FastAPI) -> None:
    """Let the OpenAPI description ask for no token, where there is none: its operations do otherwise."""
    described = app.openapi

    def openapi() -> dict[str, Any]:
        whole = described()
        for operations in whole["paths"].values():
            for operation in operations.values():
                operation.pop("security", None)
        return whole

    app.openapi = openapi  # type: ignore[method-assign]


def _served(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def _allowed(request: Request, sent: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> Service:
    """The service, for those who may use it. Compares tokens in a time that says nothing about them.

    A right token is never refused. A wrong one is answered after a while, and counted: beyond so many a minute the answer is 429.
    """
    service, token = _served(request), sent.credentials if sent else ""
    if not service.token or hmac.compare_digest(token.encode("utf-8", "surrogateescape"), service.token.encode()):
        return service
    if not token:
        raise RefusedRequest(401, MienError("the token of this service", "none", TOKEN))
    address = client_key(request.client.host if request.client else "")
    many = service.wrong_tokens.is_full(address)
    service.wrong_tokens.note(address)
    service.figures.wrong_tokens += 1
    with suppress(TimeoutError):
        async with asyncio.timeout(service.limits.wrong_seconds):
            await until_left(request)
    if many:
        raise RefusedRequest(429, MienError("few wrong tokens", "many", "wait a minute, then send the right one"), round(MINUTE))
    raise RefusedRequest(401, MienError("the token of this service", "another", TOKEN))


Allowed = Annotated[Service, Depends(_allowed)]
Model = Annotated[list[str], Query(description="The model that shall answer, by its name; it may be left out.", max_length=16)]


@router.get("/health", summary="Whether the service is up", responses=OPEN)
async def health() -> dict[str, str]:
    """Says that requests are answered. Wants no token."""
    return {"status": "ok"}


@router.head("/health", include_in_schema=False)
async def head_of_health() -> Response:
    """What asks for the headers alone, as load balancers do."""
    return Response(media_type="application/json")


@router.get("/v1/model", summary="The model's name and card", responses=CLOSED)
async def model(service: Allowed) -> dict[str, Any]:
    """What the model learned from, its classes, thresholds and figures, as its model.json says."""
    return {"name": service.name, "card": service.card}


@router.get("/metrics", summary="Counts for Prometheus", response_class=PlainTextResponse, responses=CLOSED_TEXT)
async def metrics(service: Allowed) -> Response:
    """How many requests, photos and faces were answered, and how long it took."""
    return PlainTextResponse(service.figures.text(), media_type=PROMETHEUS)


@router.post(
    "/v1/read", summary="Read the faces in photos", openapi_extra=BODY,
    responses={200: {"model": Answer, "content": {"application/json": {"example": EXAMPLE}}}, **REFUSALS},
)  # fmt: skip
async def read(request: Request, service: Allowed, model: Model = []) -> Response:  # noqa: B006 (FastAPI copies it)
    """Names the expression of every face in a photo (the body) or in several (a form), as `mien predict --json` does."""
    began, figures = time.monotonic(), service.figures
    status = LEFT
    try:
        answers = await _answers(request, service, model)
        if answers is None:
            return Response(status_code=LEFT)
        status = 200 if any("faces" in one for one in answers) else 422
        return JSONResponse({"photos": answers}, status)
    except RefusedRequest as refused:
        status = refused.status
        raise
    finally:
        figures.answered(status, time.monotonic() - began)


async def _answers(request: Request, service: Service, model: list[str]) -> Answers | None:
    """The answers about a request's photos; None where the client left. Raises RefusedRequest."""
    figures, settings = service.figures, service.settings
    if set(model) - {service.name}:
        found = ", ".join(plain_text(one, 80) for one in model)
        raise RefusedRequest(409, MienError(f"the model that is served, {service.name}", found, "ask for this one, or for none"))
    if figures.waiting >= settings.waiting:
        raise busy()
    with HeldBody(request, settings, service.bodies) as held:
        try:
            files = await photos_of(request.headers, await held.read(), settings)
        except ClientDisconnect:
            return None
        reader = service.readers.of(await run_in_threadpool(count_pixels, files, settings))
        if figures.waiting >= settings.waiting:  # they came meanwhile
            raise busy()
        figures.waiting, figures.waiting_photos = figures.waiting + 1, figures.waiting_photos + len(files)
        asked = reader.ask(files)
        held.until(asked.answers)
        try:
            return await _unless_left(request, reader, asked, settings.seconds)
        finally:
            reader.leave(asked)
            figures.waiting, figures.waiting_photos = figures.waiting - 1, figures.waiting_photos - len(files)


async def _unless_left(request: Request, reader: BatchedReader, asked: Asked, seconds: float) -> Answers | None:
    """The answers once they are there; None where the client leaves before. Raises RefusedRequest where they come too late."""
    answers, leaving = asyncio.wrap_future(asked.answers), asyncio.ensure_future(until_left(request))
    both: set[asyncio.Future[Any]] = {answers, leaving}
    try:
        done, _ = await asyncio.wait(both, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if not done and reader.withdraw(asked):
            error = MienError(f"to begin within {seconds:g} s", "others who came before", "send it again later")
            raise RefusedRequest(503, error)
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        return answers.result() if answers.done() else None
    except Ended:
        raise RefusedRequest(503, MienError("a service that goes on", "one that ends", "send it again later")) from None
    finally:
        leaving.cancel()


async def _on_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedRequest)
    response = error_response(error.status, error.error)
    if error.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if error.status in (429, 503):
        response.headers["Retry-After"] = str(max(error.seconds, _served(request).figures.retry_after()))
    return response


async def _on_bad_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return error_response(422, MienError(f"{where}: {first['msg'].lower()}"[:200], "another", "/openapi.json says what is asked"))


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    expected = {404: "an address of this service", 405: "another method at this address"}.get(
        error.status_code, "another request"
    )
    found = request.method if error.status_code == 405 else "nothing there" if error.status_code == 404 else str(error.detail)
    response = error_response(error.status_code, MienError(expected, found[:200], "/openapi.json lists the addresses"))
    response.headers.update(error.headers or {})
    return response
