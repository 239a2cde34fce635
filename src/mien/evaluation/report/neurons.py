"""Writes the report on neurons into a new folder: `report.html`, its pictures, `neurons.csv` and `summary.json`."""

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from mien.data.face_grid import GridNote, GridRow, GridTile, draw_face_grid
from mien.evaluation.neuron_responses import LayerNeurons, label_entropy, mean_faces
from mien.evaluation.neurons import MaximizedNeurons, NetworkNeurons, Neurons
from mien.evaluation.report.figures import BLUE, INK, LINE, ORANGE, TEXT, plain_axes
from mien.evaluation.report.report_page import EmbeddedPicture, data_uri, with_thousands
from mien.folders import new_folder, require_absent
from mien.html_pages import page_templates
from mien.json_text import to_json
from mien.matplotlib_parts import Figure, MaxNLocator
from mien.wording import percent, short_name

SIDE = 96
"""Side of a face in the pictures, in pixels."""
SHOWN = 8
"""Most neurons of a class in a picture."""
BINS = 24
"""Bins of a histogram."""
ACROSS = 4
"""Most histograms beside each other."""


def write_neurons(found: Neurons, out: Path | str) -> list[str]:
    """Write the report into the new folder `out`, and give the files' names; the folder appears once it is whole.

    Raises MienError where `out` exists.
    """
    out = Path(out)
    require_absent(out)
    pictures = {"histograms.png": _png(draw_histograms(found))}
    for layer in found.after.layers:
        pictures[f"means_{_file_part(layer.name)}.png"] = _png(draw_mean_faces(found, layer))
    for name, network in (("maximized", found.after), ("maximized_before", found.before)):
        if network is not None and network.drawn:
            pictures[f"{name}.png"] = _png(draw_maximized(found, network))
    files = pictures | {
        "neurons.csv": neuron_rows(found).encode(),
        "summary.json": to_json(found.to_json()).encode(),
        "report.html": neurons_html(found, pictures).encode(),
    }
    with new_folder(out) as aside:
        for name, content in files.items():
            (aside / name).write_bytes(content)
    return list(files)


def neuron_rows(found: Neurons) -> str:
    """The CSV of network, layer, neuron, entropy, prefers, share, low and silent, in the order of layers and neurons."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["network", "layer", "neuron", "entropy", "prefers", "share", "low", "silent"])
    for when, network in (("after", found.after), ("before", found.before)):
        for layer in () if network is None else network.layers:
            prefers, shares = layer.counts.argmax(axis=1), layer.shares.max(axis=1)
            low, names = layer.entropy < found.threshold, found.faces.classes
            for n, (label, entropy, share) in enumerate(zip(prefers, layer.entropy, shares, strict=True)):
                about = [str(low[n]).lower(), str(layer.silent[n]).lower()]
                writer.writerow([when, layer.name, n, f"{entropy:.5f}", names[label], f"{share:.3f}", *about])
    return file.getvalue()


def draw_histograms(found: Neurons) -> Image.Image:
    """Histograms of the neurons' label entropy, layer by layer, before and after fine-tuning (FN2EN, Fig. 3)."""
    layers = found.after.layers
    across = min(ACROSS, len(layers))
    down = -(-len(layers) // across)
    figure = Figure(figsize=(max(3.4 * across, 6.8), 2.5 * down + 0.6), layout="constrained", dpi=110)
    panels = figure.subplots(down, across, sharex=True, squeeze=False).ravel()
    networks = [(found.before, "before", ORANGE), (found.after, "after", BLUE)]
    every = np.concatenate([layer.entropy for one, _, _ in networks if one for layer in one.layers])
    base = float(label_entropy(found.base[None])[0])
    edges = np.linspace(min(every.min(), found.threshold), max(every.max(), base), BINS + 1)
    for number, (axes, layer) in enumerate(zip(panels, layers, strict=False)):
        for network, when, color in networks:
            if network is not None:
                axes.hist(network.layers[number].entropy, edges, histtype="stepfilled", alpha=0.25, color=color)
                axes.hist(network.layers[number].entropy, edges, histtype="step", linewidth=1.4, color=color, label=when)
        axes.axvline(found.threshold, color=INK, linestyle=":", linewidth=1.2, label="low below this")
        axes.axvline(base, color=INK, linestyle="--", linewidth=1.2, label="all faces")
        plain_axes(axes)
        axes.set_title(short_name(layer.name), fontsize=TEXT + 1, color=INK, loc="left", parse_math=False)
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.grid(axis="y", color=LINE, linewidth=0.6)
        if number % across == 0:
            axes.set_ylabel("neurons", fontsize=TEXT, color=INK)
        if number + across >= len(layers):
            axes.set_xlabel("label entropy (nats)", fontsize=TEXT, color=INK)
            axes.tick_params(labelbottom=True)
    for axes in panels[len(layers) :]:
        axes.set_visible(False)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), fontsize=TEXT, frameon=False)
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return Image.open(file)


