"""Whether the page in the browser computes what Python computes: faces, crops and logits of photos.

    python benchmarks/browser_same.py PHOTOS [--model mien-s]
    python benchmarks/browser_same.py PHOTOS --browser firefox
    xvfb-run -a python benchmarks/browser_same.py PHOTOS --browser webkit

PHOTOS: a folder. The page gets each photo as PNG, since browsers decode JPEG by other arithmetic than Pillow. Chromium is the
default; other_browsers.py says what the others need.
"""

import argparse
import base64
import io
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "serving"))

from page_visits import READY, Opener

from chromium import chromium
from mien import Recognizer
from mien.faces.crop import crop_faces
from mien.media.photos import as_photo
from other_browsers import Ask, firefox, webkit
from stub_service import running

LOOK = """async (text) => {
  const { Reader } = await import("./app/reader.js");
  self.reader ??= new Reader();
  const file = new Blob([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))]);
  const { faces, crops, logits } = await self.reader.ask("look", { file });
  return { boxes: faces.map(({ box }) => box), crops: crops.map((one) => [...one]), logits: logits.map((one) => [...one]) };
}"""


@contextmanager
def opened(opener: Opener, address: str) -> Iterator[Ask]:
    """The page at an address in a Chromium that runs already, once its model is loaded."""
    with opener.open(address) as page:
        page.wait_for_function(READY)
        yield page.evaluate


@contextmanager
def headless_chromium(address: str) -> Iterator[Ask]:
    """The page at an address in Chromium, once its model is loaded."""
    with chromium() as browser, opened(Opener(browser), address) as ask:
        yield ask


Visit = Callable[[str], AbstractContextManager[Ask]]
"""Opens the page at an address."""
BROWSERS: dict[str, Visit] = {"chromium": headless_chromium, "firefox": firefox, "webkit": webkit}


def differences(folder: Path, model: Path | str, visit: Visit) -> Iterator[tuple[str, float, int, float]]:
    """For each face that both found: the photo, and the largest difference of its box (pixels), its crop and its logits.

    Raises ValueError where one of both found another number of faces.
    """
    recognizer = Recognizer.load(model, "cpu")
    side, color = recognizer.card.faces.side, recognizer.card.faces.channels == 3
    with running(recognizer) as address, visit(address) as ask:
        for path in sorted(folder.iterdir()):
            photo, file = as_photo(path.read_bytes()), io.BytesIO()
            Image.fromarray(photo).save(file, "PNG")
            seen = ask(LOOK, base64.b64encode(file.getvalue()).decode())
            ours = crop_faces([photo], recognizer.crop_spec, side, color)
            if len(seen["boxes"]) != len(ours.found):
                raise ValueError(f"{path.name}: {len(seen['boxes'])} faces in the page, {len(ours.found)} in Python")
            if not ours.found:
                continue
            crops, logits = np.reshape(seen["crops"], ours.faces.shape), recognizer.logits(ours.faces)
            rows = zip(seen["boxes"], crops, seen["logits"], ours.found, ours.faces, logits, strict=True)
            for box, crop, row, face, same, expected in rows:
                moved = float(np.abs(np.subtract(box, face.box)).max())
                yield path.name, moved, int(np.abs(crop - same.astype(int)).max()), float(np.abs(row - expected).max())


def summary(found: Sequence[tuple[str, float, int, float]]) -> str:
    """All faces that `differences` gave, in one line."""
    if not found:
        return "no face was found, neither in the page nor in Python"
    same = sum(gray == 0 for _, _, gray, _ in found)
    return f"{len(found)} faces, {same} crops the same in every pixel, logits at most {max(each[3] for each in found):.6f} apart"


def main() -> None:
    """A line for each face, and one for all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--model", default="mien-s")
    parser.add_argument("--browser", choices=BROWSERS, default="chromium")
    asked = parser.parse_args()
    found = list(differences(asked.photos, asked.model, BROWSERS[asked.browser]))
    for name, moved, gray, logits in found:
        print(f"{name}: box {moved:.5f} pixels apart, crop {gray} gray values, logits {logits:.6f}")
    print(summary(found))


if __name__ == "__main__":
    main()
