"""The command that puts a model behind an address."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from mien.browser.vendored import missing_files
from mien.cli.annotate import Key, Proxies
from mien.cli.options import MODEL_READ, Device, setting, whole_number
from mien.cli.printing import say, warn
from mien.serving.settings import ServiceSettings


def serve(
    model: Annotated[str, typer.Argument(metavar="[MODEL]", help=MODEL_READ)] = "mien-s",
    host: Annotated[
        str, typer.Option(help="Address to listen at. Any but this machine's own lets the network ask.")
    ] = "127.0.0.1",
    port: Annotated[int, whole_number("Port to listen at; 0 takes a free one.", 0, 65535)] = 8080,
    token: Annotated[Path | None, typer.Option(metavar="FILE", help="A file with a token that clients have to send.")] = None,
    name: Annotated[list[str] | None, typer.Option(help="Host name under which a proxy shows it; may be repeated.")] = None,
    proxy: Proxies = None,
    root_path: Annotated[str, typer.Option(help="Path below which a proxy shows it: /faces.")] = "",
    certificate: Annotated[Path | None, typer.Option(metavar="PEM", help="Certificate, to speak TLS without a proxy.")] = None,
    key: Key = None,
    most_bytes: Annotated[int, setting(ServiceSettings, "bytes", "--bytes")] = ServiceSettings.bytes,
    pixels: Annotated[int, setting(ServiceSettings, "pixels")] = ServiceSettings.pixels,
    request_pixels: Annotated[int, setting(ServiceSettings, "request_pixels")] = ServiceSettings.request_pixels,
    photos: Annotated[int, setting(ServiceSettings, "photos")] = ServiceSettings.photos,
    faces: Annotated[int, setting(ServiceSettings, "faces")] = ServiceSettings.faces,
    waiting: Annotated[int, setting(ServiceSettings, "waiting")] = ServiceSettings.waiting,
    seconds: Annotated[float, setting(ServiceSettings, "seconds")] = ServiceSettings.seconds,
    batch: Annotated[int, setting(ServiceSettings, "batch")] = ServiceSettings.batch,
    gather: Annotated[float, setting(ServiceSettings, "gather")] = ServiceSettings.gather,
    device: Device = "auto",
) -> None:
    """Answer requests with photos by HTTP: POST /v1/read gives what `mien predict --json` prints. No photo is kept."""
    from mien.http_server.network import is_loopback, listen, network_settings, page_address
    from mien.recognize.recognizer import Recognizer
    from mien.serving.batches import is_reading
    from mien.serving.serve import PROGRAMS, read_token
    from mien.serving.serve import serve as run

    settings = ServiceSettings(
        bytes=most_bytes, pixels=pixels, request_pixels=request_pixels, photos=photos, faces=faces, waiting=waiting,
        seconds=seconds, batch=batch, gather=gather,
    )  # fmt: skip
    reached = network_settings(name or (), proxy or (), certificate, key, root_path, PROGRAMS)
    secret = "" if token is None else read_token(token)
    with listen(host, port) as listening:
        recognizer = Recognizer.load(model, device)
        if not is_loopback(host):
            if not secret:
                warn("whoever reaches this machine may ask, and gets the model with the page: --token wants a token from them")
            if reached.tls is None:
                warn("the network can read photos and answers along, unless a proxy adds TLS")
        where = page_address(listening, reached.tls is not None, reached.path)

        def started(server: object) -> None:
            """Said once the model is known to be one that can be served."""
            page = "" if secret or missing_files() else f"open {where} in a browser, "
            say(f"send photos to {where}v1/read, {page}and end with Ctrl-C", flush=True)

        try:
            run(recognizer, listening, settings, reached, secret, started)
        except (KeyboardInterrupt, SystemExit) as told:
            code = told.code if isinstance(told, SystemExit) and isinstance(told.code, int) else 0
            if is_reading():
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
            raise typer.Exit(code) from None
