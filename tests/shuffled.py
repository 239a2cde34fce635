"""A plugin for pytest, `-p shuffled`: files, and the tests of each, in an order that is drawn from the number in MIEN_ORDER."""

import os
import random

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of a file stay together, since it may have a browser of its own."""
    draw, files = random.Random(os.environ["MIEN_ORDER"]), dict[str, list[pytest.Item]]()
    for item in items:
        files.setdefault(str(item.path), []).append(item)
    for tests in files.values():
        draw.shuffle(tests)
    order = list(files.values())
    draw.shuffle(order)
    items[:] = [item for tests in order for item in tests]
