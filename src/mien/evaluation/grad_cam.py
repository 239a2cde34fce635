"""Grad-CAM: the regions of a face that speak for a class, drawn over the photo.

Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", Eq. 1-2.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional as F

from mien.data.face_grid import BLUE, EDGE, INK, SOFT, write_face_grid
from mien.data.faceset import FaceSet
from mien.data.views import Views
from mien.errors import MienError
from mien.folders import require_absent
from mien.matplotlib_parts import colormaps
from mien.media.face_pictures import read_picture
from mien.models import Network, leading, upscaling
from mien.progress import Progress, Silent
from mien.recognize.recognizer import Recognizer
from mien.wording import percent, short_name, with_suggestion

SIDE, BARS, LINE, TEXT = 256, 220, 32, 15
"""Pixels of the picture: side of a face, width of the bars, height of a line and of its text."""
STRENGTH = 0.75
"""Share of color over gray where the map is 1; where the map is 0 there is no color."""
NAMED = 8
"""Most classes whose probabilities stand in the picture."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a recognizer predicts for one face, and the map of the regions that speak for a class."""

    classes: tuple[str, ...]
    probabilities: npt.NDArray[np.float32]
    """(K,) calibrated probabilities of the classes."""
    explained: str
    """The class whose logit the map explains."""
    block: str
    """The block of the network whose maps were weighted."""
    face: npt.NDArray[np.uint8]
    """The face as the network gets it, (S, S) or (S, S, 3)."""
    heat: npt.NDArray[np.float32]
    """The map, (S, S) in [0, 1]: 1 at the region that speaks most for the class, all 0 where none does."""

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON: probabilities by class, the class and block that were explained, and the map's peak."""
        row, column = np.unravel_index(int(self.heat.argmax()), self.heat.shape)
        peak = [int(row), int(column)] if self.heat.any() else None
        probabilities = dict(zip(self.classes, map(float, self.probabilities), strict=True))
        return {"probabilities": probabilities, "explained": self.explained, "block": self.block, "peak": peak}


