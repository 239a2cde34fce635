"""The page in the browser, at the service's own address: its files, read once, or a sentence about why there is none."""

import html
from collections.abc import Mapping

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from mien.browser.network_files import network_files
from mien.browser.page_files import HEADERS, INDEX, PageFile, page_files
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
    return Response(status_code=404) if found is None else _sent(found, request)


def _sent(found: PageFile, request: Request) -> Response:
    """A file, compressed as the browser takes it; only that it is still the same, where the browser has it already."""
    headers = HEADERS | {"ETag": found.tag, "Vary": "Accept-Encoding"}
    if found.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    taken = {part.partition(";")[0].strip() for part in request.headers.get("accept-encoding", "").split(",")}
    coding = min((one for one in found.packed if one in taken), key=lambda one: len(found.packed[one]), default="")
    content = found.packed[coding] if coding else found.content
    return Response(content, headers=headers | ({"Content-Encoding": coding} if coding else {}), media_type=found.kind)
