"""A curve of letters shows what the figures are, in as much room as there is."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mien.text_curve import BLOCKS, history_curve, text_curve

FIGURES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=80)


@given(FIGURES, st.integers(1, 40), st.integers(1, 6), st.booleans())
def test_bars_fit_and_rise_with_their_values(values: list[float], width: int, height: int, ascii_only: bool) -> None:
    lines = [f"{line:{width}}" for line in text_curve(values, width, height, ascii_only)]
    assert len(lines) == height
    assert all(len(line) == width for line in lines)
    assert {*"".join(lines)} <= {*(" #" if ascii_only else BLOCKS)}
    if len(values) <= width and not ascii_only:
        bars = [sum(BLOCKS.index(line[column]) for line in lines) for column in range(len(values))]
        order = np.argsort(values, kind="stable")
        assert [bars[number] for number in order] == sorted(bars)
        assert min(bars) >= 1


def test_a_curve_says_what_it_shows() -> None:
    history = [{"loss": 2.0, "validation_accuracy": share} for share in (0.25, 0.5, 0.5, 0.375)]
    title, *lines = history_curve(history, 40)
    assert title == "validation accuracy in 4 epochs, the best in epoch 3"
    assert [lines[0].split()[0], lines[-1].split()[0]] == ["50.0%", "25.0%"]
    assert history_curve([{"loss": 2.0}, {"loss": 1.0}], 40)[0] == "loss in 2 epochs, the best in epoch 2"
    assert history_curve([{"loss": float("nan")}, {"loss": 1.0}], 40) == []
    assert history_curve(history[:1], 40) == history_curve([], 40) == []
    assert max(map(len, history_curve(history * 100, 40))) <= max(40, len(history_curve(history * 100, 40)[0]))
