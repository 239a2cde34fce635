"""A doubtful set is collected from a server that plays an engine; killed and refused, it goes on."""

import csv
import errno
import json
from pathlib import Path

import pytest
from web_server import Served, asking, bomb, picture

from conftest import Command
from mien import FaceSet
from mien.collect import collect as room
from mien.collect import download
from mien.collect.collect import collect_faces, plan
from mien.collect.web import Web
from mien.disk import write_atomically
from mien.errors import MienError

pytest_plugins = ("web_fixtures",)

WORDS = '[anger]\nen = ["cross face"]\n[fear]\nen = ["scared face", "afraid"]\nde = ["Angst"]\n'


@pytest.fixture
def words(tmp_path: Path) -> Path:
    file = tmp_path / "words.toml"
    file.write_text(WORDS, "utf-8")
    return file


def fill(served: Served, count: int = 4) -> None:
    """Pictures for every search, each another."""
    for place, name in enumerate(("cross face", "scared face", "afraid")):
        served.found[name] = [served.put(f"/{place}-{number}.png", picture(100 * place + number)) for number in range(count)]


def test_a_set_is_collected_with_where_each_face_is_from(served: Served, web: Web, words: Path, tmp_path: Path) -> None:
    fill(served)
    done = collect_faces(asking(served, words=words, each=3), tmp_path / "out", web=web)
    faces = FaceSet.open(tmp_path / "out" / "faces", verify=True)
    assert (len(done.faces), done.pictures, faces.classes) == (6, 6, ("anger", "fear"))
    assert (faces.info.side, faces.info.channels) == (32, 1)
    assert "doubtful" in faces.info.name
    assert "belong to those who made them" in faces.info.license
    rows = {name: faces.column(name).to_pylist() for name in ("source", "address", "page", "words", "language", "fetched")}
    assert (set(rows["source"]), set(rows["language"]), set(rows["page"])) == ({"bing"}, {"en"}, {f"{served.root}/page"})
    found = [word for word, label in zip(rows["words"], faces.labels, strict=True) if label]
    assert found == ["scared face", "afraid", "scared face"], "searches take turns"
    assert all(time.endswith("+00:00") for time in rows["fetched"])
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("collect.json", "downloads.json", "faces", "pictures", "pictures.csv", "searches")
    }
    asked = served.asked.copy()
    again = collect_faces(asking(served, words=words, each=3), tmp_path / "out", web=web)
    assert (again.faces.info.checksum, again.refused) == (faces.info.checksum, done.refused)
    assert served.asked == asked


def test_what_gives_no_picture_is_counted_and_the_rest_is_taken(served: Served, web: Web, words: Path, tmp_path: Path) -> None:
    fill(served)
    served.put("/page.html", b"<html>" + b"x" * 500)
    served.put("/bomb.png", bomb())
    served.put("/nothing", bytes(1_000_000))
    served.put("/tiny.png", picture(1, side=20))
    served.answers["/error"] = (500, {}, b"")
    served.answers["/round"] = (302, {"Location": "/round"}, b"")
    served.answers["/slow"] = (200, {"X-Slow": "yes"}, bytes(200))
    bad = ["/page.html", "/bomb.png", "/nothing", "/tiny.png", "/error", "/round", "/slow", "ftp://there/x.png"]
    served.found["cross face"] = [*bad, *served.found["cross face"]]
    done = collect_faces(asking(served, words=words, each=4, most_bytes=900_000), tmp_path / "out", web=web)
    assert done.pictures == 8
    told = " | ".join(done.refused)
    assert sum(done.refused.values()) == len(bad), told
    for part in ("no picture", "pixels", "more than 900,000 bytes", "fewer than 48", "status 500", "5 redirects", "within 0.5 s"):
        assert part in told
    assert not list((tmp_path / "out").rglob("*.html"))


def test_copies_are_left_out(served: Served, web: Web, words: Path, tmp_path: Path) -> None:
    fill(served)
    served.found["cross face"] = [
        *(served.put(f"/same{number}.png", picture(7)) for number in range(3)),  # one file
        served.put("/larger.png", picture(7, side=128, brighter=9)),
        served.put("/other.png", picture(8)),
    ]
    done = collect_faces(asking(served, words=words, each=9), tmp_path / "out", web=web)
    labels = done.faces.labels.tolist()
    assert (labels.count(0), labels.count(1), done.duplicates) == (2, 8, 1)
    assert f"{served.root}/other.png" in done.faces.column("address").to_pylist()


