"""The photos of a request: its body, or the files of its form."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from pathlib import Path

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from mien.errors import MienError
from mien.http_server.request_checks import RefusedRequest
from mien.media.decoding.decode import open_picture
from mien.media.source_files import SourceFile
from mien.serving.settings import ServiceSettings
from mien.wording import plain_text

FORM = "multipart/form-data"
"""The content type of a form with files."""
OTHERS = ("application/json", "application/x-www-form-urlencoded", "text/", "video/", "audio/", "multipart/")
"""Beginnings of content types that are no photo: somebody has sent something else than they meant."""
CUT = "one that was cut off"
TODO = f"send a photo's bytes as the body, or files by {FORM}"


async def photos_of(headers: Headers, body: bytes, settings: ServiceSettings) -> list[SourceFile]:
    """The photos in a body. Raises RefusedRequest where there is none, where there are too many, and for a broken form."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == FORM:
        return await _files(headers, body, settings)
    if kind.startswith(OTHERS):
        todo = f"say what the body is, such as Content-Type: image/jpeg, or send a form by {FORM}"
        raise RefusedRequest(415, MienError("the content type of a photo, or of a form", plain_text(kind, 100), todo))
    if not body:
        raise RefusedRequest(422, MienError("a photo", "an empty body", TODO))
    return [SourceFile("photo", Path(), content=body)]


async def _files(headers: Headers, body: bytes, settings: ServiceSettings) -> list[SourceFile]:
    async def once() -> AsyncGenerator[bytes, None]:
        yield body
        if not parser.ended:
            raise MultiPartException(CUT)  # here the parser closes what it has opened

    parser = _Form(headers, once(), max_files=settings.photos, max_fields=settings.photos)
    parser.spool_max_size = len(body) + 1  # in memory, where the body is: no file is written
    try:
        form = await parser.parse()
    except MultiPartException as error:
        if error.message == CUT:
            raise RefusedRequest(400, MienError("a form with its closing boundary", CUT, "send it again, whole")) from error
        expected, many = f"a form of at most {settings.photos} photos", error.message.startswith("Too many files")
        found, todo = ("more", "send fewer at a time") if many else (plain_text(error.message, 200), TODO)
        raise RefusedRequest(422, MienError(expected, found, todo)) from error
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


def count_pixels(files: Sequence[SourceFile], settings: ServiceSettings) -> int:
    """How many pixels the photos have together, by their headers; what cannot be read has none.

    Raises RefusedRequest for too many.
    """
    total = 0
    for file in files:
        with suppress(Exception):  # of many kinds; reading it says what is wrong
            width, height = open_picture(file.content or b"", settings.file_limits).image.size
            total += width * height
    most = settings.request_pixels
    if total > most:
        raise RefusedRequest(413, MienError(f"at most {most:,} pixels in a request", f"{total:,}", "send fewer photos at a time"))
    return total


class _Form(MultiPartParser):
    """Notes whether a form has its end, without which it was cut off."""

    ended = False

    def on_end(self) -> None:
        """Called at the boundary that closes the form."""
        self.ended = True
