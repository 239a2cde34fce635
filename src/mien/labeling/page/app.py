"""The page as an application, made of a store and its pool by `build`, and its replies to errors."""

import reprlib
from collections.abc import Collection
from importlib import resources

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException as AnyHTTPException

from mien.data.faceset import FaceSet
from mien.errors import MienError
from mien.html_pages import page_templates
from mien.http_server.client_limits import ClientLimits
from mien.http_server.request_checks import LOOPBACK, RequestChecks, error_response
from mien.http_server.silent_app import silent_app
from mien.labeling.page import routes, sign_in
from mien.labeling.page.batched_writes import BatchedWrites
from mien.labeling.page.numbered_faces import NumberedFaces
from mien.labeling.page.request_context import ServedPage, secret_of, served_page, signed_in_name
from mien.labeling.page.responses import GuessTiming, ProgressFigures
from mien.labeling.page.sessions import SessionCache, SignInNotes
from mien.labeling.page.source_photos import PhotoTurns, SourcePhotos
from mien.labeling.page.store_failures import public_error
from mien.labeling.page.wrong_tokens import TokenLookups, WrongTokens
from mien.labeling.store.store import Store

SHORT = reprlib.Repr()
"""Writes the beginning of what was sent, however deep it is nested."""


def build(
    store: Store,
    pool: FaceSet,
    guess: GuessTiming = "after",
    names: Collection[str] | None = LOOPBACK,
    limits: ClientLimits | None = None,
    photos: SourcePhotos | None = None,
    path: str = "",
) -> RequestChecks:
    """The application behind its request checks.

    `guess`: when people see guesses. `names`: the host names that it answers to, any for None. `photos`: the photos around the
    faces. `path`: the path below which a proxy shows the page.

    Raises MienError where the store asks about a face that the pool does not have.
    """
    limits = limits or ClientLimits()
    lookups = TokenLookups(limits)
    app = silent_app("mien")
    faces, title = NumberedFaces(store, pool, photos), pool.info.name or (pool.folder.name if pool.folder else "faces")
    app.state.page = ServedPage(
        store=store,
        title=title,
        faces=faces,
        lookups=lookups,
        sessions=SessionCache(store.accounts, lookups),
        wrong_tokens=WrongTokens(limits),
        sign_ins=SignInNotes(store.accounts),
        limits=limits,
        writes=BatchedWrites(store),
        progress=ProgressFigures(store),
        templates=page_templates("mien.labeling.page", inside="templates"),
        static=_static(),
        guess=guess,
        photo_turns=PhotoTurns(),
        path=path,
    )
    app.include_router(routes.router)
    app.include_router(sign_in.router)
    app.add_exception_handler(MienError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_bad_request)
    app.add_exception_handler(AnyHTTPException, _on_refusal)
    return RequestChecks(app, names, path)


def _static() -> dict[str, bytes]:
    folder = resources.files("mien.labeling.page") / "static"
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name.endswith(tuple(routes.STATIC_KINDS))}


async def _on_error(request: Request, error: Exception) -> Response:
    """The reply to an error of the store: 409 for a request that it refuses, 503 where the database failed and may work later."""
    assert isinstance(error, MienError)
    if not isinstance(error.__cause__, PermissionError | None):
        return error_response(503, public_error(error))
    # Perhaps the annotator was disabled or removed a moment ago. Then the browser keeps the answer until they may answer again.
    served_page(request).sessions.forget(secret_of(request))
    try:
        name = await signed_in_name(request)
    except MienError as failed:
        return error_response(503, public_error(failed))
    if name is None:
        return await _on_refusal(request, HTTPException(401))
    return error_response(409, error) if error.__cause__ is None else error_response(503, public_error(error))


async def _on_bad_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    message = MienError(
        f"{where}: {first['msg'].lower()}"[:200], SHORT.repr(first.get("input"))[:200], "send what the page sends"
    )
    return error_response(422, message)


async def _on_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, AnyHTTPException)
    expected, found, todo = {
        401: ("somebody who is signed in", "nobody", "sign in"),
        404: ("something at this address", "nothing", "begin at the first page"),
        409: ("the store that this page was opened for", "another one at this address", "load the page anew"),
        405: ("another method at this address", request.method, "begin at the first page"),
        422: (error.detail, "another", "choose one of those"),
    }.get(error.status_code, ("another request", error.detail, "begin at the first page"))
    response = error_response(error.status_code, MienError(expected, found, todo))
    response.headers.update(error.headers or {})
    return response
