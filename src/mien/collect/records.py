"""What was fetched, on disk: a file for each page of results and each picture, so that nothing is asked for twice.

Every file is written aside and renamed: a process may be killed anywhere.
"""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic.dataclasses import dataclass as checked

from mien.collect.engines import Hit
from mien.collect.words import SearchWords
from mien.disk import write_atomically
from mien.errors import MienError
from mien.json_text import to_json
from mien.json_toml import read_settings
from mien.settings import STRICT

PICTURES = "pictures"
"""The folder of pictures and their records, in that of the collection."""


@checked(frozen=True, config=STRICT)
class ResultsPage:
    """The pictures that a page of results named."""

    hits: tuple[Hit, ...]
    """The pictures, in the engine's order; none where the results have ended."""


@checked(frozen=True, config=STRICT)
class PictureRecord:
    """What became of an address, and where it is from."""

    address: str
    """Where the picture lies in the web."""
    page: str
    """The page that shows it; "" where the engine does not tell."""
    engine: str
    """The engine that found it."""
    words: str
    """The words that it was found by."""
    language: str
    """Their language."""
    label: str
    """Their class."""
    time: str
    """When it was fetched, in UTC."""
    license: str = ""
    """The picture's license, as the engine tells it."""
    file: str = ""
    """The name of its file; "" where there is none."""
    sha256: str = ""
    """The hash of the file."""
    reason: str = ""
    """Why there is no file; "" where there is one."""
    passing: bool = False
    """Whether another try, another day, may give one."""


@dataclass(frozen=True)
class Records:
    """The records in the folder of a collection."""

    folder: Path
    """The folder of the collection."""

    @property
    def pictures(self) -> Path:
        """The folder of pictures and their records."""
        return self.folder / PICTURES

    def page(self, engine: str, words: SearchWords, page: int) -> ResultsPage | None:
        """The page of results that was fetched before; None where it was not."""
        file = self._page_file(engine, words, page)
        return read_settings(ResultsPage, file, self._todo(file)) if file.is_file() else None

    def keep_page(self, engine: str, words: SearchWords, page: int, found: ResultsPage) -> None:
        """Write a page of results down."""
        file = self._page_file(engine, words, page)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, to_json(asdict(found), indent=None).encode())

    def picture(self, address: str) -> PictureRecord | None:
        """What became of an address before; None where it was not asked for."""
        file = self._picture_file(address)
        return self._read(file) if file.is_file() else None

    def keep_picture(self, record: PictureRecord, content: bytes = b"") -> None:
        """Write a picture and its record down, the record last."""
        file = self._picture_file(record.address)
        file.parent.mkdir(parents=True, exist_ok=True)
        if record.file:
            write_atomically(self.pictures / record.file, content)
        write_atomically(file, to_json(asdict(record), indent=None).encode())

    def file_name(self, address: str, ending: str) -> str:
        """The name of a picture's file, below `pictures`: parted into folders, of which none gets too many."""
        return self._picture_file(address).relative_to(self.pictures).with_suffix(ending).as_posix()

    def _read(self, file: Path) -> PictureRecord:
        record = read_settings(PictureRecord, file, self._todo(file))
        if record.file and Path(record.file) != file.relative_to(self.pictures).with_suffix(Path(record.file).suffix):
            raise MienError(f"the record of a picture in {file}", "that of another file", self._todo(file))
        return record

    def _page_file(self, engine: str, words: SearchWords, page: int) -> Path:
        key = _hash("\n".join((engine, words.label, words.language, words.words)))
        return self.folder / "searches" / key / f"{page:04d}.json"

    def _picture_file(self, address: str) -> Path:
        key = _hash(address)
        return self.pictures / key[:2] / f"{key}.json"

    def _todo(self, file: Path) -> str:
        return f"remove {file}: what it is about is fetched again"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
