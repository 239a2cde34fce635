"""Searches and downloads until each class has its pictures; what was fetched before is not fetched again."""

import hashlib
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from mien.collect.engines import Engine, Hit
from mien.collect.records import PictureRecord, Records, ResultsPage
from mien.collect.request import RefusedError
from mien.collect.web import Web
from mien.collect.words import SearchWords
from mien.errors import MienError
from mien.media.decoding.decode import open_picture
from mien.media.file_limits import FILE_LIMITS, FileLimits
from mien.media.rejections import reason_of
from mien.progress import Progress
from mien.wording import plain_text, quantity

PAGE_BYTES = 5_000_000
"""The most bytes of a page of results."""
PICTURES = "image/jpeg, image/png, image/webp, image/*;q=0.5"
LEAST_SIDE = 48
"""The fewest pixels of a picture's shorter side: smaller ones are signs and buttons."""
FAILURES = 3
"""How often in a row an engine may fail until it is asked no more."""
MOST_FAILED = 60
"""How many addresses in a row may give no answer until the network is taken to be away."""
MOST_LETTERS = 2000
"""The most letters of what is kept of a hit."""
ENDINGS = {"JPEG": ".jpg", "JPEG2000": ".jp2", "TIFF": ".tif", "PPM": ".ppm"}


@dataclass
class Downloads:
    """What downloading came to."""

    kept: list[PictureRecord] = field(default_factory=list)
    """The pictures, in the order in which they were found; of equal files the first."""
    refused: Counter[str] = field(default_factory=Counter)
    """How many addresses gave no picture, by reason."""
    faults: dict[str, str] = field(default_factory=dict)
    """Why engines were asked no more, by their names."""
    failures: dict[str, str] = field(default_factory=dict)
    """How many searches failed of engines that were asked on, and why the last one did, by their names."""


