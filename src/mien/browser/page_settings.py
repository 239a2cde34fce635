"""What the page has to know of a model and of how mien reads: its settings.json. The page states none of these values itself."""

from dataclasses import asdict
from typing import Any

from mien.errors import MienError
from mien.expressions import canonical
from mien.faces import between_frames
from mien.faces.align import align_from_text
from mien.faces.align.box import Box
from mien.faces.align.eyes import Eyes
from mien.faces.align.whole import Whole
from mien.faces.crop import CropSpec
from mien.faces.detect import detector_from_text
from mien.faces.detect.mtcnn import MOST_SEARCHED, Mtcnn
from mien.recognize.model_card import ModelCard
from mien.recognize.predict_files import SMALLEST, TRACKING
from mien.recognize.prediction_rows import FIELDS
from mien.recognize.timeline import COLORS
from mien.settings import setting_docs

WAYS = {Eyes: "eyes", Box: "box", Whole: "whole"}
"""The ways to cut out a face that the page knows."""
OTHERS = ("#332288", "#117733", "#88ccee", "#ddcc77", "#aa4499", "#44aa99", "#999933", "#882255")
"""Colors of classes that are no known expressions, by turns (Tol's muted colors, which color-blind people tell apart)."""
FRAMES = ("WHOLE_EVERY", "WHOLE_AFTER", "NEAR", "AROUND", "SMALLER", "WORTH")
"""Constants of `mien.faces.between_frames`."""


def page_settings(card: ModelCard, crop_spec: CropSpec, name: str) -> dict[str, Any]:
    """The settings of the page for a model with this card, whose faces are found and cut out by `crop_spec`.

    Raises MienError for a way of cutting or a detector that the page does not know.
    """
    align = align_from_text(crop_spec.align)
    if type(align) not in WAYS:
        todo = "say another way: mien export MODEL OUT --align 'eyes; mtcnn; largest', then take OUT"
        raise MienError(f"faces cut out by {', '.join(WAYS.values())}, which the page knows", repr(crop_spec.align), todo)
    detector = Mtcnn() if type(align) is Whole else detector_from_text(crop_spec.detector)
    if type(detector) is not Mtcnn:
        raise MienError("faces found by mtcnn, which the page knows", repr(crop_spec.detector), "take a model that says mtcnn")
    frames = {constant.lower(): getattr(between_frames, constant) for constant in FRAMES}
    return {
        "name": name,
        "classes": card.classes,
        "colors": [COLORS.get(canonical(one) or one, OTHERS[place % len(OTHERS)]) for place, one in enumerate(card.classes)],
        "side": card.faces.side,
        "channels": card.faces.channels,
        "temperature": card.temperature,
        "least": card.possible_from,
        "sure": card.confidence_threshold,
        "unlike": card.unlike and asdict(card.unlike),
        "align": {"way": WAYS[type(align)]} | _values(align),
        "detector": _values(detector),
        "frames": frames | {"smallest": SMALLEST},
        "tracking": asdict(TRACKING),
        "pixels": MOST_SEARCHED,
        "columns": list(FIELDS),
    }


def _values(component: object) -> dict[str, Any]:
    """The settings of a component by their names."""
    return {name: getattr(component, name) for name in setting_docs(type(component))}
