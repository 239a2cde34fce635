"""mien as the ML backend of Label Studio: an application that answers its requests for predictions and for training.

Pictures are read from one folder alone. An address in a task is never opened, and Label Studio is never asked for anything: what
people answer comes with its own requests.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Annotated, Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
import numpy.typing as npt
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from PIL import Image
from pydantic import BaseModel, Field

from mien.errors import MienError
from mien.exchange.label_studio_tasks import model_version, prediction, scores_of
from mien.exchange.label_studio_training import AnnotationTraining
from mien.faces.crop import crop_faces
from mien.http_server.request_checks import LOOPBACK, RequestChecks, error_response
from mien.http_server.silent_app import silent_app
from mien.media.photos import as_photo
from mien.recognize.recognizer import Recognizer

MOST_BYTES, MOST_TASKS = 8 << 20, 1000
"""The longest request in bytes, and the most tasks in one."""
LOCAL_FILES = "/data/local-files/"
"""Where Label Studio serves local files; the path stands behind `?d=`."""

Config = Annotated[str, Field(max_length=1 << 16)]


class PredictRequest(BaseModel):
    """What Label Studio sends to /predict; further keys are passed over."""

    tasks: Annotated[list[dict[str, Any]], Field(max_length=MOST_TASKS)]
    label_config: Config


class SetupRequest(BaseModel):
    """What Label Studio sends to /setup; its own address and token, which come too, are passed over."""

    label_config: Config = Field("", alias="schema")


class Event(BaseModel):
    """What Label Studio sends to /webhook."""

    action: Annotated[str, Field(max_length=100)]
    annotation: dict[str, Any] | None = None
    annotations: Annotated[list[dict[str, Any]], Field(max_length=1 << 16)] | None = None
    task: dict[str, Any] | None = None
    project: dict[str, Any] | None = None


@dataclass(frozen=True)
class Labeling:
    """What a labeling configuration asks: which choice is made of which picture."""

    from_name: str
    to_name: str
    key: str
    """The key of a task's data with the picture's address."""
    choices: tuple[str, ...]

    @staticmethod
    def parse(config: str) -> "Labeling":
        """Read Label Studio's XML. Raises MienError for what is none, or has no choices about a picture."""
        todo = "set up a project with an Image and Choices about it"
        try:
            if re.search(r"<!\s*(DOCTYPE|ENTITY)", config, re.IGNORECASE):
                raise ValueError("it declares entities")
            root = ET.fromstring(config)
        except (ET.ParseError, ValueError) as error:
            raise MienError("a labeling configuration in XML", str(error)[:200], todo) from error
        pictures = {one.get("name"): one.get("value", "") for one in root.iter("Image")}
        for asked in root.iter("Choices"):
            picture = asked.get("toName")
            choices = tuple(str(one.get("alias") or one.get("value", "")) for one in asked.iter("Choice"))
            if picture in pictures and pictures[picture].startswith("$") and choices:
                return Labeling(asked.get("name", ""), str(picture), pictures[picture][1:], choices)
        raise MienError("an Image whose value begins with $, and Choices about it", "none", todo)


class Backend:
    """Answers predictions by a recognizer, one request at a time; training puts a better recognizer in its place."""

    def __init__(self, recognizer: Recognizer, pictures: Path, training: AnnotationTraining | None = None) -> None:
        """`pictures`: the folder that pictures are read from. `training`: learns from annotations; None to learn nothing."""
        self._recognizer, self._pictures, self._lock = recognizer, pictures.resolve(), Lock()
        self.training = training

    @property
    def version(self) -> str:
        """What tells this model's predictions from others'."""
        return model_version(self._recognizer)

    def predict(self, tasks: list[dict[str, Any]], labeling: Labeling) -> list[dict[str, Any]]:
        """A prediction for each task; one without result where its picture is not in the folder or shows no face."""
        with self._lock:
            recognizer = self._recognizer
            scores_of(dict.fromkeys(recognizer.classes, 0.0), labeling.choices)
            return [self._predict(recognizer, task, labeling) for task in tasks]

    def annotate(self, task: dict[str, Any], annotation: dict[str, Any], labeling: Labeling) -> None:
        """Remember an annotation of a task whose picture is in the folder."""
        path = local_picture(task.get("data"), labeling.key, self._pictures)
        if self.training is not None and path is not None:
            self.training.remember(path, annotation)

    def forget(self, annotations: Collection[str]) -> None:
        """Forget the answers of annotations, by their numbers, that were deleted."""
        if self.training is not None:
            self.training.forget(annotations)

    def train(self, labeling: Labeling) -> bool:
        """Begin to learn from what is remembered. Returns whether it began: not where it learns nothing, or learns already."""
        if self.training is None:
            return False
        return self.training.start(labeling.choices, self._find, self._take)

    def _find(self, recognizer: Recognizer, path: Path) -> npt.NDArray[np.uint8] | None:
        """The face in a picture of the folder; an earlier annotations.json may name pictures of another."""
        return face_of_picture(recognizer, path) if path.resolve().is_relative_to(self._pictures) else None

    def _take(self, recognizer: Recognizer) -> None:
        with self._lock:
            self._recognizer = recognizer

    def _predict(self, recognizer: Recognizer, task: dict[str, Any], labeling: Labeling) -> dict[str, Any]:
        path = local_picture(task.get("data"), labeling.key, self._pictures)
        face = None if path is None else face_of_picture(recognizer, path)
        if face is None:
            return {"model_version": model_version(recognizer), "score": 0.0, "result": []}
        scores = dict(zip(recognizer.classes, recognizer.probabilities(face[None])[0].tolist(), strict=True))
        chosen = scores_of(scores, labeling.choices)
        return prediction(chosen, model_version(recognizer), labeling.from_name, labeling.to_name)


