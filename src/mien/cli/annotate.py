"""The command that shows faces in the browser, where people label them."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from mien.cli.options import comma_list, one_of, setting, whole_number
from mien.cli.printing import say, warn
from mien.labeling.page.settings import PageSettings
from mien.progress import progress_bar
from mien.wording import quantity

if TYPE_CHECKING:
    from mien.http_server.network import NetworkSettings
    from mien.labeling.page.responses import GuessTiming
    from mien.labeling.page.setup import PreparedPage
    from mien.labeling.store.store import Store

WHENS = ("after", "before", "never")


Classes = Annotated[str | None, setting(PageSettings, "classes", form="Separated by commas: happiness,sadness.", read=comma_list)]
ShowGuess = Annotated[
    str | None,
    typer.Option(
        help="When to show the guess: after the answer, before it, or never. Unless given: after; before with --doubts."
    ),
]
Proxies = Annotated[
    list[str] | None,
    typer.Option(metavar="ADDRESS", help="Address or network of a proxy that is believed about its clients; may be repeated."),
]
Key = Annotated[Path | None, typer.Option(metavar="PEM", help="Key of the certificate, unless it is in the same file.")]


def annotate(
    pool: Annotated[Path, typer.Argument(metavar="POOL", help="Folder of a face set.")],
    store: Annotated[str, setting(PageSettings, "store")],
    model: Annotated[Path | None, setting(PageSettings, "model", metavar="RUN")] = None,
    doubts: Annotated[Path | None, setting(PageSettings, "doubts", metavar="CSV")] = None,
    classes: Classes = None,
    first: Annotated[int | None, setting(PageSettings, "first")] = None,
    split: Annotated[str | None, setting(PageSettings, "split")] = None,
    unlabeled: Annotated[bool, setting(PageSettings, "unlabeled", "--unlabeled")] = False,
    per_face: Annotated[int | None, setting(PageSettings, "per_face")] = None,
    gold: Annotated[Path | None, setting(PageSettings, "gold", metavar="CSV")] = None,
    definitions: Annotated[Path | None, setting(PageSettings, "definitions", metavar="TOML")] = None,
    photos: Annotated[str | None, setting(PageSettings, "photos", metavar="FOLDER")] = None,
    show_guess: ShowGuess = None,
    add: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Add somebody who may answer; may be repeated.")] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen at. Any but this machine's own shows faces to the network.")
    ] = "127.0.0.1",
    port: Annotated[int, whole_number("Port to listen at; 0 takes a free one.", 0, 65535)] = 8000,
    name: Annotated[list[str] | None, typer.Option(help="Host name under which a proxy shows the page; may be repeated.")] = None,
    proxy: Proxies = None,
    path: Annotated[str, typer.Option(help="Path below which a proxy shows the page: /label.")] = "",
    certificate: Annotated[Path | None, typer.Option(metavar="PEM", help="Certificate, to speak TLS without a proxy.")] = None,
    key: Key = None,
    device: Annotated[str, setting(PageSettings, "device")] = "auto",
) -> None:
    """Show faces in the browser and ask people what they express."""
    from mien.http_server.network import listen, network_settings, page_address
    from mien.labeling.page.serve import serve
    from mien.labeling.page.setup import prepare_page
    from mien.labeling.store.database import Database

    when = one_of(show_guess or ("before" if doubts else "after"), WHENS, "--show-guess")
    settings = PageSettings(
        pool=pool,
        store=store,
        model=model,
        classes=tuple(comma_list(classes or "")),
        per_face=per_face,
        first=first,
        split=split,
        unlabeled=unlabeled,
        doubts=doubts,
        gold=gold,
        device=device,
        definitions=definitions,
        photos=photos,
    )
    reached = network_settings(name or (), proxy or (), certificate, key, path)
    with listen(host, port) as listening:  # before a store is made
        with progress_bar(single=True) as bar:
            ready = prepare_page(settings, bar)
        with ready.store:
            _tell(ready, str(pool), Database(store).name, add or [])
            _warn_of_network(host, reached)
            others = f", others {' or '.join(name)}" if name else ""
            where = page_address(listening, reached.tls is not None, reached.path) + others
            say(f"open {where}, and end with Ctrl-C", flush=True)
            with suppress(KeyboardInterrupt):
                serve(ready, listening, cast("GuessTiming", when), reached)
            say(_progress(ready.store))


def _warn_of_network(host: str, reached: "NetworkSettings") -> None:
    from mien.http_server.network import is_loopback

    if not is_loopback(host) and reached.tls is None:
        warn("the network can reach this page, and read along unless a proxy adds TLS")


def _tell(ready: "PreparedPage", pool: str, where: str, add: list[str]) -> None:
    """What is asked, and the tokens of those who are added."""
    store, info = ready.store, ready.store.info
    if ready.made:
        say(f"a new label store: {where}")
    if ready.unknown_classes:
        warn(f"people cannot choose {', '.join(ready.unknown_classes)}, which faces of {pool} are")
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
        many = quantity(info.most, "answer")
        say(f"faces on which people disagree ({now}) want {many}, all others {info.least} as before")
    if ready.photos is not None:
        say(f"the key p shows the photo around a face, from {ready.photos.place}; --photos none shows none")
    say(f"{quantity(ready.new, 'new question')}; {_progress(store)}")
    if not store.accounts.names():
        say(f"nobody can sign in yet: mien annotators add NAME --store {where}")


def _progress(store: "Store") -> str:
    found = store.progress()
    if not found.questions + found.gold:
        return "no questions yet: mien rounds asks them, or --first, --split, --unlabeled or --doubts"
    return f"{found.done} of {quantity(found.questions, 'face')} done, {quantity(found.remaining, 'answer')} left"