def test_killed_anywhere_it_goes_on_and_fetches_nothing_twice(
    served: Served, web: Web, words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time a later write fails: the disk is full, or somebody pulls the plug."""
    fill(served)
    asked = asking(served, words=words, each=3)
    whole = collect_faces(asked, tmp_path / "whole", web=web)
    once, served.asked = served.asked, type(served.asked)()
    left, stops = [0], 0

    def full(path: Path, content: bytes) -> None:
        left[0] -= 1
        if left[0] < 0:
            path.with_name(f".{path.name}.1").write_bytes(content[:5])
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write_atomically(path, content)

    monkeypatch.setattr("mien.collect.records.write_atomically", full)
    for left[0] in (0, 1, 2, 3, 5):
        with pytest.raises(OSError, match="No space left") as stopped:
            collect_faces(asked, tmp_path / "out", web=web)
        assert "give the same command again" in stopped.value.__notes__[0]
        stops += 1
    left[0] = 100
    done = collect_faces(asked, tmp_path / "out", web=web)
    assert sorted(done.faces.column("address").to_pylist()) == sorted(whole.faces.column("address").to_pylist())
    pictures = {path: count for path, count in served.asked.items() if path.endswith(".png")}
    assert max(pictures.values()) <= 2, "only what could not be written is asked for again"
    assert set(pictures) == {path for path in once if path.endswith(".png")}
    assert sum(pictures.values()) <= len(pictures) + stops


@pytest.mark.parametrize("where", ["prepare_faces", "write_doubtful_set"])
def test_killed_after_the_downloads_it_asks_nobody(
    served: Served, web: Web, words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    fill(served)

    def killed(*given: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(room, where, killed)
        with pytest.raises(KeyboardInterrupt):
            collect_faces(asking(served, words=words, each=3), tmp_path / "out", web=web)
    asked = served.asked.copy()
    assert len(collect_faces(asking(served, words=words, each=3), tmp_path / "out", web=web).faces) == 6
    assert served.asked == asked


def test_an_address_that_was_away_is_asked_another_day(served: Served, web: Web, words: Path, tmp_path: Path) -> None:
    fill(served, 1)
    served.answers["/0-0.png"] = (503, {}, b"")
    with pytest.raises(MienError, match=r"at least one picture; found none .*1 times status 503"):
        collect_faces(asking(served, words=words, classes=("anger",)), tmp_path / "out", web=web)
    served.put("/0-0.png", picture(0))
    assert len(collect_faces(asking(served, words=words, classes=("anger",)), tmp_path / "out", web=web).faces) == 1
    assert served.asked["/search"] == 2, "the page with a hit, and the empty one after it; both are kept"


def test_an_engine_that_forbids_or_fails_is_asked_no_more(served: Served, web: Web, words: Path, tmp_path: Path) -> None:
    fill(served)
    served.robots = "User-agent: *\nDisallow: /search\n"
    with pytest.raises(MienError, match=r"bing: a host \(127.0.0.1\) whose robots.txt forbids it"):
        collect_faces(asking(served, words=words), tmp_path / "out", web=web)
    assert served.asked["/search"] == 0
    assert "/0-0.png" not in served.asked
    served.robots = ""
    two = (f"bing address={served.root}/search", f"openverse address={served.root}/broken")
    served.answers["/broken"] = (200, {}, b"[no json")
    done = collect_faces(
        asking(served, words=words, engines=two), tmp_path / "two", web=Web(0.001, 0.5, "", True, lambda _: None)
    )
    assert (len(done.faces), list(done.faults)) == (12, ["openverse"])
    assert served.asked["/broken"] == 3


def test_failing_searches_are_told_though_the_engine_is_asked_on(served: Served, web: Web, words: Path, tmp_path: Path) -> None:
    """Fewer than three in a row end nothing: where no picture was found they are the reason, else a note."""
    served.answers["/broken"] = (500, {}, b"")
    one = (f"bing address={served.root}/broken",)
    with pytest.raises(MienError, match=r"bing: 1 page of results could not be had, the last for status 500"):
        collect_faces(asking(served, words=words, classes=("anger",), engines=one), tmp_path / "out", web=web)
    fill(served)
    two = (f"bing address={served.root}/search", f"openverse address={served.root}/broken")
    done = collect_faces(asking(served, words=words, classes=("anger",), engines=two), tmp_path / "two", web=web)
    assert (dict(done.faults), list(done.failures)) == ({}, ["openverse"])
    assert "status 500" in done.to_json()["failures"]["openverse"]
    again = collect_faces(asking(served, words=words, classes=("anger",), engines=two), tmp_path / "two", web=web)
    assert again.failures == done.failures
    told = json.loads((tmp_path / "two" / "faces" / "collected.json").read_text())
    del told["failures"]
    (tmp_path / "two" / "faces" / "collected.json").write_text(json.dumps(told))
    old = collect_faces(asking(served, words=words, classes=("anger",), engines=two), tmp_path / "two", web=web)
    assert old.failures == {}, "a set of before such notes is opened"


def test_a_network_that_is_away_is_not_written_down_as_the_pictures_fault(
    served: Served, web: Web, words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(served, 9)
    monkeypatch.setattr(download, "MOST_FAILED", 5)
    kept = dict(served.answers)
    served.answers.update(dict.fromkeys(kept, (503, {}, b"")))
    with pytest.raises(MienError, match="none from 5 addresses in a row"):
        collect_faces(asking(served, words=words, each=3), tmp_path / "out", web=web)
    served.answers.update(kept)
    assert collect_faces(asking(served, words=words, each=3), tmp_path / "out", web=web).pictures == 6


def test_other_settings_are_another_collection(served: Served, web: Web, words: Path, tmp_path: Path) -> None:
    fill(served)
    collect_faces(asking(served, words=words, each=2), tmp_path / "out", web=web)
    with pytest.raises(MienError, match="each = 2; found each = 3"):
        collect_faces(asking(served, words=words, each=3), tmp_path / "out", web=web)
    collect_faces(asking(served, words=words, each=2, rate=9), tmp_path / "out", web=web)
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    with pytest.raises(MienError, match="an empty folder"):
        collect_faces(asking(served, words=words), tmp_path / "used", web=web)


def test_the_command_says_what_leaves_and_asks(mien: Command, served: Served, words: Path, tmp_path: Path) -> None:
    fill(served)
    given = ["collect", tmp_path / "out", "--words", words, "--languages", "en", "--each", 2, "--align", "whole", "--workers", 1]
    given += ["--engines", f"bing address={served.root}/search", "--rate", 0.001, "--local", "--contact", "me@example.org"]
    done = mien(*given)
    assert done.code == 1
    assert "the words of 3 searches, to bing" in done.err
    assert "nobody at a terminal to ask; give --yes" in done.err
    assert not served.asked
    assert not (tmp_path / "out").exists()
    done = mien(*given, "--yes", "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert (told["faces"], told["labels"]) == (4, {"anger": 2, "fear": 2})
    assert {agent.partition("; ")[2].rpartition("; ")[2] for agent in served.agents} == {"me@example.org)"}
    again = mien(*given)
    assert ("doubtful" in again.out, "leaves the computer" in again.err) == (True, False), "there is nothing left to ask"
    with (tmp_path / "out" / "pictures.csv").open(encoding="utf-8", newline="") as file:
        assert [row["source"] for row in csv.DictReader(file)] == ["bing"] * 4


def test_what_will_be_asked_is_known_before(served: Served, words: Path) -> None:
    found = plan(asking(served, words=words, classes=("fear",), languages=("de", "en")))
    assert [one.words for one in found.searches] == ["Angst", "scared face", "afraid"]
    for more, said in (
        ({"classes": ("faer",)}, "did you mean fear"),
        ({"languages": ("xx",)}, "languages among en, de"),
        ({"engines": ("bign",)}, "did you mean bing"),
        ({"engines": ("bing", "bing")}, "each engine once"),
        ({"classes": ("anger",), "languages": ("de",)}, "words for anger"),
    ):
        with pytest.raises(MienError, match=said):
            plan(asking(served, **{"words": words, **more}))
