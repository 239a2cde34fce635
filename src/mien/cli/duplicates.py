"""The command about near-duplicates."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.shared import FaceSetPath, Json, print_json, say, whole
from mien.wording import quantity

if TYPE_CHECKING:
    from mien.cli.console import Table
    from mien.data.near_duplicates import NearDuplicates


def twins(
    faceset: FaceSetPath,
    other: Annotated[Path | None, typer.Argument(help="Another face set: twins across to it are found as well.")] = None,
    distance: Annotated[int, whole("Bits of 64 in which the hashes of twins may differ.", 0, 16)] = 10,
    out: Annotated[
        Path | None, typer.Option(help="New folder for twins.csv and twins.png; neither is written unless said.")
    ] = None,
    write: Annotated[
        Path | None, typer.Option(metavar="NEW_SET", help="Write the set anew with a column `twin`: groups, -1 for none.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Find near-duplicates: how many faces have one, in which split, and under another label."""
    from mien.cli.console import Bar, show
    from mien.data.faceset import FaceSet
    from mien.data.near_duplicates import find_near_duplicates, with_groups
    from mien.data.near_duplicates_report import write_near_duplicates
    from mien.disk import require_new
    from mien.media.find_source_files import require_face_set

    for path in (faceset, other):
        if path is not None:
            require_face_set(path)
    if out is not None:
        require_new(out)
    faces = FaceSet.open(faceset, verify=True)
    others = None if other is None else FaceSet.open(other, verify=True)
    with Bar(quiet=as_json, single=True) as bar:
        found = find_near_duplicates(faces, others, distance, bar)
    written = [] if out is None else [out / name for name in write_near_duplicates(found, out)]
    if write is not None:
        with_groups(found).save(write)
        written.append(write)
    values = found.to_json()
    if as_json:
        print_json(values | {"files": list(map(str, written))})
        return
    _say(values)
    if values["twins"]:
        show(_split_table(found))
        _say_pairs(values)
    if written:
        say(*written, sep="\n")


def _say(values: dict[str, Any]) -> None:
    """How many faces have a twin, within the set and across."""
    total, has = values["faces"], "have a near-duplicate"
    if values["other"] is None:
        say(f"{values['dataset']}: {values['twins']} of {quantity(total, 'face')}{_share(values['twins'], total)} {has}")
        return
    within, across = values["twins_within"], values["twins_across"]
    say(f"{values['dataset']}: {within} of {quantity(total, 'face')}{_share(within, total)} {has} in the set itself,", end=" ")
    say(f"{across}{_share(across, total)} in {values['other']}")


def _say_pairs(values: dict[str, Any]) -> None:
    pairs, across = values["pairs"], values["pairs_across"]
    where = "" if values["other"] is None else f" ({pairs - across} within the set, {across} across)"
    say(
        f"{quantity(pairs, 'pair')}{where}, {values['mirrored']} of them mirrored, in {quantity(values['groups'], 'group')}",
        end="",
    )
    say(f"; the largest have {', '.join(map(str, values['largest']))} faces")
    differ, labeled = values["disagreeing_pairs"], values["labeled_pairs"]
    have = "has" if differ == 1 else "have"
    say(f"{differ} of {quantity(labeled, 'pair')} with two labels{_share(differ, labeled)} {have} different ones")


def _split_table(found: "NearDuplicates") -> "Table":
    from mien.cli.console import Table

    table = Table("split", "with a twin in", "faces", "share", "labeled otherwise than a twin there")
    for line in found.shares:
        share = f"{line.duplicates / line.faces:.1%}"
        table.add_row(line.split, line.among, f"{line.duplicates} of {line.faces}", share, str(line.disagreeing))
    return table


def _share(count: int, total: int) -> str:
    return f" ({count / total:.1%})" if total else ""
