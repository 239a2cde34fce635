"""The page in the browser, at the service's own address: its files, read once, or a sentence about why there is none."""

import html
import re
from collections.abc import Mapping

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException

from mien.browser.network_files import network_files
from mien.browser.page_files import HEADERS, INDEX, PageFile, content_policy, page_files
from mien.errors import MienError
from mien.recognize.bundled import name_of
from mien.recognize.recognizer import Recognizer

NONE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>mien: no page</title>
<h1>There is no page here</h1><p>{reason}</p><p>Programs are answered at <code>v1/read</code>.</p></html>
"""
"""What stands in the page's place."""
WITH_TOKEN = "With a token there is no page: whoever opens it gets the model. mien export MODEL OUT --web writes it as files."
Page = Mapping[str, PageFile] | str
"""The files of a page by their names, or why there is none."""

router = APIRouter(include_in_schema=False)


def page_of(recognizer: Recognizer, token: str) -> Page:
    """The page for a model, or a sentence about why there is none."""
    if token:
        return WITH_TOKEN
    folder = recognizer.folder
    if folder is None:
        return "The model is in memory alone."
    try:
        return page_files(recognizer.card, recognizer.crop_spec, network_files(folder, recognizer.card), name_of(folder))
    except MienError as error:
        return f"Expected {error.expected}; found {error.found}; {error.todo}."


@router.api_route("/", methods=["GET", "HEAD"])
async def index(request: Request) -> Response:
    """The page itself."""
    page: Page = request.app.state.page
    if isinstance(page, str):
        return HTMLResponse(NONE.format(reason=html.escape(page)), 503)
    return _sent(page[INDEX], request)


@router.api_route("/app/{name:path}", methods=["GET", "HEAD"])
async def file(name: str, request: Request) -> Response:
    """A file of the page."""
    page: Page = request.app.state.page
    found = None if isinstance(page, str) else page.get(f"app/{name}")
    if found is None:
        raise HTTPException(404)
    return _sent(found, request)


def _sent(found: PageFile, request: Request) -> Response:
    """A file, compressed as the browser takes it; only that it is still the same, where the browser has it already."""
    taken = _taken(request.headers.get("accept-encoding", ""))
    codings = (one for one in found.packed if taken.get(one, taken.get("*", False)))
    coding = min(codings, key=lambda one: len(found.packed[one]), default="")
    policy = content_policy(request.headers.get("host", ""), request.app.state.path)
    headers = HEADERS | {"Content-Security-Policy": policy, "ETag": found.tag(coding), "Vary": "Accept-Encoding"}
    if headers["ETag"] in re.findall(r'"[^"]*"', request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    content = found.packed[coding] if coding else found.content
    return Response(content, headers=headers | ({"Content-Encoding": coding} if coding else {}), media_type=found.kind)


def _taken(accepted: str) -> dict[str, bool]:
    """Which content codings a browser takes, by the header Accept-Encoding: those of quality 0 it refuses."""
    parts = (part.partition(";") for part in accepted.lower().split(","))
    return {name.strip(): re.fullmatch(r"\s*q\s*=\s*0(\.0*)?\s*", rest) is None for name, _, rest in parts}
