"""What `mien collect` is asked to do. Commands offer these settings as options, so that this module loads nothing heavy."""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass

from mien.settings import STRICT, Count, PictureSide, Seconds, names_in_text, plain_errors

Names = Annotated[tuple[str, ...], BeforeValidator(names_in_text)]
Contact = Annotated[str, Field(max_length=200, pattern=r"^[\x20-\x7e]*$")]


@plain_errors
@dataclass(frozen=True, config=STRICT)
class CollectSettings:
    """What `collect_faces` is asked to do."""

    words: Path | None = None
    """A TOML file of search words, by class and language. Unless given: mien's own."""
    classes: Names = ()
    """Classes to collect. Unless given: all that have words."""
    languages: Names = ()
    """Languages to search in. Unless given: all that have words."""
    engines: Annotated[Names, Field(min_length=1)] = ("openverse", "bing", "baidu")
    """Search engines: openverse, bing, baidu, google, searxng; with settings, 'searxng address=URL'."""
    each: Count = 200
    """Pictures to download for each class."""
    side: PictureSide = 144
    """Side of a face in pixels."""
    align: str = "eyes"
    """How faces are cut out: eyes, box, outline or whole; with settings, 'eyes distance=0.4'."""
    detector: str = "mtcnn"
    """What finds faces: mtcnn, haar or dlib; with settings, 'mtcnn least_face=40'."""
    rate: Seconds = 2.0
    """Seconds between two requests to the same host; more where its robots.txt asks for more."""
    timeout: Seconds = 20.0
    """The most seconds that a request may take, from its beginning to its last byte."""
    most_bytes: Annotated[int, Field(ge=1, le=1 << 28)] = 20_000_000
    """The most bytes of a picture."""
    contact: Contact = ""
    """An address of yours, by mail or web, that every request names, so that hosts can reach you."""
    local: bool = False
    """Allow addresses of this computer and of private networks: for a search engine of your own."""
