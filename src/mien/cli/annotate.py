"""Commands about people who label faces: the page, the people, and what they said."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from mien.cli.shared import Device, FaceSetPath, Json, print_json, print_values, say, share, warn_of_few_tests, whole
from mien.errors import MienError
from mien.plain import counted
from mien.registry import meant

if TYPE_CHECKING:
    from mien.cli.console import Table
    from mien.data.faceset import FaceSet
    from mien.labeling.page.responses import GuessTiming
    from mien.labeling.page.setup import PreparedPage
    from mien.labeling.store.agreement import AnnotatorFigures
    from mien.labeling.store.store import Store

WHENS = ("after", "before", "never")
WHATS = ("consensus", "log")

MinAgreement = Annotated[float, share("Share of votes that a label needs.")]
MinAnswers = Annotated[int, whole("Votes that a label needs.")]
Place = Annotated[str, typer.Argument(metavar="STORE", help="A file, or postgresql://user@host/name.")]

Proxies = Annotated[
    list[str] | None,
    typer.Option(metavar="ADDRESS", help="IP address or network of a proxy to believe about its clients; may be repeated."),
]
PerFace = Annotated[
    int | None,
    whole("Answers of different people that a face wants; 1 unless said. More than a store has: for disputed faces alone."),
]
ShowGuess = Annotated[
    str | None, typer.Option(help="When to show the guess: after (unless said), before (unless said with --doubts), never.")
]
Definitions = Annotated[Path | None, typer.Option(metavar="TOML", help="What each class means, for the help of the page.")]
Photos = Annotated[
    str | None,
    typer.Option(metavar="FOLDER", help="Where the photos around faces are, if mien prepare did not note it; none: show none."),
]
Certificate = Annotated[Path | None, typer.Option(metavar="PEM", help="Certificate, to speak TLS without a proxy.")]
Key = Annotated[Path | None, typer.Option(metavar="PEM", help="Key of the certificate, unless it is in the same file.")]

labels = typer.Typer(no_args_is_help=True, help="What people said of faces.")


def annotate(
    pool: Annotated[Path, typer.Argument(metavar="POOL", help="Folder of a face set.")],
    store: Annotated[str, typer.Option(help="Where answers go: a file, which is made, or postgresql://user@host/name.")],
    model: Annotated[Path | None, typer.Option(metavar="RUN", help="A run or a model folder, whose guesses are noted.")] = None,
    doubts: Annotated[
        Path | None, typer.Option(metavar="CSV", help="A list of mien doubts: confirm or correct its labels, in its order.")
    ] = None,
    classes: Annotated[
        str | None, typer.Option(help="What to choose from: happiness,sadness; what model or pool say otherwise.")
    ] = None,
    first: Annotated[int | None, whole("Ask about so many faces; a new store: about all unless said.")] = None,
    split: Annotated[str | None, typer.Option(help="Ask about the faces of this split.")] = None,
    unlabeled: Annotated[bool, typer.Option("--unlabeled", help="Ask about faces without label.")] = False,
    per_face: PerFace = None,
    gold: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Faces whose right answer is known, columns id and label: everybody gets them."),
    ] = None,
    definitions: Definitions = None,
    photos: Photos = None,
    show_guess: ShowGuess = None,
    add: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Add somebody who may answer; may be repeated.")] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen at; others than this machine's show faces to the network.")
    ] = "127.0.0.1",
    port: Annotated[int, whole("0 takes a free one.", 0, 65535)] = 8000,
    name: Annotated[list[str] | None, typer.Option(help="Host name under which a proxy shows the page; may be repeated.")] = None,
    proxy: Proxies = None,
    path: Annotated[str, typer.Option(help="Path below which a proxy shows the page: /label.")] = "",
    certificate: Certificate = None,
    key: Key = None,
    device: Device = "auto",
) -> None:
    """Show faces in the browser and ask people what they express."""
    from mien.cli.console import Bar
    from mien.labeling.page.serve import is_loopback, listen, network_settings, page_address, serve
    from mien.labeling.page.setup import PageSettings, prepare_page
    from mien.labeling.store.database import Database

    when = _one_of(show_guess or ("before" if doubts else "after"), WHENS, "--show-guess")
    named = tuple(part.strip() for part in (classes or "").split(",") if part.strip())
    asking = PageSettings(pool, store, model, named, per_face, first, split, unlabeled, doubts, gold, device, definitions, photos)
    reached = network_settings(name or (), proxy or (), certificate, key, path)
    with listen(host, port) as listening:  # before a store is made
        with Bar(single=True) as bar:
            ready = prepare_page(asking, bar)
        with ready.store:
            _tell(ready, str(pool), Database(store).name, add or [])
            if not is_loopback(host) and reached.tls is None:
                say("warning: the network can reach this page, and read along unless a proxy adds TLS", file=sys.stderr)
            others = f", others {' or '.join(name)}" if name else ""
            where = page_address(listening, reached.tls is not None, reached.path)
            say(f"open {where}{others}, and end with Ctrl-C", flush=True)
            with suppress(KeyboardInterrupt):
                serve(ready, listening, cast("GuessTiming", when), reached)
            say(_progress(ready.store))


def _tell(ready: "PreparedPage", pool: str, where: str, add: list[str]) -> None:
    """What is asked, and the tokens of those who are added."""
    store, info = ready.store, ready.store.info
    if ready.made:
        say(f"a new label store: {where}")
    if ready.unknown_classes:
        say(f"warning: people cannot choose {', '.join(ready.unknown_classes)}, which faces of {pool} are", file=sys.stderr)
    known = store.accounts.names()
    for person in dict.fromkeys(add):
        if person in known:
            say(f"{person} is known already; a new token: mien annotators renew {person} --store {where}")
        else:
            say(f"token of {person}, said this once: {store.accounts.add(person)}")
    if ready.disputed is not None and info.most == info.least:
        say(f"answers wanted for each face: {info.least}")
    elif ready.disputed is not None:
        now = f"{ready.disputed or 'none'} so far"
        many = counted(info.most, "answer")
        say(f"faces on which people disagree ({now}) want {many}, all others {info.least} as before")
    if ready.photos is not None:
        say(f"the key p shows the photo around a face, from {ready.photos.place}; --photos none shows none")
    say(f"{counted(ready.new, 'new question')}; {_progress(store)}")
    if not store.accounts.names():
        say(f"nobody can sign in yet: mien annotators add NAME --store {where}")


def _progress(store: "Store") -> str:
    found = store.progress()
    if not found.questions + found.gold:
        return "no questions yet: mien rounds asks them, or --first, --split, --unlabeled or --doubts"
    return f"{found.done} of {counted(found.questions, 'face')} done, {counted(found.remaining, 'answer')} left"


@labels.command("export")
def export_(
    store: Place,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A file named .csv or .parquet.")],
    what: Annotated[str, typer.Option(help="consensus: a row for each face; log: every answer and undo.")] = "consensus",
    min_agreement: MinAgreement = 0.5,
    min_answers: MinAnswers = 1,
    as_json: Json = False,
) -> None:
    """Write what people agree on, or all that they said, to a table."""
    from mien.labeling.store.import_export import export_consensus, export_log
    from mien.labeling.store.store import Store

    _one_of(what, WHATS, "--what")
    with Store.open(store, reads=True) as opened:
        rows = export_log(opened, out) if what == "log" else export_consensus(opened, out, min_agreement, min_answers)
    print_values(as_json, {"rows": rows, "out": str(out)}, f"{rows} {'answers' if what == 'log' else 'faces'} -> {out}")


@labels.command("import")
def import_(
    store: Place,
    log: Annotated[Path, typer.Argument(metavar="LOG", help="A log that mien labels export --what log wrote.")],
    as_json: Json = False,
) -> None:
    """Add the answers of another store that asked about the same faces; those that are there already stay as they are."""
    from mien.labeling.store.import_export import import_log
    from mien.labeling.store.store import Store

    with Store.open(store) as opened:
        added = import_log(opened, log)
    values = {"rows": len(added.answers), "new": added.new}
    be = "is" if added.new == 1 else "are"
    print_values(as_json, values, f"{added.new} of {counted(len(added.answers), 'answer')} {be} new")


@labels.command()
def apply(
    store: Place,
    faceset: FaceSetPath,
    out: Annotated[Path, typer.Argument(help="The new folder.")],
    min_agreement: MinAgreement = 0.5,
    min_answers: MinAnswers = 1,
    test: Annotated[
        float,
        typer.Option(
            min=0, max=0.9, help="Share of the labeled faces that become the split `test`: whole people, videos, photos."
        ),
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Draws the faces of --test.")] = 0,
    as_json: Json = False,
) -> None:
    """Write the face set that people were asked about as a new one, with their labels, to train on."""
    from mien.data.faceset import FaceSet
    from mien.labeling.store.apply_labels import apply_labels
    from mien.labeling.store.store import Store

    faces = FaceSet.open(faceset, verify=True)
    with Store.open(store, reads=True) as opened, _aside(out) if test else nullcontext(out) as place:
        done = apply_labels(opened, faces, place, min_agreement, min_answers)
        if test:
            done = replace(done, faces=_with_test(done.faces, out, test, seed))
    counts = {name: getattr(done, name) for name in ("agreed", "changed", "disputed", "not_a_face", "unsure", "open")}
    said = (
        f"{counted(done.agreed, 'face')} labeled ({done.changed} otherwise than before), {done.disputed} disputed without label"
    )
    said += f", {done.not_a_face} left out as no face, {done.unsure + done.open} unsure or with too few answers as before"
    print_values(
        as_json, {"faces": len(done.faces), **counts, "out": str(out)}, f"{counted(len(done.faces), 'face')} -> {out}: {said}"
    )


@contextmanager
def _aside(out: Path) -> Iterator[Path]:
    """A place for a set beside `out`, which is not to be there yet; gone afterwards."""
    if out.exists():
        raise MienError(f"nothing at {out} yet", "a file or folder", "choose another name, or remove it first")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
        yield Path(folder) / "labeled"


def _with_test(faces: "FaceSet", out: Path, test: float, seed: int) -> "FaceSet":
    """Written to `out` with splits of its own; what is thin about them is said."""
    from mien.data.splits import with_test_split

    made = with_test_split(faces, test, seed).save(out)
    warn_of_few_tests(made)
    return made


@labels.command()
def show(
    store: Place,
    as_json: Json = False,
) -> None:
    """Show how far the answering is, how well people agree, and what each of them did."""
    from mien.cli.console import show as print_table
    from mien.labeling.store.store import Store

    with Store.open(store, reads=True) as opened:
        info, found, people = opened.info, opened.progress(), opened.figures()
    if as_json:
        values = {
            "classes": info.classes,
            "pool": info.pool,
            "per_face": info.per_face,
            "most": info.most,
            "progress": found,
            "annotators": people,
        }
        print_json(values)
        return
    done = f"{found.done} of {counted(found.questions, 'face')} done, {counted(found.remaining, 'answer')} left"
    say(f"{info.pool or 'faces'}: {done}, {found.gold} gold")
    if found.alpha == found.alpha:  # nan where no two people can differ
        say(f"agreement (Krippendorff's alpha): {found.alpha:.3f}")
    if people:
        print_table(_people_table(people))


@labels.command()
def backup(
    store: Place,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new file.")],
    as_json: Json = False,
) -> None:
    """Copy a label store, which may be in use, into a new file: a label store as any other."""
    from mien.labeling.store.backup import backup as copy

    rows = copy(store, out)
    print_values(as_json, {"rows": rows, "out": str(out)}, f"{counted(rows, 'answer')} -> {out}")


@labels.command()
def check(store: Place, as_json: Json = False) -> None:
    """Look a label store over: whether it is whole, and all in it as it has to be. Changes nothing; exit code 1 for a fault."""
    from mien.labeling.store.check import check_store as look
    from mien.labeling.store.database import Database

    found, where = look(store), Database(store).name
    values = {"store": where, "version": found.version, "sound": not found.faults, "faults": found.faults}
    print_values(as_json, values, *(found.faults or [f"{where} is sound"]))
    if found.faults:
        raise typer.Exit(1)


def _people_table(people: "tuple[AnnotatorFigures, ...]") -> "Table":
    from mien.cli.console import Table

    table = Table("annotator", "answers", "as most others", "right on gold", "seconds an answer")
    for one in people:
        shares = [f"{share:.1%}" if share == share else "-" for share in (one.agreement, one.right)]
        table.add_row(one.name, str(one.answers), *shares, f"{one.seconds:.1f}" if one.seconds == one.seconds else "-")
    return table


def _one_of(given: str, known: tuple[str, ...], option: str) -> str:
    if given not in known:
        raise MienError(f"{option} among {', '.join(known)}", meant(given, known), "choose one of those")
    return given
