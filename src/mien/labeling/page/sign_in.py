"""The addresses at which people sign in and out."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from mien.errors import MienError
from mien.http_server.recent_counts import MINUTE
from mien.http_server.request_checks import until_left
from mien.labeling.page.request_context import (
    ServedPage,
    client_key_of,
    cookie_name,
    host_of,
    secret_of,
    served_page,
    signed_in_name,
)
from mien.labeling.page.sessions import may_be_token
from mien.labeling.page.store_failures import public_error
from mien.labeling.store.annotators import Holder, Outcome

NOT_SIGNED_IN: dict[Outcome, str] = {
    "wrong": "This name and this token do not belong together. Whoever runs this page can give you a new token.",
    "expired": "This token has ended. Whoever runs this page can give you a new one.",
    "disabled": "You may not answer at present. Ask whoever runs this page.",
}

Text = Annotated[str, Form(max_length=1000)]

router = APIRouter()


@router.get("/sign-in")
async def sign_in_form(request: Request) -> Response:
    """Shows the form for name and token."""
    return _form(served_page(request))


@router.post("/sign-in")
async def sign_in(request: Request, name: Text = "", token: Text = "") -> Response:
    """Begins a session. A cookie holds its secret: scripts cannot read it, and requests of other sites do not carry it."""
    page, address, token, name = served_page(request), client_key_of(request), token.strip(), name.strip()
    accounts = page.store.accounts
    try:
        found = await page.lookups.ask(address, accounts.holder, token) if may_be_token(token) else Holder(None, "wrong")
        good = (found.name, found.outcome) == (name, "in")
        session = await run_in_threadpool(accounts.begin_session, token) if good else None
    except MienError as error:
        return _form(page, _sentence(public_error(error)), 503, name)
    if session is None:
        outcome = "wrong" if found.name != name or found.outcome == "in" else found.outcome
        return await _refused(request, name, outcome)
    page.sign_ins.add(session.annotator, host_of(request), "in")
    done, seconds = RedirectResponse("./", 303), round((session.until - datetime.now(UTC)).total_seconds())
    done.set_cookie(cookie_name(request), session.secret, seconds, **_cookie_rules(request))
    return done


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """Ends the session, here and wherever else somebody has its secret."""
    page, secret = served_page(request), secret_of(request)
    done: Response = RedirectResponse("sign-in", 303)
    try:
        name = await signed_in_name(request)
        if name is not None and await run_in_threadpool(page.store.accounts.end_session, secret):
            page.sessions.end(secret)
            page.sign_ins.add(name, host_of(request), "out")
    except MienError as error:
        done = _form(page, f"This browser is signed out, but the labels do not know of it. {_sentence(public_error(error))}", 503)
    done.delete_cookie(cookie_name(request), **_cookie_rules(request))
    return done


async def _refused(request: Request, name: str, outcome: Outcome) -> Response:
    """The reply to a wrong token, which is counted after the store was asked: a right token is never refused."""
    page, address = served_page(request), client_key_of(request)
    page.lookups.note_wrong(address)
    many = page.wrong_tokens.note(address, name)
    if not many:
        page.sign_ins.add(name, host_of(request), outcome)
    with suppress(TimeoutError):
        async with asyncio.timeout(page.limits.wrong_seconds):
            # Only as long as the client waits, too, so that there are no more of these than connections.
            await until_left(request)
    if many:
        return _form(page, "Too many attempts. Wait a minute, then try again.", 429, name)
    return _form(page, NOT_SIGNED_IN[outcome], 401, name)


def _cookie_rules(request: Request) -> dict[str, Any]:
    """How a browser keeps the cookie: scripts cannot read it, and no request of another site carries it."""
    secure = request.url.scheme == "https"
    # Without a path browsers send it below the one that they see, which a proxy may have put before the page's own.
    path = "/" if cookie_name(request).startswith("__Host-") else None
    return {"path": path, "secure": secure, "httponly": True, "samesite": "strict"}


def _form(page: ServedPage, trouble: str = "", status: int = 200, name: str = "") -> Response:
    text = page.templates.get_template("sign_in.html.j2").render(title=page.title, trouble=trouble, name=name)
    return HTMLResponse(text, status, {"Retry-After": f"{MINUTE:.0f}"} if status == 429 else None)


def _sentence(error: MienError) -> str:
    return f"Expected {error.expected}; found {error.found}; {error.todo}."