def local_picture(data: Any, key: str, folder: Path) -> Path | None:
    """The file in `folder` (resolved) that a task's address names; None for addresses of the web, and for other places."""
    address = data.get(key) if isinstance(data, dict) else None
    if not isinstance(address, str):
        return None
    try:
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            return None
        named = parse_qs(parts.query).get("d", [""])[0] if parts.path == LOCAL_FILES else unquote(parts.path)
        path = (folder / named.lstrip("/")).resolve()
        return path if path.is_relative_to(folder) and path.is_file() else None
    except (OSError, ValueError):
        return None


def face_of_picture(recognizer: Recognizer, path: Path) -> npt.NDArray[np.uint8] | None:
    """The face in a picture, (S, S) or (S, S, 3) as the recognizer takes it; None where there is none, or no picture.

    A picture of the recognizer's size is a face that was cut out. In others the largest face is found.
    """
    faces = recognizer.card.faces
    try:
        photo = as_photo(path)
        if photo.shape[:2] == (faces.side, faces.side):
            return photo if faces.channels == 3 else np.asarray(Image.fromarray(photo).convert("L"))
        found = crop_faces([photo], replace(recognizer.crop_spec, which="largest"), faces.side, faces.channels == 3).faces
    except MienError:
        return None
    return found[0] if len(found) else None


def build_backend(backend: Backend, names: Collection[str] | None = LOOPBACK) -> RequestChecks:
    """The application behind its request checks. `names`: the host names that it answers to, any for None."""
    app = silent_app("mien")

    @app.exception_handler(MienError)
    async def refuse(request: Request, error: Exception) -> Response:
        assert isinstance(error, MienError)
        return error_response(400, error)

    @app.exception_handler(RequestValidationError)
    async def refuse_form(request: Request, error: Exception) -> Response:
        return error_response(
            422, MienError("a request of Label Studio", str(error)[:300], "send JSON as its documentation says")
        )

    @app.get("/")
    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "UP", "model_class": "mien"}

    @app.post("/setup")
    def setup(asked: SetupRequest) -> dict[str, str]:
        Labeling.parse(asked.label_config)
        return {"model_version": backend.version}

    @app.post("/predict")
    def predict(asked: PredictRequest) -> dict[str, Any]:
        return {"results": backend.predict(asked.tasks, Labeling.parse(asked.label_config)), "model_version": backend.version}

    @app.post("/webhook")
    def webhook(event: Event) -> Response:
        return _heard(backend, event)

    return RequestChecks(app, names, most_bytes=MOST_BYTES)


def _heard(backend: Backend, event: Event) -> Response:
    """Remember or forget what was answered, or begin to train."""
    if event.action == "ANNOTATIONS_DELETED":
        backend.forget({str(one.get("id"))[:100] for one in event.annotations or ()})
        return JSONResponse({"status": "ok", "result": {}}, 201)
    if event.action not in ("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "START_TRAINING"):
        return JSONResponse({"status": "Unknown event"}, 200)
    labeling = Labeling.parse(str((event.project or {}).get("label_config", ""))[: 1 << 16])
    if event.action == "START_TRAINING":
        return JSONResponse({"status": "ok", "result": {"training": backend.train(labeling)}}, 201)
    backend.annotate(event.task or {}, event.annotation or {}, labeling)
    return JSONResponse({"status": "ok", "result": {}}, 201)
