"""What all requests share, and who sent a request."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from jinja2 import Environment

from mien.http_server.client_addresses import client_key
from mien.http_server.client_limits import ClientLimits
from mien.http_server.http_protocol import KNOWN
from mien.labeling.page.batched_writes import BatchedWrites
from mien.labeling.page.numbered_faces import NumberedFaces
from mien.labeling.page.responses import GuessTiming, ProgressFigures
from mien.labeling.page.sessions import SessionCache, SignInNotes
from mien.labeling.page.source_photos import PhotoTurns
from mien.labeling.page.wrong_tokens import TokenLookups, WrongTokens
from mien.labeling.store.store import Store


@dataclass(frozen=True)
class ServedPage:
    """What all requests of a page share."""

    store: Store
    title: str
    """The name of the pool, which people read."""
    faces: NumberedFaces
    lookups: TokenLookups
    sessions: SessionCache
    wrong_tokens: WrongTokens
    sign_ins: SignInNotes
    limits: ClientLimits
    writes: BatchedWrites
    progress: ProgressFigures
    templates: Environment
    static: dict[str, bytes]
    """Style and scripts, by file name."""
    guess: GuessTiming
    """When people see guesses."""
    photo_turns: PhotoTurns
    path: str = ""
    """The path below which a proxy shows the page, such as /label; empty where nobody named one."""


def served_page(request: Request) -> ServedPage:
    """The page that a request is about: what it shares with all others."""
    page: ServedPage = request.app.state.page
    return page


async def signed_in_name(request: Request) -> str | None:
    """The annotator who sent a request; None for a client that is not signed in. Raises MienError where the store fails."""
    name = await served_page(request).sessions.name(secret_of(request), client_key_of(request))
    if name is not None:
        setattr(request.state, KNOWN, True)
    return name


def secret_of(request: Request) -> str:
    """The secret in a request's cookie: of a session, or a token; empty without a cookie."""
    return request.cookies.get(cookie_name(request), "")


def host_of(request: Request) -> str:
    """The network address that a request came from."""
    return request.client.host if request.client else ""


def client_key_of(request: Request) -> str:
    """The key by which the client of a request is counted."""
    return client_key(host_of(request))


def cookie_name(request: Request) -> str:
    """The name of the page's cookie."""
    # Cookies are the same for all ports of a host, where several pages may be open. Those that are named __Host- cannot be set
    # without TLS, nor by another host of the same domain, and are for the whole of the host: below a path of its own, where
    # several pages may be as well, a page has one that browsers keep for that path.
    prefix = "" if request.url.scheme != "https" else "__Secure-" if served_page(request).path else "__Host-"
    return f"{prefix}mien-{request.url.port or 'token'}"


@dataclass(frozen=True)
class RequestContext:
    """A request by an annotator who is signed in."""

    page: ServedPage
    annotator: str
    """The annotator's name."""


async def _signed_in(request: Request) -> RequestContext:
    name = await signed_in_name(request)
    if name is None:
        raise HTTPException(401)
    return RequestContext(served_page(request), name)


SignedInRequest = Annotated[RequestContext, Depends(_signed_in)]
"""The parameter of an address that lets in nobody but annotators who are signed in."""
