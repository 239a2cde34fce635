"""The command that reads faces before a camera."""

import sys
from contextlib import suppress
from typing import Annotated

import typer

from mien.cli.options import Device, Json, number
from mien.cli.printing import say
from mien.cli.reading import Align, AsCsv, Detector, Draw, LeastFace, Model, Reading, chosen_form, stopped


def watch(
    camera: Annotated[
        str,
        typer.Argument(
            metavar="CAMERA", help="The camera's number from 0, a device such as /dev/video2, or an address such as rtsp://..."
        ),
    ],
    model: Model = "mien-s",
    align: Align = None,
    detector: Detector = None,
    least_face: LeastFace = None,
    seconds: Annotated[float | None, number("Seconds to watch. Unless given: until Ctrl-C.", 0, 1e9)] = None,
    reconnect: Annotated[float, number("Seconds to try a camera again that is lost; 0 ends the command then.", 0, 1e9)] = 60,
    draw: Draw = None,
    as_csv: AsCsv = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Name the expressions before a camera, now and over time. Nothing is stored but what --draw, --csv and --json ask for."""
    from mien.errors import MienError
    from mien.recognize.camera import Reconnecting, find_camera
    from mien.recognize.prediction import sentence
    from mien.recognize.watch import watch as run
    from mien.terminal import live

    asked = Reading.of(chosen_form(as_json, as_csv), align, detector, draw)
    try:
        find_camera(camera)
    except MienError as error:
        raise typer.BadParameter(str(error), param_hint="'CAMERA'") from None
    again = Reconnecting(reconnect, lambda said: say(f"mien: {said}", file=sys.stderr))
    with stopped():
        recognizer = asked.recognizer(model, device)
        with asked.writing(recognizer.classes) as write, live() as shown, suppress(KeyboardInterrupt):
            for read in run(camera, recognizer, seconds, asked.crop_spec, least_face, again=again):
                write(read)
                if asked.form == "text":
                    time, frames = read.photo.time or 0.0, (read.photo.number or 0) + 1
                    said = [f"{time:.0f} s, {frames / max(time, 1e-3):.0f} frames a second"]
                    said += [f"face {one.track}: {sentence(one)}" for one in read.faces]
                    shown.update("\n".join(said), refresh=True)
