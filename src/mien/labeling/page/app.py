"""The page as an application: what each address does. `build` makes it from a store and its pool."""

import reprlib
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from importlib import resources
from typing import Annotated, Any, Literal

from fastapi import APIRouter, FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import Field
from pydantic.dataclasses import dataclass as checked
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException as AnyHTTPException

from mien.data.faceset import FaceSet
from mien.errors import MienError
from mien.labeling.page import sign_in
from mien.labeling.page.batched_writes import BatchedWrites
from mien.labeling.page.faces import Faces
from mien.labeling.page.limits import Limits
from mien.labeling.page.photos import Photos, Turns
from mien.labeling.page.request_checks import LOOPBACK, RequestChecks, refusal
from mien.labeling.page.request_context import RequestContext, ServedPage, Signed, page_of, secret_of, who
from mien.labeling.page.responses import When, Work, guess_of, plain, question_json
from mien.labeling.page.sessions import Attempts, Lookups, Notes, SignedIn
from mien.labeling.page.store_failures import public, unreadable
from mien.labeling.store.records import LONGEST_NAME, Answer, Question
from mien.labeling.store.store import Store
from mien.settings import STRICT

MOST_AHEAD = 60
"""Questions given at once."""
MOST_ANSWERS = 100
"""Answers taken at once."""
OTHER_STORE = "Mien-Store"
"""A header that is there where a request is about another store than the page's, with the id of the page's."""
KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

SHORT = reprlib.Repr()
"""Shows the beginning of what was sent, however deep it is."""

Key = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]

router = APIRouter()


@checked(frozen=True, config=STRICT)
class Given:
    """What somebody says of a face."""

    number: int
    """Of its question."""
    kind: Literal["label", "not_a_face", "unsure"]
    key: Key
    """Made by the page, anew for each answer, and sent again with the same."""
    label: int | None = None
    """Index into the classes, of kind `label` alone."""


@checked(frozen=True, config=STRICT)
class GivenAnswers:
    """Answers in the order in which they were given."""

    answers: Annotated[list[Given], Field(min_length=1, max_length=MOST_ANSWERS)]
    store: str
    """Id of the store whose questions they are about: another may be served at the same address by now."""


@checked(frozen=True, config=STRICT)
class GivenUndo:
    """Taking back an answer of one's own."""

    key: Key
    store: str
    undoes: Key | None = None
    """Key of the answer that is meant; the last one that was not taken back yet where there is none."""


