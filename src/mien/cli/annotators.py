"""Commands about the people who label faces: who may answer, until when, and who signed in."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.options import Json
from mien.cli.printing import confirm, print_result

if TYPE_CHECKING:
    from datetime import datetime

Name = Annotated[str, typer.Argument(help="Name of the person.")]
StoreAddress = Annotated[str, typer.Option("--store", help="Label store: a file, or postgresql://user@host/name.")]
Days = Annotated[int, typer.Option(min=0, help="For how many days the token is good; 0: for ever.")]

annotators = typer.Typer(no_args_is_help=True, help="The people who label faces.")


@annotators.command()
def add(name: Name, store: StoreAddress, days: Days = 90, as_json: Json = False) -> None:
    """Add somebody who may answer, and print their token. Nobody can look it up again."""
    from mien.labeling.store.store import Store

    with Store.open(store) as opened:
        _print_token(name, opened.accounts.add(name, days or None), as_json)


@annotators.command()
def renew(name: Name, store: StoreAddress, days: Days = 90, as_json: Json = False) -> None:
    """Print a new token for somebody. The old one no longer works, and their browsers are signed out.

    A page that is open follows within ten seconds.
    """
    from mien.labeling.store.store import Store

    with Store.open(store) as opened:
        _print_token(name, opened.accounts.renew_token(name, days or None), as_json)


@annotators.command()
def disable(name: Name, store: StoreAddress, as_json: Json = False) -> None:
    """Let somebody answer no more, and sign out their browsers. Their answers stay."""
    from mien.labeling.store.store import Store

    with Store.open(store) as opened:
        opened.accounts.disable(name)
    print_result(as_json, {"name": name, "state": "disabled"}, f"{name} cannot answer any more; their answers stay")


@annotators.command()
def enable(name: Name, store: StoreAddress, as_json: Json = False) -> None:
    """Let somebody who was disabled answer again, with the token they have."""
    from mien.labeling.store.store import Store

    with Store.open(store) as opened:
        opened.accounts.enable(name)
        (state,) = (person.state for person in opened.accounts.list_all() if person.name == name)
    print_result(as_json, {"name": name, "state": state}, f"{name} is {state}")


@annotators.command()
def remove(
    name: Name,
    store: StoreAddress,
    answers: Annotated[bool, typer.Option("--answers", help="Remove their answers, too.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    as_json: Json = False,
) -> None:
    """Remove somebody for good: name, token and sign-ins. Their answers stay without a name, unless --answers is given."""
    from mien.labeling.store.store import Store

    with Store.open(store) as opened:
        if not yes:
            what = "and all their answers" if answers else "but not their answers"
            confirm(f"Remove {name}, {what}? Nobody can undo this.")
        nobody = opened.accounts.remove(name, answers)
    left = "so are their answers" if answers else f"their answers are now of {nobody!r}" if nobody else "there were no answers"
    print_result(as_json, {"name": name, "answers": nobody}, f"{name} is removed; {left}")


@annotators.command("list")
def list_(store: StoreAddress, as_json: Json = False) -> None:
    """List all people: how many answers they gave, whether they may answer, and when their tokens end."""
    from mien.cli.tables import TextTable
    from mien.labeling.store.store import Store

    with Store.open(store, reads=True) as opened:
        people, counts = opened.accounts.list_all(), opened.progress().by_annotator
    values = {one.name: {"answers": counts.get(one.name, 0), "state": one.state, "expires": _iso(one.expires)} for one in people}
    table = TextTable("annotator", "answers", "state", "token ends")
    for one in people:
        ends = "-" if one.state in ("no token", "removed") else f"{one.expires:%Y-%m-%d}" if one.expires else "never"
        table.add_row(one.name, str(counts.get(one.name, 0)), one.state, ends)
    print_result(as_json, values, table)


@annotators.command("sign-ins")
def sign_ins(store: StoreAddress, as_json: Json = False) -> None:
    """List who signed in and out, or tried to, and from where, oldest first.

    The last 10,000 that succeeded are kept, and the last 10,000 others.
    """
    from mien.cli.tables import TextTable
    from mien.labeling.store.store import Store

    with Store.open(store, reads=True) as opened:
        rows = opened.accounts.sign_ins()
    table = TextTable("time (UTC)", "annotator", "from", "what")
    for row in rows:
        table.add_row(f"{row.time:%Y-%m-%d %H:%M:%S}", row.name or "-", row.address, row.outcome)
    print_result(as_json, [asdict(row) | {"time": _iso(row.time)} for row in rows], table)


def _print_token(name: str, token: str, as_json: bool) -> None:
    print_result(as_json, {"name": name, "token": token}, f"token of {name}, said this once: {token}")


def _iso(time: "datetime | None") -> str | None:
    return None if time is None else time.isoformat(timespec="seconds")
