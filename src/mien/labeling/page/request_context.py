"""What all requests share, and who sent one."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from jinja2 import Environment

from mien.labeling.page.addresses import counted
from mien.labeling.page.batched_writes import BatchedWrites
from mien.labeling.page.faces import Faces
from mien.labeling.page.limits import Limits
from mien.labeling.page.photos import Turns
from mien.labeling.page.protocol import KNOWN
from mien.labeling.page.responses import When, Work
from mien.labeling.page.sessions import Attempts, Lookups, Notes, SignedIn
from mien.labeling.store.store import Store


@dataclass(frozen=True)
class ServedPage:
    """What all requests share."""

    store: Store
    pool: str
    """Its name."""
    faces: Faces
    lookups: Lookups
    signed_in: SignedIn
    attempts: Attempts
    notes: Notes
    limits: Limits
    together: BatchedWrites
    work: Work
    templates: Environment
    static: dict[str, bytes]
    """Files by their names."""
    guess: When
    turns: Turns
    path: str = ""
    """Below which path a proxy shows the page, such as /label; empty where nobody said."""


def page_of(request: Request) -> ServedPage:
    """What it shares with the others."""
    page: ServedPage = request.app.state.page
    return page


async def who(request: Request) -> str | None:
    """Who sent a request; None for somebody who is not signed in. Raises MienError where the store cannot be asked."""
    name = await page_of(request).signed_in.name(secret_of(request), address_of(request))
    if name is not None:
        setattr(request.state, KNOWN, True)
    return name


def secret_of(request: Request) -> str:
    """What its cookie holds; empty without one."""
    return request.cookies.get(cookie_name(request), "")


def host_of(request: Request) -> str:
    """The address that it came from."""
    return request.client.host if request.client else ""


def address_of(request: Request) -> str:
    """What its client is counted by."""
    return counted(host_of(request))


def cookie_name(request: Request) -> str:
    """Of the page that was asked."""
    # Cookies are the same for all ports of a host, where several pages may be open. Those that are named __Host- cannot be set
    # without TLS, nor by another host of the same domain, and are for the whole of the host: below a path of its own, where
    # several pages may be as well, a page has one that browsers keep for that path.
    prefix = "" if request.url.scheme != "https" else "__Secure-" if page_of(request).path else "__Host-"
    return f"{prefix}mien-{request.url.port or 'token'}"


@dataclass(frozen=True)
class RequestContext:
    """A request by somebody who is signed in."""

    page: ServedPage
    annotator: str


async def _visit(request: Request) -> RequestContext:
    name = await who(request)
    if name is None:
        raise HTTPException(401)
    return RequestContext(page_of(request), name)


Signed = Annotated[RequestContext, Depends(_visit)]
"""For whom nobody else is let in."""
