"""The photos of a request: its body, or the files of its form."""

from collections.abc import AsyncGenerator
from pathlib import Path

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from mien.errors import MienError
from mien.http_server.request_checks import RefusedRequest
from mien.media.source_files import SourceFile
from mien.serving.figures import Figures
from mien.serving.settings import ServiceSettings
from mien.wording import plain_text

FORM = "multipart/form-data"
"""The content type of a form with files."""
OTHERS = ("application/json", "application/x-www-form-urlencoded", "text/", "video/", "audio/", "multipart/")
"""Beginnings of content types that are no photo: somebody has sent something else than they meant."""
TODO = f"send a photo's bytes as the body, or files by {FORM}"


class HeldBody:
    """The body of a request, which counts as held in memory until the context ends."""

    def __init__(self, request: Request, settings: ServiceSettings, figures: Figures) -> None:
        self._request, self._settings, self._figures, self._size = request, settings, figures, 0

    def __enter__(self) -> "HeldBody":
        return self

    def __exit__(self, *error: object) -> None:
        self._figures.held -= self._size

    async def read(self) -> bytes:
        """All of it. Raises RefusedRequest where it is too long or too much is held, and ClientDisconnect where it breaks off."""
        length, most = self._request.headers.get("content-length", ""), self._settings.bytes
        if length.isdecimal() and (len(length) > 15 or int(length) > most):
            raise _too_long(most)
        parts = list[bytes]()
        async for part in self._request.stream():
            if self._size + len(part) > most:
                raise _too_long(most)
            if self._figures.held + len(part) > self._settings.held:
                raise busy()
            parts.append(part)
            self._size += len(part)
            self._figures.held += len(part)
        return b"".join(parts)


def busy() -> RefusedRequest:
    """The refusal of a request while too many wait."""
    return RefusedRequest(429, MienError("fewer requests at a time", "too many that wait", "send it again later"))


async def photos_of(headers: Headers, body: bytes, settings: ServiceSettings) -> list[SourceFile]:
    """The photos in a body. Raises RefusedRequest where there is none, where there are too many, and for a broken form."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == FORM:
        return await _files(headers, body, settings)
    if kind.startswith(OTHERS):
        raise RefusedRequest(415, MienError("a photo, or a form with photos", plain_text(kind, 100), TODO))
    if not body:
        raise RefusedRequest(422, MienError("a photo", "an empty body", TODO))
    return [SourceFile("photo", Path(), content=body)]


async def _files(headers: Headers, body: bytes, settings: ServiceSettings) -> list[SourceFile]:
    async def once() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(headers, once(), max_files=settings.photos, max_fields=settings.photos)
    parser.spool_max_size = len(body) + 1  # in memory, where the body is: no file is written
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise RefusedRequest(
            422, MienError(f"a form of at most {settings.photos} photos", plain_text(error.message, 200), TODO)
        ) from error
    except Exception as error:  # what the parser meets in headers and boundaries of any bytes
        raise RefusedRequest(422, MienError("a form as browsers send it", "a broken one", TODO)) from error
    files = [one for _, one in form.multi_items() if isinstance(one, UploadFile)]
    photos = [
        SourceFile(plain_text(one.filename or f"photo {number}", 200), Path(), content=await one.read())
        for number, one in enumerate(files, 1)
    ]
    await form.close()
    if not photos:
        raise RefusedRequest(422, MienError("photos in the form", "none", "send each as a file: curl -F photos=@photo.jpg"))
    return photos


def _too_long(most: int) -> RefusedRequest:
    return RefusedRequest(413, MienError(f"at most {most:,} bytes", "more", "send fewer or smaller photos at a time"))
