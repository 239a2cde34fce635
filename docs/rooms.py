"""The rooms of mien, drawn from its imports: `python docs/rooms.py` writes docs/rooms.svg and prints how large each room is.

A room is a folder of src/mien; the modules beside them are the room `base`. An arrow leads from a room to one that it imports.
Arrows that follow from others are left out: who imports `evaluation` also stands on what `evaluation` stands on.
"""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from html import escape
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "mien"
BASE = "base"
FLOORS = (
    *(
        BASE,
        "http_server",
        "tabular",
        "media",
        "data",
        "faces",
        "models",
        "preparation",
        "collect",
        "recognize",
        "browser",
        "neighbors",
        "evaluation",
        "recipes",
        "training",
    ),
    "serving",
    *("pretraining", "techniques", "labeling", "label_errors", "experiments", "active", "exchange", "cli"),
)
"""Rooms from the lowest on: each imports only those before it."""
DOORS = ("__init__.py", "__main__.py", "sklearn.py")
"""Files beside the rooms that stand on all of them."""

Graph = Mapping[str, set[str]]

WIDTH, HEIGHT, GAP, LEVEL = 280, 76, 24, 126
"""Of a box, between boxes, and from one level to the next, in pixels."""


def modules() -> dict[str, Path]:
    """All modules of mien by their dotted name, `mien` itself included."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(("mien", *(parts[:-1] if parts[-1] == "__init__" else parts)))] = path
    return found


def room_of(path: Path) -> str:
    """The room in which a file of src/mien lies."""
    parts = path.relative_to(SOURCE).parts
    return parts[0] if len(parts) > 1 else BASE


@cache
def _import_statements(path: Path) -> tuple[ast.Import | ast.ImportFrom, ...]:
    """Those of a file, in any place."""
    tree = ast.parse(path.read_text("utf-8"))
    return tuple(node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom))


def imported(path: Path) -> set[str]:
    """Dotted names of mien that a file imports, inside functions and for type checks too."""
    found = set()
    for node in _import_statements(path):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name == "mien" or name.startswith("mien.")}


def imports() -> dict[str, set[str]]:
    """The modules of mien that each of its modules imports; of a package that is only on the way to another, the other alone."""
    known = modules()
    found = {}
    for name, path in known.items():
        names = {other for other in imported(path) if other in known and other != name}
        found[name] = {one for one in names if not (known[one].name == "__init__.py" and _on_the_way(one, names, path))}
    return found


def _on_the_way(package: str, names: set[str], path: Path) -> bool:
    """Whether a file names `package` only to import modules of it."""
    own = [
        alias.name
        for node in _import_statements(path)
        if isinstance(node, ast.ImportFrom) and node.module == package
        for alias in node.names
        if f"{package}.{alias.name}" not in names
    ]
    return not own


def rooms(graph: Graph) -> dict[str, set[str]]:
    """The rooms that each room imports; `__init__.py` and `__main__.py` beside the rooms are left out."""
    known = modules()
    found: dict[str, set[str]] = {name: set() for name in FLOORS}
    for name, others in graph.items():
        if known[name].parent == SOURCE and known[name].name in DOORS:
            continue
        mine = room_of(known[name])
        found[mine] |= {room_of(known[other]) for other in others if known[other] != SOURCE / "__init__.py"} - {mine}
    return found


def circles(graph: Graph) -> list[str]:
    """Names that import themselves by way of others."""
    return sorted(name for name in graph if name in reached(graph, graph[name]))


def reached(graph: Graph, names: set[str]) -> set[str]:
    """These names, and all that they import, directly or by way of others."""
    found, left = set[str](), list(names)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += graph[name]
    return found


def sizes() -> dict[str, int]:
    """Lines of each room."""
    found = dict.fromkeys(FLOORS, 0)
    for path in modules().values():
        found[room_of(path)] += path.read_text("utf-8").count("\n")
    return found


def purpose(room: str) -> str:
    """What a room is for: the first sentence of its docstring."""
    if room == BASE:
        return "What every room needs, a module each"
    text = ast.get_docstring(ast.parse((SOURCE / room / "__init__.py").read_text("utf-8"))) or ""
    return text.split("\n")[0].partition(". ")[0].rstrip(".").replace("`", "")


def reduced(graph: Graph) -> dict[str, set[str]]:
    """The arrows that do not follow from others."""
    return {
        name: {one for one in others if not any(one in reached(graph, graph[other]) for other in others - {one})}
        for name, others in graph.items()
    }


def levels(graph: Graph) -> dict[str, int]:
    """How high each room stands: one level above the highest that it imports."""
    found: dict[str, int] = {}
    for name in FLOORS:
        found[name] = max((found[other] + 1 for other in graph[name] if other in found), default=0)
    return found


def draw(graph: Graph) -> str:
    """The picture as SVG."""
    level, arrows, lines = levels(graph), reduced(graph), sizes()
    rows = [[name for name in FLOORS if level[name] == number] for number in range(max(level.values()) + 1)]
    across = max(map(len, rows))
    width, height = across * (WIDTH + GAP) + GAP, len(rows) * LEVEL + GAP
    place = {}
    for number, row in enumerate(rows):
        left = (width - len(row) * (WIDTH + GAP) + GAP) / 2
        for column, name in enumerate(row):
            place[name] = (left + column * (WIDTH + GAP), height - (number + 1) * LEVEL + (LEVEL - HEIGHT) / 2)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif">',
        '<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z" fill="#667"/></marker></defs>',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    total = sum(lines.values())
    for name, (x, y) in place.items():
        parts.append(f'<rect x="{x:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#eef3fb" stroke="#345"/>')
        parts.append(_text(x + 10, y + 20, name, 14, "bold", "#123"))
        parts.append(_text(x + WIDTH - 10, y + 20, f"{100 * lines[name] / total:.0f} %", 11, "normal", "#567", "end"))
        parts += [_text(x + 10, y + 37 + 14 * n, line, 11, "normal", "#234") for n, line in enumerate(_wrapped(purpose(name)))]
    return "\n".join([*parts, *_arrows(arrows, place), "</svg>"]) + "\n"


def _arrows(arrows: Graph, place: Mapping[str, tuple[float, float]]) -> Iterator[str]:
    """From the lower edge of a room to the upper edge of one that it imports, spread along both."""
    arriving = {name: [one for one in FLOORS if name in arrows[one]] for name in FLOORS}
    for name in FLOORS:
        leaving = sorted(arrows[name], key=lambda other: (place[other][0], other))
        for number, other in enumerate(leaving):
            guests = sorted(arriving[other], key=lambda one: (place[one][0], one))
            x = place[name][0] + WIDTH * (number + 1) / (len(leaving) + 1)
            y = place[name][1] + HEIGHT
            to = place[other][0] + WIDTH * (guests.index(name) + 1) / (len(guests) + 1)
            down = place[other][1] - 2
            bend = (down - y) / 2
            yield (
                f'<path d="M{x:g},{y:g} C{x:g},{y + bend:g} {to:g},{down - bend:g} {to:g},{down:g}" '
                'fill="none" stroke="#667" stroke-opacity="0.7" stroke-width="1.2" marker-end="url(#tip)"/>'
            )


def _text(x: float, y: float, text: str, size: int, weight: str, color: str, anchor: str = "start") -> str:
    given = f'x="{x:g}" y="{y:g}" font-size="{size}" font-weight="{weight}" fill="{color}" text-anchor="{anchor}"'
    return f"<text {given}>{escape(text)}</text>"


def _wrapped(text: str, letters: int = 42) -> list[str]:
    """At most three lines, broken between words."""
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) > letters and len(lines) < 3:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


if __name__ == "__main__":
    found = rooms(imports())
    (Path(__file__).parent / "rooms.svg").write_text(draw(found), "utf-8")
    total = sum(sizes().values())
    for name, count in sizes().items():
        below = ", ".join(one for one in FLOORS if one in found[name])
        print(f"{name:13}{count:7,} lines {100 * count / total:5.1f} %  imports {below}")
