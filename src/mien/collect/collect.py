"""From search words to a doubtful set of faces: search, download, find faces, leave near-duplicates out.

Killed anywhere, it goes on with the same settings: what was fetched lies in the folder, and is not fetched again.
"""

import csv
import io
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from mien.collect.doubtful_set import SUMMARY, write_doubtful_set
from mien.collect.download import Downloader, Downloads
from mien.collect.engines import Engine, engines_from_texts
from mien.collect.records import PICTURES, Records
from mien.collect.settings import CollectSettings
from mien.collect.web import Web, user_agent
from mien.collect.words import SearchWords, read_words
from mien.data.faceset import FaceSet
from mien.disk import write_atomically
from mien.errors import MienError
from mien.folders import claim, exclusive
from mien.json_text import to_json
from mien.json_toml import read_json
from mien.media.file_limits import FILE_LIMITS, FileLimits
from mien.preparation.preparation_settings import PreparationSettings
from mien.preparation.prepare import prepare_faces
from mien.progress import Progress, Silent
from mien.wording import quantity

ASKED, DOWNLOADS, PREPARED, FACES = "collect.json", "downloads.json", "prepared", "faces"
"""What lies in the folder: what was asked, what downloading came to, faces on the way to the set, and the set."""
LIST = "pictures.csv"
"""The pictures that were downloaded, each with its class and where it is from."""
COLUMNS = ("source", "address", "page", "words", "language", "fetched", "license")
"""Columns of every face beside its label: where the picture is from."""
DOUBT = "labels doubtful: the classes of the words that found them"
"""What the name of a set says."""


@dataclass(frozen=True, eq=False)
class Collected:
    """A collected set, and what became of what was found."""

    faces: FaceSet
    """The set, with doubtful labels."""
    pictures: int
    """How many different pictures were downloaded."""
    refused: Mapping[str, int]
    """How many addresses gave no picture, by reason."""
    duplicates: int
    """How many faces were left out as near-duplicates of others."""
    faults: Mapping[str, str]
    """Why engines were asked no more, by their names."""
    failures: Mapping[str, str] = field(default_factory=dict)
    """How many pages of results failed of engines that were asked on, and why the last one did, by their names."""

    def to_json(self) -> dict[str, Any]:
        """The numbers as plain values for JSON."""
        counts = np.bincount(self.faces.labels, minlength=len(self.faces.classes)).tolist()
        told = {"faces": len(self.faces), "labels": dict(zip(self.faces.classes, counts, strict=True))}
        told |= {"pictures": self.pictures, "refused": dict(self.refused)}
        return (
            told
            | {"duplicates": self.duplicates, "faults": dict(self.faults), "failures": dict(self.failures)}
            | {"checksum": self.faces.info.checksum}
        )


@dataclass(frozen=True)
class Plan:
    """What a collection will ask the web for."""

    engines: Mapping[str, Engine]
    """The engines, by name."""
    searches: tuple[SearchWords, ...]
    """All that is searched for."""
    agent: str
    """The name that every request bears."""

    @property
    def told(self) -> str:
        """What leaves the computer, in words."""
        words, engines = quantity(len(self.searches), "search", "searches"), ", ".join(self.engines)
        return (
            f"this leaves the computer: the words of {words}, to {engines}; and requests for the pictures that they name, to the "
            f"hosts of these. Each request bears the name {self.agent!r}. Nothing else leaves, and no face"
        )


def plan(asked: CollectSettings) -> Plan:
    """What these settings will ask the web for. Raises MienError for unknown engines, classes or languages, or a missing key."""
    engines = engines_from_texts(asked.engines)
    for engine in engines.values():
        engine.require_ready()
    return Plan(engines, read_words(asked.words, asked.classes, asked.languages), user_agent(asked.contact))


def collect_faces(
    asked: CollectSettings,
    out: Path | str,
    workers: int = 1,
    progress: Progress | None = None,
    limits: FileLimits = FILE_LIMITS,
    web: Web | None = None,
) -> Collected:
    """Collect faces by web search into the folder `out`, and open the set in `out/faces`.

    Everything that leaves the computer leaves it here: see `plan(asked).told`. A folder that was begun with the same settings
    goes on; a finished one is opened. `workers`: processes that find faces. `web`: another way to fetch addresses, for tests.

    Raises MienError where `out` holds something else or was begun with other settings, another process works there, the network
    is away, no picture was found or none shows a face.
    """
    out, bar, planned = Path(out), progress or Silent(), plan(asked)
    with exclusive(out):
        claim(out / ASKED, _asked(asked, planned), lambda written: written, "an earlier collection", "choose another folder")
        try:
            return _collected(asked, planned, out, workers, bar, limits, web)
        except BaseException as error:
            error.add_note(f"what was fetched lies in {out}: give the same command again to go on, or remove it")
            raise


def _collected(
    asked: CollectSettings, planned: Plan, out: Path, workers: int, bar: Progress, limits: FileLimits, web: Web | None
) -> Collected:
    if not (out / FACES).is_dir():
        if not (out / PREPARED).is_dir():
            web = web or Web(asked.rate, asked.timeout, asked.contact, asked.local)
            loader = Downloader(web, Records(out), asked.most_bytes, bar, limits)
            found = loader.download(dict(planned.engines), planned.searches, asked.each)
            _write_down(found, out)
            prepare_faces(_preparation(asked, out), out / PREPARED, workers, None, bar, limits)
        write_doubtful_set(out / PREPARED, out / FACES, _name(planned), read_json(out / DOWNLOADS, f"remove {out}"), bar)
    shutil.rmtree(out / PREPARED, ignore_errors=True)
    told = read_json(out / FACES / SUMMARY, f"remove {out / FACES}, and give the same command again")
    return Collected(FaceSet.open(out / FACES), **{one.name: told[one.name] for one in fields(Collected) if one.name in told})


def _write_down(found: Downloads, out: Path) -> None:
    """Write the list of pictures, and what became of the others. Raises MienError where there is no picture."""
    if not found.kept:
        why = [f"{name}: {reason}" for name, reason in (found.faults | found.failures).items()]
        why += [f"{count} times {reason}" for reason, count in found.refused.most_common(3)]
        told = f"none ({'; '.join(why)})" if why else "none"
        raise MienError("at least one picture", told, "try other engines or words, or come back another day")
    file = io.StringIO()
    table = csv.writer(file, lineterminator="\n")
    table.writerow(("path", "label", *COLUMNS))
    for one in found.kept:
        place = f"{PICTURES}/{one.file}"
        table.writerow((place, one.label, one.engine, one.address, one.page, one.words, one.language, one.time, one.license))
    write_atomically(out / LIST, file.getvalue().encode())
    values = {"pictures": len(found.kept), "refused": found.refused, "faults": found.faults, "failures": found.failures}
    write_atomically(out / DOWNLOADS, to_json(values).encode())


def _preparation(asked: CollectSettings, out: Path) -> PreparationSettings:
    return PreparationSettings((str(out / LIST),), asked.align, asked.detector, side=asked.side, keep=COLUMNS)


def _name(planned: Plan) -> str:
    return f"web search by {', '.join(planned.engines)}; {DOUBT}"


def _asked(asked: CollectSettings, planned: Plan) -> dict[str, Any]:
    """What has to be the same for a collection to go on: the words themselves, and not where they stand."""
    given = asdict(asked)
    for free in ("words", "rate", "timeout", "contact", "local"):
        given.pop(free)
    return given | {"searches": [asdict(one) for one in planned.searches]}
