"""The command about near-duplicates."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.shared import FaceSetPath, Json

if TYPE_CHECKING:
    from rich.table import Table

    from mien.data.twins import Twins


def twins(
    faceset: FaceSetPath,
    other: Annotated[Path | None, typer.Argument(help="Another face set: twins across to it are found as well.")] = None,
    distance: Annotated[int, typer.Option(min=0, max=16, help="Bits of 64 in which the hashes of twins may differ.")] = 10,
    out: Annotated[Path | None, typer.Option(help="Folder for twins.csv and twins.png; neither is written unless said.")] = None,
    write: Annotated[
        Path | None, typer.Option(metavar="NEW_SET", help="Write the set anew with a column `twin`: groups, -1 for none.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Find near-duplicates: how many faces have one, in which split, and under another label."""
    from mien.console import Bar, show
    from mien.data.faceset import FaceSet
    from mien.data.twins import find_twins, with_groups, write_twins

    faces = FaceSet.open(faceset, verify=True)
    others = None if other is None else FaceSet.open(other, verify=True)
    with Bar(quiet=as_json, single=True) as bar:
        found = find_twins(faces, others, distance, bar)
    written = [] if out is None else [out / name for name in write_twins(found, out)]
    if write is not None:
        with_groups(found).save(write)
        written.append(write)
    values = found.to_json()
    if as_json:
        print(json.dumps(values | {"files": list(map(str, written))}, indent=1))
        return
    count, total = values["twins"], len(faces)
    print(f"{values['dataset']}: {count} of {total} faces{_share(count, total)} have a near-duplicate")
    if count:
        show(_split_table(found))
        print(f"{values['pairs']} pairs, {values['mirrored']} of them mirrored, in {values['groups']} groups", end="")
        print(f"; the largest have {', '.join(map(str, values['largest']))} faces")
        differ, labeled = values["disagreeing_pairs"], values["labeled_pairs"]
        print(f"{differ} of {labeled} pairs with two labels{_share(differ, labeled)} have different ones")
    if written:
        print(*written, sep="\n")


def _split_table(found: "Twins") -> "Table":
    from rich.table import Table

    table = Table("split", "with a twin in", "faces", "share", "labeled otherwise than a twin there")
    for line in found.shares:
        share = f"{line.twins / line.faces:.1%}"
        table.add_row(line.split, line.among, f"{line.twins} of {line.faces}", share, str(line.disagreeing))
    return table


def _share(count: int, total: int) -> str:
    return f" ({count / total:.1%})" if total else ""
