"""A curve drawn with letters, for a terminal: a bar for each epoch, or for several where there are more than fit."""

import itertools
import math
from collections.abc import Mapping, Sequence

HEIGHT = 5
"""Lines of a curve."""
SHOWN = {
    "validation_accuracy": "validation accuracy",
    "validation_loss": "loss on held-out faces",
    "loss": "loss",
}
"""Figures of a run's history that are drawn: the first that its last epoch has."""
BLOCKS = " ▁▂▃▄▅▆▇█"


def history_curve(history: Sequence[Mapping[str, float]], width: int, ascii_only: bool = False) -> list[str]:
    """The curve of a run by epoch, with a line above that says what it shows; no lines for fewer than two epochs.

    `history`: figures of each epoch, as in history.json. `width`: letters in a line. `ascii_only`: whether the terminal knows no
    letters for blocks.
    """
    key = next((key for key in SHOWN if history and key in history[-1]), None)
    values = [] if key is None else [entry[key] for entry in history if math.isfinite(entry.get(key, math.nan))]
    if key is None or len(values) < 2:
        return []
    is_share = key == "validation_accuracy"
    low, high = (f"{value:.1%}" if is_share else f"{value:.3f}" for value in (min(values), max(values)))
    best = max(range(len(values)), key=lambda number: (values[number] if is_share else -values[number], number))
    drawn = text_curve(values, max(10, width - max(len(low), len(high)) - 2), HEIGHT, ascii_only)
    marks = [high, *[""] * (HEIGHT - 2), low]
    wide = max(map(len, marks))
    title = f"{SHOWN[key]} in {len(values)} epochs, the best in epoch {best + 1}"
    return [title, *(f"{mark:>{wide}} {line}" for mark, line in zip(marks, drawn, strict=True))]


def text_curve(values: Sequence[float], width: int, height: int, ascii_only: bool = False) -> list[str]:
    """`height` lines of at most `width` letters: bars from the least value, an eighth of a letter high, to the greatest.

    Where there are more values than letters, a bar is the mean of several in a row.
    """
    count = min(len(values), width)
    edges = [number * len(values) // count for number in range(count + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
    low, span = min(means), max(means) - min(means)
    eighths = [1 + round((value - low) / span * (8 * height - 1)) if span else 4 * height for value in means]
    lines = []
    for row in reversed(range(height)):
        parts = [min(8, max(0, eighth - 8 * row)) for eighth in eighths]
        lines.append("".join(("#" if part >= 4 or (part and not row) else " ") if ascii_only else BLOCKS[part] for part in parts))
    return [line.rstrip() for line in lines]
