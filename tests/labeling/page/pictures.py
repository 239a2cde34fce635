"""The pictures of the page in docs/: `python tests/labeling/page/pictures.py [FOLDER]`, with drawn faces and Chromium.

Run it from the top of the repository with `tests` on the path: `PYTHONPATH=tests`.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, expect
from served_page import served

from chromium import DESK, PATIENCE, PHONE, chromium, picture, saved, see, visit
from mien.data.importing import import_source, source_from
from mien.labeling.store.records import Question, Reply
from mien.labeling.store.store import Store

FACES = 48
STARTED = 17
"""Faces that both people answered before."""
SEEN = (5, 27)
"""Rows of the faces on the pictures, that of the phone first."""


def answer(page: Page, labels: list[int], left: int) -> None:
    """As it is said, at a person's speed; then so many answers are left."""
    for label in labels:
        see(page)
        page.keyboard.press(str(label + 1))
        page.wait_for_timeout(900)
    saved(page)
    expect(page.locator("#left")).to_have_text(str(left), timeout=PATIENCE)
    see(page)


def main() -> None:
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "docs")
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        pool = import_source(source_from("synthetic", {"faces": FACES, "side": 96, "seed": 3}), Path(folder, "pool")).faces
        others = [row for row in range(FACES) if row not in SEEN]
        rows = [*others[: STARTED + 3], *SEEN, *others[STARTED + 3 :]]
        truth, names = pool.labels[rows], [str(name) for name in pool.values("id")[rows]]
        guesses = np.where(np.arange(FACES) % 5 == 2, (truth + 1) % len(pool.classes), truth)
        with Store.create(Path(folder, "labels.db"), pool.classes, "drawn faces", pool.info.checksum, 2) as store:
            store.ask([Question(name, model="m", guess=int(guess)) for name, guess in zip(names, guesses, strict=True)])
            tokens = [store.accounts.add(name) for name in ("ann", "bob")]
            for name, wrong in (("ann", 5), ("bob", 7)):
                said = [(truth[n] + (n % wrong == 3)) % len(pool.classes) for n in range(STARTED)]
                store.answer_all(name, [Reply(names[n], label=int(label)) for n, label in enumerate(said)])
            with served(store, pool) as where:
                with visit(browser, where, tokens[0], DESK) as page:
                    answer(page, truth[STARTED : STARTED + 4].tolist(), 2 * (FACES - STARTED) - 4)
                    expect(page.locator("#alpha")).not_to_be_empty(timeout=PATIENCE)
                    picture(page, out / "annotate.png")
                with visit(browser, where, tokens[1], PHONE) as page:
                    answer(page, truth[STARTED : STARTED + 3].tolist(), 2 * (FACES - STARTED) - 7)
                    picture(page, out / "annotate-phone.png")


if __name__ == "__main__":
    main()