def build(
    store: Store,
    pool: FaceSet,
    guess: When = "after",
    names: Collection[str] | None = LOOPBACK,
    limits: Limits | None = None,
    photos: Photos | None = None,
    path: str = "",
) -> RequestChecks:
    """The application. `names`: host names that it answers to, any for None. `photos`: those around the faces. `path`: below
    which a proxy shows the page. Raises MienError as `Faces` does."""
    limits = limits or Limits()
    lookups = Lookups(limits)
    app = FastAPI(
        title="mien", docs_url=None, redoc_url=None, openapi_url=None,
        # Where to is told relatively everywhere: nobody knows what a proxy puts before.
        redirect_slashes=False,
        # It would hand requests, answers among them, to whatever the environment says that collects traces.
        telemetry={"auto_configure": False, "tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )  # fmt: skip
    faces, title = Faces(store, pool, photos), pool.info.name or (pool.folder.name if pool.folder else "faces")
    app.state.page = ServedPage(
        store, title, faces, lookups, SignedIn(store, lookups), Attempts(limits), Notes(store), limits, BatchedWrites(store),
        Work(store), _templates(), _static(), guess, Turns(), path,
    )  # fmt: skip
    app.include_router(router)
    app.include_router(sign_in.router)
    app.add_exception_handler(MienError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_bad_request)
    app.add_exception_handler(AnyHTTPException, _on_refusal)
    return RequestChecks(app, names, path)


@router.post("/answers")
async def answers(visit: Signed, given: GivenAnswers) -> Response:
    """Once it says so, they are on disk, each once however often it was sent; none is where it says anything else."""
    page, now = visit.page, datetime.now(UTC)
    _require_same(page, given.store)
    known = all(page.faces.knows(one.number) for one in given.answers)
    asked = _asked(page, given.answers) if known else await run_in_threadpool(_asked, page, given.answers)
    entries = [_entry(visit, one, about, now) for one, about in zip(given.answers, asked, strict=True)]
    await page.together.write(entries)
    guesses = [None if page.guess == "never" else plain(guess_of(about)) for about in asked]
    said = [{"number": one.number, "guess": guess} for one, guess in zip(given.answers, guesses, strict=True)]
    return JSONResponse({"answers": said})


@router.get("/faces/{number}")
def face(visit: Signed, number: str, store: str = "") -> Response:
    """The picture of a face that is asked about, in the store of that id if one is named."""
    if store:
        _require_same(visit.page, store)
    known = _number(number)
    _question(visit.page, known)
    try:
        return Response(visit.page.faces.picture(known), media_type="image/png")
    except (MienError, OSError, ValueError) as error:
        return refusal(503, unreadable(error))


@router.get("/photos/{number}")
async def photo(visit: Signed, number: str, store: str = "") -> Response:
    """What is around a face in its photo, which was given to this annotator, in the store of that id if one is named."""
    page, known = visit.page, _number(number)
    if store:
        _require_same(page, store)
    question = await run_in_threadpool(_question, page, known)
    given = page.faces.has_photo(known) and await run_in_threadpool(page.store.is_given, visit.annotator, question.face)
    if not given:
        raise HTTPException(404)
    try:
        async with page.turns.of(visit.annotator):
            return Response(await run_in_threadpool(page.faces.photo, known), media_type="image/jpeg")
    except (MienError, OSError, ValueError) as error:
        return refusal(503, unreadable(error))


@router.get("/questions")
async def questions(visit: Signed, count: Annotated[int, Query(ge=1, le=MOST_AHEAD)] = 10) -> Response:
    """The next ones, which are kept for the annotator for a while, and how far the work is."""
    page = visit.page
    found = await page.together.next_questions(visit.annotator, count)
    return JSONResponse(await run_in_threadpool(_listed, visit, found))


@router.post("/undo")
def undo(visit: Signed, given: GivenUndo) -> Response:
    """Takes back an answer of the annotator, and gives its question again."""
    page = visit.page
    _require_same(page, given.store)
    done = page.store.undo(visit.annotator, given.key, undoes=given.undoes or "")
    return JSONResponse({"question": question_json(page.faces.number(done.face), page.faces, page.guess)})


@router.get("/")
async def one_by_one(request: Request) -> Response:
    """One face after another."""
    return await _html(request, "one.html.j2")


@router.get("/grid")
async def grid(request: Request) -> Response:
    """Many faces at once, those of one class to be marked."""
    return await _html(request, "grid.html.j2")


@router.get("/static/{name}")
async def static(request: Request, name: str) -> Response:
    """Style and scripts: a few files that were read before."""
    files = page_of(request).static
    if name not in files:
        raise HTTPException(404)
    kind = KINDS[name[name.rindex(".") :]]
    return Response(files[name], media_type=kind, headers={"Cache-Control": "no-cache"})


async def _html(request: Request, name: str) -> Response:
    """A page for whoever is signed in; the form for others."""
    page, annotator = page_of(request), await who(request)
    if annotator is None:
        return RedirectResponse("sign-in", 303)
    store = page.store
    values: dict[str, Any] = {
        "pool": page.pool,
        "store": store.id,
        "annotator": annotator,
        "classes": store.info.classes,
        "guess": page.guess,
    }
    values["guide"] = await run_in_threadpool(store.guide)
    return HTMLResponse(page.templates.get_template(name).render(values))


def _listed(visit: RequestContext, found: Sequence[Question]) -> dict[str, Any]:
    page = visit.page
    listed = [question_json(page.faces.number(question.face), page.faces, page.guess) for question in found]
    return {"store": page.store.id, "questions": listed, "progress": page.work.json(visit.annotator)}


def _require_same(page: ServedPage, store: str) -> None:
    if store != page.store.id:
        raise HTTPException(409, headers={OTHER_STORE: page.store.id})


def _number(text: str) -> int:
    """Of a question; one that no question has for what is no number."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1


def _asked(page: ServedPage, given: Sequence[Given]) -> list[Question]:
    return [_question(page, one.number) for one in given]


def _question(page: ServedPage, number: int) -> Question:
    found = page.faces.question(number)
    if found is None:
        raise HTTPException(404)
    return found


def _entry(visit: RequestContext, given: Given, asked: Question, now: datetime) -> Answer:
    classes = len(visit.page.store.info.classes)
    if (given.label is not None) != (given.kind == "label") or not 0 <= (given.label or 0) < classes:
        raise HTTPException(422, f"a label from 0 to {classes - 1} with kind label, and none with another")
    return Answer(asked.face, visit.annotator, given.kind, given.label, now, None, given.key)


def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("mien.labeling.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _static() -> dict[str, bytes]:
    folder = resources.files("mien.labeling.page") / "static"
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name.endswith(tuple(KINDS))}


async def _on_error(request: Request, error: Exception) -> Response:
    """What the store refuses; where the database failed, which is the error's cause, the same request may succeed later."""
    assert isinstance(error, MienError)
    if not isinstance(error.__cause__, PermissionError | None):
        return refusal(503, public(error))
    # It may be refused because its annotator is out since a moment: then it is kept until they are in again.
    page_of(request).signed_in.forget(secret_of(request))
    try:
        name = await who(request)
    except MienError as failed:
        return refusal(503, public(failed))
    if name is None:
        return await _on_refusal(request, HTTPException(401))
    return refusal(409, error) if error.__cause__ is None else refusal(503, public(error))


async def _on_bad_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    message = MienError(
        f"{where}: {first['msg'].lower()}"[:200], SHORT.repr(first.get("input"))[:200], "send what the page sends"
    )
    return refusal(422, message)


async def _on_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, AnyHTTPException)
    expected, found, todo = {
        401: ("somebody who is signed in", "nobody", "sign in"),
        404: ("something at this address", "nothing", "begin at the first page"),
        409: ("the store that this page was opened for", "another one at this address", "load the page anew"),
        405: ("another method at this address", request.method, "begin at the first page"),
        422: (error.detail, "another", "choose one of those"),
    }.get(error.status_code, ("another request", error.detail, "begin at the first page"))
    response = refusal(error.status_code, MienError(expected, found, todo))
    response.headers.update(error.headers or {})
    return response
