"""The command about near-duplicates."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.options import FaceSetPath, Json, whole_number
from mien.cli.printing import print_result
from mien.progress import progress_bar
from mien.wording import percent, quantity

if TYPE_CHECKING:
    from mien.cli.tables import TextTable


def duplicates(
    faceset: FaceSetPath,
    other: Annotated[
        Path | None, typer.Argument(help="A second face set, in which near-duplicates are looked for as well.")
    ] = None,
    distance: Annotated[int, whole_number("Bits of 64 in which the hashes of near-duplicates may differ.", 0, 16)] = 10,
    out: Annotated[
        Path | None, typer.Option(help="New folder for duplicates.csv and duplicates.png; neither is written without it.")
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option(metavar="NEW_SET", help="Write the set anew with a column `twin`: the number of a group, or -1."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Find near-duplicates: how many faces have one, in which split, and under another label."""
    from mien.cli.result_tables import duplicate_table
    from mien.data.near_duplicates import find_near_duplicates, with_groups
    from mien.data.near_duplicates_report import write_near_duplicates
    from mien.folders import require_new
    from mien.media.find_source_files import require_face_set

    for path in (faceset, other):
        if path is not None:
            require_face_set(path)
    if out is not None:
        require_new(out)
    with progress_bar(quiet=as_json, single=True) as bar:
        found = find_near_duplicates(faceset, other, distance, bar)
    written = [] if out is None else [out / name for name in write_near_duplicates(found, out)]
    if write is not None:
        with_groups(found).save(write)
        written.append(write)
    values = found.to_json()
    told: list[str | TextTable] = [duplicate_table(found), *_pairs(values)] if values["twins"] else []
    print_result(as_json, values | {"files": list(map(str, written))}, _summary(values), *told, *written)


def _summary(values: dict[str, Any]) -> str:
    """How many faces have a near-duplicate, within the set and across."""
    total, has = values["faces"], "have a near-duplicate"
    if values["other"] is None:
        return f"{values['dataset']}: {values['twins']} of {quantity(total, 'face')}{_share(values['twins'], total)} {has}"
    within, across = values["twins_within"], values["twins_across"]
    told = f"{values['dataset']}: {within} of {quantity(total, 'face')}{_share(within, total)} {has} in the set itself, "
    return told + f"{across}{_share(across, total)} in {values['other']}"


def _pairs(values: dict[str, Any]) -> list[str]:
    """How many pairs and groups there are, and how many pairs have two labels."""
    pairs, across = values["pairs"], values["pairs_across"]
    where = "" if values["other"] is None else f" ({pairs - across} within the set, {across} across)"
    told = f"{quantity(pairs, 'pair')}{where}, {values['mirrored']} of them mirrored, in {quantity(values['groups'], 'group')}"
    told += f"; the largest have {', '.join(map(str, values['largest']))} faces"
    differ, labeled = values["disagreeing_pairs"], values["labeled_pairs"]
    have = "has" if differ == 1 else "have"
    return [told, f"{differ} of {quantity(labeled, 'pair')} with two labels{_share(differ, labeled)} {have} different ones"]


def _share(count: int, total: int) -> str:
    return f" ({percent(count / total)})" if total else ""