def draw_mean_faces(found: Neurons, layer: LayerNeurons) -> Image.Image:
    """A picture with a row for each class: mean top faces of a layer's most selective neurons (FN2EN, Fig. 4 and 5)."""
    classes, rows = found.faces.classes, []
    for label, name in enumerate(classes):
        chosen = layer.selective(label, SHOWN)
        notes = [_note(layer, neuron, label) for neuron in chosen.tolist()]
        tiles = [GridTile(face, (note,)) for face, note in zip(mean_faces(found.faces, layer, chosen), notes, strict=True)]
        rows.append(GridRow(name, tuple(tiles), f"{_percent(found.base[label])} of faces"))
    title = f"{layer.name}: neurons with most faces of a class among their top {found.top}, and the mean of those faces"
    return draw_face_grid(rows, SIDE, title)


def draw_maximized(found: Neurons, network: NetworkNeurons) -> Image.Image:
    """A picture with a row for each layer: pictures that excite its most selective neurons (FN2EN, Fig. 1)."""
    rows = [GridRow(drawn.layer.name, _maximized(found, drawn)) for drawn in network.drawn]
    return draw_face_grid(
        rows, SIDE, "Pictures that excite a neuron; the class it was chosen for, and its share of the top faces"
    )


def neurons_html(found: Neurons, pictures: dict[str, bytes]) -> str:
    """The report's page as HTML, which needs no other file; everything that is put into it is escaped."""
    templates = page_templates("mien.evaluation.report", filters=(with_thousands,))
    shown = {name: EmbeddedPicture(data_uri(content, "png"), _caption(name), "") for name, content in pictures.items()}
    befores: Sequence[LayerNeurons | None] = found.before.layers if found.before else [None] * len(found.after.layers)
    return templates.get_template("neurons.html.j2").render(
        found=found,
        base=float(label_entropy(found.base[None])[0]),
        layers=list(zip(found.after.layers, befores, strict=True)),
        histograms=shown["histograms.png"],
        maximized=[shown[name] for name in shown if name.startswith("maximized")],
        means=[shown[name] for name in shown if name.startswith("means_")],
    )


def _maximized(found: Neurons, drawn: MaximizedNeurons) -> tuple[GridTile, ...]:
    chosen = zip(drawn.pictures, drawn.neurons.tolist(), drawn.labels.tolist(), strict=True)
    return tuple(
        GridTile(_stretched(picture), (GridNote(found.faces.classes[label]), _note(drawn.layer, neuron, label)))
        for picture, neuron, label in chosen
    )


def _stretched(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The picture in full contrast."""
    return np.asarray(ImageOps.autocontrast(Image.fromarray(picture), cutoff=0.5, preserve_tone=True))


def _note(layer: LayerNeurons, neuron: int, label: int) -> GridNote:
    share = float(layer.shares[neuron, label])
    return GridNote(f"#{neuron}: {_percent(share)}", share)


def _percent(share: float) -> str:
    return percent(share, 0, " %") if share >= 0.01 or not share else "< 1 %"


def _caption(name: str) -> str:
    if name.startswith("means_"):
        return f"Mean images of the top faces, {name.removeprefix('means_').removesuffix('.png')}"
    return {
        "histograms.png": "Label entropy of the neurons of each layer",
        "maximized.png": "Pictures that excite neurons",
        "maximized_before.png": "The same before fine-tuning",
    }[name]


def _file_part(name: str) -> str:
    """A layer's name as part of a file's name."""
    return re.sub(r"[^\w.-]", "_", name)


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
