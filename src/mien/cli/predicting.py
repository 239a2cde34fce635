"""The command that reads faces in photos and videos."""

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.shared import Device, Json

NOTHING_READ = 1
"""Exit code where not one input could be read."""


def predict(
    paths: Annotated[list[Path], typer.Argument(metavar="INPUT...", help="Photos, videos, folders, globs, lists, archives.")],
    model: Annotated[Path, typer.Option(help="A run or a model folder.")],
    align: Annotated[str | None, typer.Option(help="How faces are cut out, where the model's card does not say: 'box'.")] = None,
    detector: Annotated[str, typer.Option(help="What finds them, with --align: mtcnn, haar or dlib.")] = "mtcnn",
    every: Annotated[float, typer.Option(help="Seconds between the frames that are read in a video.")] = 1.0,
    draw: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A new folder for the photos, with their faces framed and named.")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a line of CSV for every face.")] = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Name the expression of every face in photos and videos; --json prints a line of JSON for each photo."""
    import csv
    import json
    import sys

    from mien.console import Bar
    from mien.data.source import Rejected
    from mien.errors import MienError
    from mien.faces.cut import Geometry
    from mien.faces.inputs import find_inputs
    from mien.recognize.predict import read_all, row, sentence, write_drawn
    from mien.recognize.recognizer import Recognizer

    if as_json and as_csv:
        raise typer.BadParameter("expected one of --json and --csv", param_hint="--csv")
    if draw:
        if draw.exists() and (not draw.is_dir() or any(draw.iterdir())):
            raise MienError(f"a new or an empty folder at {draw}", "something else", "choose another, or empty it first")
        draw.mkdir(parents=True, exist_ok=True)
    geometry = Geometry(align, detector, "all") if align else None
    if geometry:
        geometry.require_workable()
    recognizer, faults, count = Recognizer.load(model, device), list[Rejected](), 0
    table = csv.writer(sys.stdout, lineterminator="\n")
    if as_csv:
        names = ("photo", "time", "x0", "y0", "x1", "y1", "top", "confidence", "unsure", *recognizer.classes)
        table.writerow(names)
    with Bar(quiet=as_json or as_csv) as bar:
        bar.begin("photos", 0)
        for count, read in enumerate(read_all(recognizer, find_inputs(paths), every, faults, geometry), 1):
            shot = read.shot
            if as_json:
                print(json.dumps(read.to_json(), ensure_ascii=False), flush=True)
            elif as_csv:
                for one in read.readings:
                    table.writerow([shot.input.name, "" if shot.time is None else f"{shot.time:.3f}", *row(one)])
            else:
                print(f"{shot.name}: {'; '.join(map(sentence, read.readings)) or 'no face'}")
            if draw:
                write_drawn(read, draw, count)
            bar.advance(1)
    for fault in faults:
        if as_json:
            print(json.dumps({"photo": fault.path, "fault": fault.reason}, ensure_ascii=False))
        print(f"mien: {fault.path}: {fault.reason}", file=sys.stderr)
    if faults and not count:
        raise typer.Exit(NOTHING_READ)