def explain_photo(
    run: Recognizer | Path | str,
    photo: Path | str,
    out: Path | str | None = None,
    name: str | None = None,
    block: str | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> Explanation:
    """Explain the prediction for a photo of one face, of which the central square is taken, and draw the map as a PNG.

    `run`: a recognizer, or a run's folder. `name`: the class to explain, the likeliest without it. `out`: the PNG, else
    `explained_path(photo)`. Raises MienError where that exists, the photo cannot be read, or class, block or network do not fit.
    """
    photo = Path(photo)
    target = explained_path(photo) if out is None else Path(out)
    require_absent(target)
    recognizer = run if isinstance(run, Recognizer) else Recognizer.load(run, device)
    _require_faces(recognizer)
    info = recognizer.card.faces
    if larger := upscaling(recognizer.network, recognizer.card.network["network"]):
        (progress or Silent()).say(larger)
    found = explain(recognizer, _read(photo, info.side, info.channels == 3), name, block)
    write_face_grid(draw_explanation(found, _read(photo, SIDE, color=True)), target)
    return found


def explained_path(photo: Path) -> Path:
    """Where a photo's explanation is drawn: PHOTO_explained.png beside it. Raises MienError for a path without a name."""
    if not photo.name:
        raise MienError("a photo", f"{photo}", "name the file")
    return photo.with_name(f"{photo.stem}_explained.png")


def explain(
    recognizer: Recognizer, face: npt.NDArray[np.uint8], name: str | None = None, block: str | None = None
) -> Explanation:
    """Explain the class `name`, or the likeliest, of a face (S, S) or (S, S, 3) by the maps of a block, or of the last that has
    any.

    Raises MienError for a class or block that is not there, and for a network without maps.
    """
    _require_faces(recognizer)
    if name is not None and name not in recognizer.classes:
        raise MienError(
            f"a class among {', '.join(recognizer.classes)}",
            with_suggestion(name, recognizer.classes),
            "choose one of those with `class`",
        )
    chosen = _block_with_maps(recognizer.network, block)
    given = FaceSet.from_arrays(face[None])
    probabilities = recognizer.probabilities(given)[0]
    label = int(probabilities.argmax()) if name is None else recognizer.classes.index(name)
    inputs = Views(given.info, recognizer.card.normalize).clean(torch.from_numpy(face[None]).to(recognizer.device))
    heat: npt.NDArray[np.float32] = grad_cam(recognizer.network, inputs, chosen, label)[0].cpu().numpy()
    return Explanation(recognizer.classes, probabilities, recognizer.classes[label], chosen, face, heat)


def grad_cam(network: Network, inputs: Tensor, block: str, label: int) -> Tensor:
    """Grad-CAM's maps, (B, S, S) in [0, 1], for inputs (B, C, S, S): the maps of `block`, weighted by their worth to a class.

    A map's worth is the mean over its places of the gradient of the class's logit (Eq. 1). Only what speaks for the class is
    kept (Eq. 2). The weighted sum is enlarged to the input's size and divided by its largest value.
    """
    network.eval()
    with torch.enable_grad():
        x: Tensor | tuple[Tensor, ...] = inputs
        maps = inputs
        for name, module in network.blocks.items():
            x = module(x)
            if name == block:
                # A leaf, so that nothing below is differentiated; a copy goes on, since later blocks may work in place.
                maps = leading(x).detach().requires_grad_()
                x = (maps.clone(), *x[1:]) if isinstance(x, tuple) else maps.clone()
        out = network.head(x)
        logits = out[-1] if out.ndim == 3 else out
        (slopes,) = torch.autograd.grad(logits[:, label].sum(), maps)
    worth = slopes.mean(dim=(2, 3), keepdim=True)
    heat = torch.relu((worth * maps.detach()).sum(dim=1, keepdim=True))
    heat = F.interpolate(heat, inputs.shape[-2:], mode="bilinear")[:, 0]
    return heat / heat.amax(dim=(1, 2), keepdim=True).clamp(min=1e-12)


def draw_explanation(found: Explanation, photo: npt.NDArray[np.uint8]) -> Image.Image:
    """A picture of the face as the network gets it, the photo (SIDE, SIDE, 3) under the map, and the likeliest classes."""
    said = f"speaks for {found.explained}" if found.heat.any() else f"no region speaks for {found.explained}"
    seen = Image.fromarray(found.face).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    shown = [("what the network sees", seen), (said, Image.fromarray(overlay(photo, found.heat)))]
    sheet = Image.new("RGB", (2 * (SIDE + EDGE) + BARS + 2 * EDGE, SIDE + LINE + 2 * EDGE), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(TEXT)
    for place, (title, picture) in enumerate(shown):
        x = EDGE + place * (SIDE + EDGE)
        draw.text((x, EDGE + LINE // 2), short_name(title), SOFT, font, anchor="lm")
        sheet.paste(picture, (x, EDGE + LINE))
    left, right = 2 * (SIDE + EDGE) + EDGE, sheet.width - EDGE
    for place, n in enumerate(np.argsort(-found.probabilities, kind="stable")[:NAMED].tolist()):
        top, share = EDGE + LINE * (place + 1), float(found.probabilities[n])
        draw.rectangle((left, top, right, top + LINE - 6), fill="#f5f7fa")
        draw.rectangle((left, top, left + max(1, round(share * BARS)), top + LINE - 6), fill=BLUE)
        middle = top + (LINE - 6) // 2
        draw.text((left + 6, middle), short_name(found.classes[n]), INK, font, anchor="lm")
        draw.text((right - 6, middle), percent(share), INK, font, anchor="rm")
    return sheet


def overlay(photo: npt.NDArray[np.uint8], heat: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """The photo (S, S, 3) in gray under the map `heat` (s, s), which is enlarged: the higher the map, the more color."""
    side = len(photo)
    fine = F.interpolate(torch.from_numpy(heat)[None, None], (side, side), mode="bilinear")[0, 0].numpy()[..., None]
    gray = photo.mean(axis=2, keepdims=True)
    color = colormaps["YlOrRd"](fine[..., 0])[..., :3] * 255
    mixed: npt.NDArray[np.uint8] = (gray + STRENGTH * fine * (color - gray)).round().clip(0, 255).astype(np.uint8)
    return mixed


def _require_faces(recognizer: Recognizer) -> None:
    if recognizer.card.faces.kind != "faces":
        raise MienError("a model of faces, to show its regions", "one that learned from features", "explain another model")


def _block_with_maps(network: Network, block: str | None) -> str:
    """The name of the block, or of the last one whose maps have more than one place."""
    usable = [name for name, shape in network.shapes().items() if len(shape) == 3 and min(shape[1:]) > 1]
    if not usable:
        raise MienError("a network with a block that has maps", "none", "explain another model")
    if block is not None and block not in usable:
        raise MienError(
            f"a block with maps among {', '.join(usable)}", with_suggestion(block, usable), "choose one of those with `block`"
        )
    return block or usable[-1]


def _read(photo: Path, side: int, color: bool) -> npt.NDArray[np.uint8]:
    try:
        return read_picture(photo, side, color)
    except MienError as error:
        raise MienError(error.expected, error.found, "give another photo") from error
