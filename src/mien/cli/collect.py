"""The command that collects faces by web search."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from mien.cli.options import Json, comma_list, setting, whole_number
from mien.cli.printing import confirm, note, print_result
from mien.collect.settings import CollectSettings
from mien.progress import progress_bar
from mien.wording import quantity


def collect(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder, or that of an earlier call, which goes on.")],
    words: Annotated[Path | None, setting(CollectSettings, "words")] = None,
    classes: Annotated[
        str | None, setting(CollectSettings, "classes", form="Separated by commas: anger,fear.", read=comma_list)
    ] = None,
    languages: Annotated[
        str | None, setting(CollectSettings, "languages", form="Separated by commas: en,de.", read=comma_list)
    ] = None,
    engines: Annotated[
        str, setting(CollectSettings, "engines", form="Separated by commas.", read=comma_list)
    ] = "openverse,bing,baidu",
    each: Annotated[int, setting(CollectSettings, "each")] = 200,
    side: Annotated[int, setting(CollectSettings, "side")] = 144,
    align: Annotated[str, setting(CollectSettings, "align")] = "eyes",
    detector: Annotated[str, setting(CollectSettings, "detector")] = "mtcnn",
    rate: Annotated[float, setting(CollectSettings, "rate")] = 2.0,
    timeout: Annotated[float, setting(CollectSettings, "timeout")] = 20.0,
    most_bytes: Annotated[int, setting(CollectSettings, "most_bytes")] = 20_000_000,
    contact: Annotated[str, setting(CollectSettings, "contact")] = "",
    local: Annotated[bool, setting(CollectSettings, "local", "--local")] = False,
    workers: Annotated[int | None, whole_number("Processes. Unless given: one for each processor.", 1, 1024)] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Begin without asking.")] = False,
    as_json: Json = False,
) -> None:
    """Collect a doubtful set of faces by web search. The same command goes on where it was interrupted."""
    from mien.collect.collect import FACES, collect_faces, plan
    from mien.settings import settings_from

    values: dict[str, Any] = {"words": words, "classes": comma_list(classes or ""), "languages": comma_list(languages or "")}
    values |= {"engines": comma_list(engines), "each": each, "side": side, "align": align, "detector": detector}
    values |= {"rate": rate, "timeout": timeout, "most_bytes": most_bytes, "contact": contact, "local": local}
    asked = settings_from(CollectSettings, values)
    planned, is_done = plan(asked), (out / FACES).is_dir()
    note("" if is_done else planned.told)
    if not yes and not is_done:
        confirm("Begin? The pictures belong to those who made them: for research on your own computer.")
    with progress_bar(quiet=as_json) as bar:
        done = collect_faces(asked, out, workers or os.cpu_count() or 1, bar)
    for name, reason in done.faults.items():
        note(f"{name} was asked no more: {reason}")
    for name, told in done.failures.items():
        note(f"{name}: {told}")
    refused = f", {quantity(sum(done.refused.values()), 'address', 'addresses')} gave none" if done.refused else ""
    told = f"{quantity(len(done.faces), 'face')} of {quantity(done.pictures, 'picture')} -> {out / FACES}{refused}"
    print_result(as_json, done.to_json() | {"out": str(out / FACES)}, told, "labels are doubtful: nobody has looked at them")
