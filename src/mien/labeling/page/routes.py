"""The addresses of the page: faces, photos, questions, answers and undos, each a function."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from pydantic import Field
from pydantic.dataclasses import dataclass as checked
from starlette.concurrency import run_in_threadpool

from mien.errors import MienError
from mien.http_server.request_checks import error_response
from mien.labeling.page.request_context import RequestContext, ServedPage, SignedInRequest, served_page, signed_in_name
from mien.labeling.page.responses import guess_json, question_json
from mien.labeling.page.store_failures import picture_error
from mien.labeling.store.records import LONGEST_NAME, Answer, Question
from mien.settings import STRICT

MOST_AHEAD = 60
"""Questions that one request may ask for."""
MOST_ANSWERS = 100
"""Answers that one request may send."""
OTHER_STORE = "Mien-Store"
"""The header that names the id of the store that is served, where a request was about another one."""
STATIC_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
"""Media types of the files in static/, by ending."""

Key = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]

router = APIRouter()


@checked(frozen=True, config=STRICT)
class SentAnswer:
    """An answer as a browser sends it."""

    number: int
    """The number of the question."""
    kind: Literal["label", "not_a_face", "unsure"]
    """The kind of answer."""
    key: Key
    """Tells this answer from the annotator's others; the browser sends the answer again with the same key."""
    label: int | None = None
    """Index into the store's classes; None for the other kinds."""


@checked(frozen=True, config=STRICT)
class SentAnswers:
    """Answers as a browser sends them, in the order in which they were given."""

    answers: Annotated[list[SentAnswer], Field(min_length=1, max_length=MOST_ANSWERS)]
    store: str
    """The id of the store whose questions are answered: another may be served at the same address by now."""


@checked(frozen=True, config=STRICT)
class SentUndo:
    """An undo as a browser sends it: the annotator takes back an answer."""

    key: Key
    """Tells this undo from the annotator's other answers and undos."""
    store: str
    """The id of the store that has the answer."""
    undoes: Key | None = None
    """The key of the answer to take back; None for the newest one."""


@router.post("/answers")
async def answers(context: SignedInRequest, sent: SentAnswers) -> Response:
    """Writes answers to the store, each once however often it is sent.

    When the reply comes, all of them are on disk; with an error, none is.
    """
    page, now = context.page, datetime.now(UTC)
    _require_same(page, sent.store)
    known = all(page.faces.knows(one.number) for one in sent.answers)
    asked = _asked(page, sent.answers) if known else await run_in_threadpool(_asked, page, sent.answers)
    entries = [_entry(context, one, about, now) for one, about in zip(sent.answers, asked, strict=True)]
    await page.writes.write(entries)
    guesses = [None if page.guess == "never" else guess_json(about) for about in asked]
    written = [{"number": one.number, "guess": guess} for one, guess in zip(sent.answers, guesses, strict=True)]
    return JSONResponse({"answers": written})


@router.get("/faces/{number}")
def face(context: SignedInRequest, number: str, store: str = "") -> Response:
    """Shows the face of a question. With `store`, the id of a store, it has to be the one that is served."""
    if store:
        _require_same(context.page, store)
    known = _number(number)
    _question(context.page, known)
    try:
        return Response(context.page.faces.picture(known), media_type="image/png")
    except (MienError, OSError, ValueError) as error:
        return error_response(503, picture_error(error))


@router.get("/photos/{number}")
async def photo(context: SignedInRequest, number: str, store: str = "") -> Response:
    """Shows what is around a face in its photo, to an annotator who was given the question. `store` as for a face."""
    page, known = context.page, _number(number)
    if store:
        _require_same(page, store)
    question = await run_in_threadpool(_question, page, known)
    given = page.faces.has_photo(known) and await run_in_threadpool(page.store.is_given, context.annotator, question.face)
    if not given:
        raise HTTPException(404)
    try:
        async with page.photo_turns.of(context.annotator):
            return Response(await run_in_threadpool(page.faces.photo, known), media_type="image/jpeg")
    except (MienError, OSError, ValueError) as error:
        return error_response(503, picture_error(error))


@router.get("/questions")
async def questions(context: SignedInRequest, count: Annotated[int, Query(ge=1, le=MOST_AHEAD)] = 10) -> Response:
    """Gives the next questions, which are kept for the annotator for a while, and how far the work is."""
    page = context.page
    found = await page.writes.next_questions(context.annotator, count)
    return JSONResponse(await run_in_threadpool(_questions_json, context, found))


@router.post("/undo")
def undo(context: SignedInRequest, sent: SentUndo) -> Response:
    """Takes back an answer of the annotator and gives its question again."""
    page = context.page
    _require_same(page, sent.store)
    done = page.store.undo(context.annotator, sent.key, undoes=sent.undoes or "")
    return JSONResponse({"question": question_json(page.faces.number(done.face), page.faces, page.guess)})


@router.get("/")
async def one_by_one(request: Request) -> Response:
    """The view that shows one face after another."""
    return await _html(request, "one.html.j2")


@router.get("/grid")
async def grid(request: Request) -> Response:
    """The view that shows many faces at once, of which those of one class are marked."""
    return await _html(request, "grid.html.j2")


@router.get("/static/{name}")
async def static(request: Request, name: str) -> Response:
    """Gives style and scripts: a few files that were read at the start."""
    files = served_page(request).static
    if name not in files:
        raise HTTPException(404)
    kind = STATIC_KINDS[name[name.rindex(".") :]]
    return Response(files[name], media_type=kind, headers={"Cache-Control": "no-cache"})


async def _html(request: Request, name: str) -> Response:
    """A view for an annotator who is signed in; others are sent to the sign-in form."""
    page, annotator = served_page(request), await signed_in_name(request)
    if annotator is None:
        return RedirectResponse("sign-in", 303)
    store = page.store
    values: dict[str, Any] = {
        "title": page.title,
        "store": store.id,
        "annotator": annotator,
        "classes": store.info.classes,
        "guess": page.guess,
    }
    values["guidelines"] = await run_in_threadpool(store.guidelines)
    return HTMLResponse(page.templates.get_template(name).render(values))


def _questions_json(context: RequestContext, found: Sequence[Question]) -> dict[str, Any]:
    page = context.page
    listed = [question_json(page.faces.number(question.face), page.faces, page.guess) for question in found]
    return {"store": page.store.id, "questions": listed, "progress": page.progress.json(context.annotator)}


def _require_same(page: ServedPage, store: str) -> None:
    if store != page.store.id:
        raise HTTPException(409, headers={OTHER_STORE: page.store.id})


def _number(text: str) -> int:
    """The number of a question in an address; one that no question has where the text is no number."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1


def _asked(page: ServedPage, given: Sequence[SentAnswer]) -> list[Question]:
    return [_question(page, one.number) for one in given]


def _question(page: ServedPage, number: int) -> Question:
    found = page.faces.question(number)
    if found is None:
        raise HTTPException(404)
    return found


def _entry(context: RequestContext, given: SentAnswer, asked: Question, now: datetime) -> Answer:
    classes = len(context.page.store.info.classes)
    if (given.label is not None) != (given.kind == "label") or not 0 <= (given.label or 0) < classes:
        raise HTTPException(422, f"a label from 0 to {classes - 1} with kind label, and none with another")
    return Answer(asked.face, context.annotator, given.kind, given.label, now, None, given.key)