class Downloader:
    """Fetches pages and pictures for one collection."""

    def __init__(self, web: Web, records: Records, most_bytes: int, progress: Progress, limits: FileLimits = FILE_LIMITS) -> None:
        self.web = web
        self.records = records
        self.done = Downloads()
        self._limits = replace(limits, bytes=min(limits.bytes, most_bytes))
        self._progress = progress
        self._failures, self._lost = Counter[str](), Counter[str]()
        self._empty, self._told = Counter[str](), set[str]()
        self._failed = 0
        self._seen = set[str]()
        self._contents = set[str]()

    def download(self, engines: dict[str, Engine], searches: Sequence[SearchWords], each: int) -> Downloads:
        """Pictures of every class, up to `each` of them. Raises MienError where the network is away."""
        for label in dict.fromkeys(one.label for one in searches):
            self._progress.begin(f"pictures for {label}", each)
            mine = [one for one in searches if one.label == label]
            turns = deque((name, one, self._hits(name, engine, one)) for one in mine for name, engine in engines.items())
            count = 0
            # Searches take turns, picture by picture: no words and no engine make up a class alone.
            while turns and count < each:
                name, words, hits = turns.popleft()
                hit = next(hits, None)
                if hit is None:
                    continue
                turns.append((name, words, hits))
                if self._take(name, words, hit):
                    count += 1
                    self._progress.advance(1)
            if count < each:
                self._progress.say(f"{label}: {quantity(count, 'picture')} of {each}; there are no more for these words")
        for name, count in self._empty.items():
            if name not in self._told:
                reason = f"no pictures for {quantity(count, 'search', 'searches')}; it may keep programs out"
                self.done.faults.setdefault(name, reason)
        self.done.failures = {name: told for name, told in self.done.failures.items() if name not in self.done.faults}
        for name, told in self.done.failures.items():
            self._progress.say(f"{name}: {told}")
        return self.done

    def _hits(self, name: str, engine: Engine, words: SearchWords) -> Iterator[Hit]:
        """The pictures of a search, page after page, up to a page without a new one."""
        page, before = 0, set[str]()
        while name not in self.done.faults and (address := engine.search(words.words, words.language, page)):
            found = self.records.page(name, words, page) or self._results(name, engine, words, page, address)
            new = [] if found is None else [hit for hit in found.hits if hit.address not in before]
            if not new:
                return
            self._told.add(name)
            yield from new
            before.update(hit.address for hit in new)
            page += 1

    def _results(self, name: str, engine: Engine, words: SearchWords, page: int, address: str) -> ResultsPage | None:
        """A page of results; None where the engine gives none."""
        try:
            content = self.web.get(address, PAGE_BYTES, robots=not engine.is_interface)
            found = ResultsPage(tuple(map(_short, filter(_is_whole, engine.hits(content)))))
        except (RefusedError, ValueError) as error:
            self._failures[name] += 1
            self._lost[name] += 1
            reason = error.reason if isinstance(error, RefusedError) else f"a page that cannot be read ({error})"
            lost = quantity(self._lost[name], "page of results", "pages of results")
            self.done.failures[name] = plain_text(f"{lost} could not be had, the last for {reason}")
            if self._failures[name] >= FAILURES or (isinstance(error, RefusedError) and not error.passing):
                self.done.faults[name] = plain_text(reason)
                self._progress.say(f"{name} is asked no more: {reason}")
            return None
        self._failures[name] = 0
        if not found.hits and page == 0:  # perhaps a page that keeps programs out: another day it may be another
            self._empty[name] += 1
            return None
        self.records.keep_page(name, words, page, found)
        return found

    def _take(self, name: str, words: SearchWords, hit: Hit) -> bool:
        """Whether an address gives a new picture, which is fetched unless it is there."""
        if hit.address in self._seen:
            return False
        self._seen.add(hit.address)
        record = self.records.picture(hit.address)
        if record is None or record.passing or (record.file and not (self.records.pictures / record.file).is_file()):
            record = self._fetch(name, words, hit)
        if not record.file:
            self.done.refused[record.reason] += 1
            return False
        if record.sha256 in self._contents or record.label != words.label:
            return False
        self._contents.add(record.sha256)
        self.done.kept.append(record)
        return True

    def _fetch(self, name: str, words: SearchWords, hit: Hit) -> PictureRecord:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        told = (hit.address, hit.page, name, words.words, words.language, words.label, now, hit.license)
        record, content = PictureRecord(*told), b""
        try:
            content = self.web.get(hit.address, self._limits.bytes, PICTURES)
            name_of = self.records.file_name(hit.address, self._ending(content))
            record = replace(record, file=name_of, sha256=hashlib.sha256(content).hexdigest())
            self._failed = 0
        except RefusedError as error:
            self._failed = self._failed + 1 if error.passing else 0
            record = replace(record, reason=plain_text(error.reason), passing=error.passing)
        except ValueError as error:
            record, self._failed = replace(record, reason=plain_text(error)), 0
        self.records.keep_picture(record, content)
        if self._failed >= MOST_FAILED:
            found = f"none from {MOST_FAILED} addresses in a row ({record.reason})"
            raise MienError("answers from the network", found, "see whether it is there, and give the same command again")
        return record

    def _ending(self, content: bytes) -> str:
        """How the name of a picture's file ends. Raises ValueError for what is no picture, or beyond the limits."""
        try:
            opened = open_picture(content, self._limits)
            opened.pixels("RGB")
        except Exception as error:  # Decoders meet a broken file with exceptions of many kinds.
            raise ValueError(f"no picture: {reason_of(error)}") from error
        wide, high = opened.image.size
        if min(wide, high) < LEAST_SIDE:
            raise ValueError(f"a picture of fewer than {LEAST_SIDE} pixels on a side")
        form = opened.image.format or "JPEG"
        return ENDINGS.get(form, f".{form.lower()}")


def _is_whole(hit: Hit) -> bool:
    """Whether the address of a hit is made of whole characters, which UTF-8 can hold: half ones could not be kept."""
    return not any("\ud800" <= letter <= "\udfff" for letter in hit.address)


def _short(hit: Hit) -> Hit:
    """A hit without texts that have no end, or that a table cannot hold."""
    page, terms = ("".join(filter(str.isprintable, text[:MOST_LETTERS])) for text in (hit.page, hit.license))
    return Hit(hit.address[: MOST_LETTERS + 1], page, terms)
