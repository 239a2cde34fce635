"""Writes the page for a model as a folder of files, which any web server shows."""

from pathlib import Path

from mien.browser.network_files import network_files
from mien.browser.page_files import page_files
from mien.errors import MienError
from mien.folders import new_folder, require_new
from mien.recognize.bundled import find_model, name_of
from mien.recognize.model_card import ModelCard
from mien.recognize.recognizer import Recognizer


def export_page(model: Path | str, out: Path | str) -> ModelCard:
    """Write the page that runs the model or run at `model` into the folder `out`, and give the model's card.

    The folder is shown by any web server; nothing in it has to run there. Raises MienError for a model that the page cannot
    show, where onnxruntime-web is not installed with mien, and where `out` holds something else or cannot be
    written; then nothing is left there.
    """
    folder, out = find_model(model), Path(out)
    require_new(out)
    recognizer = Recognizer.load(folder, "cpu")  # which checks a graph from elsewhere
    card = recognizer.card
    files = page_files(card, recognizer.crop_spec, network_files(folder, card), name_of(folder), packed=False)
    try:
        with new_folder(out) as aside:
            for file in files.values():
                place = aside / file.name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(file.content)
    except OSError as error:
        found = error.strerror or str(error)
        raise MienError(f"to write the page at {out}", found, "choose a folder with room, which you may write") from error
    return card
