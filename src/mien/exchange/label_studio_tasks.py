"""Label Studio's files: tasks of a face set with a model's predictions, and what people answered to them.

People choose one class of a picture (`Choices`). Annotations are read as the votes of several people into a label store.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np

from mien.data.faceset import FaceSet
from mien.disk import read_bytes, replace_atomically
from mien.errors import MienError
from mien.exchange.tables import png_bytes
from mien.expressions import canonical
from mien.folders import require_absent
from mien.json_text import to_json
from mien.json_toml import parse_json
from mien.labeling.store.answer_log import AddedAnswers
from mien.labeling.store.records import Answer, Question
from mien.labeling.store.store import Store
from mien.recognize.recognizer import Recognizer
from mien.wording import with_suggestion

IMAGE, FACE = "image", "face"
"""The keys of a task's data: the address of its picture, and the id of its face in the set."""
FROM, TO = "expression", "picture"
"""The names of the choices and of the picture in the labeling configuration."""
OTHER = {"not a face": "not_a_face", "unsure": "unsure"}
"""Choices beside the classes, with the kinds of answers that they are in a store."""
SERVED = "/data/local-files/?d="
"""How addresses of local files begin in Label Studio, before the path from its document root."""
BLOCK = 256
TODO = "export it from Label Studio as JSON, not as JSON-MIN or CSV"


def save_tasks(faces: FaceSet, folder: Path | str, recognizer: Recognizer | None = None, prefix: str | None = None) -> int:
    """Write a new folder for Label Studio: `pictures/`, `tasks.json` and `labeling_config.xml`. Returns the number of tasks.

    With a `recognizer` each task has its prediction; faces of another side or color are converted for it. `prefix`: what stands
    before `pictures/…` in the addresses of pictures; unless given, as Label Studio serves the folder where its document root is
    the folder above. Raises MienError where `folder` exists, and for cached features.
    """
    folder = Path(folder)
    if faces.info.kind != "faces":
        raise MienError("a set of faces, which have pictures", f"one of {faces.info.kind}", "give the faces themselves")
    require_absent(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    before = f"{SERVED}{folder.name}/" if prefix is None else prefix
    ids, tasks = faces.values("id"), list[dict[str, Any]]()
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as aside:
        whole = Path(aside, "whole")
        (whole / "pictures").mkdir(parents=True)
        for start in range(0, len(faces), BLOCK):
            some = faces.select(np.arange(start, min(start + BLOCK, len(faces))))
            scores = None if recognizer is None else recognizer.probabilities(_in_shape(some, recognizer))
            for row, pixels in enumerate(some.faces()):
                name = f"pictures/{start + row:07d}.png"
                (whole / name).write_bytes(png_bytes(pixels))
                task: dict[str, Any] = {"data": {IMAGE: before + name, FACE: ids[start + row]}}
                if recognizer is not None and scores is not None:
                    likely = scores_of(dict(zip(recognizer.classes, scores[row].tolist(), strict=True)), faces.classes)
                    task["predictions"] = [prediction(likely, model_version(recognizer))]
                tasks.append(task)
        (whole / "tasks.json").write_text(to_json(tasks, ascii_only=True), "utf-8")
        (whole / "labeling_config.xml").write_text(labeling_config(faces.classes), "utf-8")
        replace_atomically(whole, folder)
    return len(tasks)


def _in_shape(faces: FaceSet, recognizer: Recognizer) -> FaceSet:
    """The faces in the side and color that the recognizer takes."""
    info = recognizer.card.faces
    if info.kind != "faces" or (faces.info.side, faces.info.channels) == (info.side, info.channels):
        return faces
    from mien.data.convert import in_shape_of  # loads torch, which an exported model does without

    return in_shape_of(faces, info)


def labeling_config(classes: Sequence[str]) -> str:
    """Label Studio's XML for a picture with one choice among the classes, `not a face` and `unsure`."""
    names = [*classes, *(name for name in OTHER if name not in classes)]
    choices = "\n".join(f"    <Choice value={quoteattr(name)}/>" for name in names)
    head = f'  <Image name="{TO}" value="${IMAGE}"/>\n  <Choices name="{FROM}" toName="{TO}" choice="single" showInLine="true">'
    return f"<View>\n{head}\n{choices}\n  </Choices>\n</View>\n"


def scores_of(scores: Mapping[str, float], choices: Sequence[str]) -> dict[str, float]:
    """The scores of those choices that a model has a class for, by the same name or another for the same expression.

    Raises MienError where there is none.
    """
    ours = {canonical(name) or name: score for name, score in scores.items()}
    found = {name: scores.get(name, ours.get(canonical(name) or name)) for name in choices}
    known = {name: score for name, score in found.items() if score is not None}
    if not known:
        raise MienError(f"a choice among the model's classes, {', '.join(scores)}", ", ".join(choices)[:200], "name some alike")
    return known


def prediction(scores: Mapping[str, float], version: str, from_name: str = FROM, to_name: str = TO) -> dict[str, Any]:
    """A prediction of Label Studio: the likeliest of the classes in `scores`, with its probability."""
    top = max(scores, key=scores.__getitem__)
    result = {"from_name": from_name, "to_name": to_name, "type": "choices", "value": {"choices": [top]}}
    return {"model_version": version, "score": round(scores[top], 4), "result": [result]}


def model_version(recognizer: Recognizer) -> str:
    """What tells one model's predictions from another's: the beginning of its weights' checksum, or of its faces'."""
    card = recognizer.card
    return f"mien {(card.weights or card.faces.checksum or card.faces.name)[:12]}"


def import_tasks(store: Store, path: Path | str, pool: FaceSet | None = None) -> AddedAnswers:
    """Append the annotations in a JSON export of Label Studio, whose tasks `save_tasks` wrote, to a label store.

    With the `pool` its faces that have tasks are asked about first. Each annotation is an answer of the person who gave it;
    skipped tasks and empty annotations are none. Importing again adds what is new or changed. Raises MienError for another
    file, for a face, a class or a time that is none, and for several choices; then nothing was added.
    """
    read = _read(Path(path), store.info.classes, pool)
    if pool is not None:
        store.require(pool.classes, pool.info.checksum)
        store.ask(read.questions)
    return store.merge(read.answers, str(path))


def import_with_pool(address: Path | str, path: Path | str, pool: FaceSet) -> AddedAnswers:
    """As `import_tasks`, into the store at an address, which is made where there is none and the file is as it has to be."""
    read = _read(Path(path), pool.classes, pool)
    with Store.open_or_create(address, pool.classes, pool.info.name or "faces", pool.info.checksum) as store:
        store.ask(read.questions)
        return store.merge(read.answers, str(path))


@dataclass(frozen=True)
class _Export:
    """What a JSON export of Label Studio holds."""

    questions: list[Question]
    """About each face that has a task."""
    answers: list[Answer]


def _read(path: Path, classes: Sequence[str], pool: FaceSet | None) -> _Export:
    """Read an export. Raises MienError for another file, and for faces that are not in the pool."""
    tasks = parse_json(read_bytes(path, TODO), str(path), TODO)
    if not isinstance(tasks, list) or not all(isinstance(task, dict) and isinstance(task.get("data"), dict) for task in tasks):
        raise MienError(f"a list of tasks with data in {path}", "something else", TODO)
    if not tasks:
        raise MienError(f"tasks in {path}", "none", "export the project whose pictures people labeled")
    answers = [answer for number, task in enumerate(tasks, 1) for answer in _answers(task, classes, number, path)]
    named = list(dict.fromkeys(str(task["data"].get(FACE)) for task in tasks))
    if pool is not None:
        known = set(pool.values("id"))
        strange = [face for face in named if face not in known]
        if strange:
            raise MienError(
                "tasks about faces of the pool", f"{strange[0][:80]!r} and {len(strange) - 1} more", "give their pool"
            )
    return _Export([Question(face) for face in named], answers)


def _answers(task: Mapping[str, Any], classes: Sequence[str], number: int, path: Path) -> list[Answer]:
    face = task["data"].get(FACE)
    if not isinstance(face, str):
        raise MienError(f"the id of a face under data.{FACE} in task {number} of {path}", "none", "take tasks that mien wrote")
    annotations = task.get("annotations")
    if not isinstance(annotations, list) or not all(isinstance(one, dict) for one in annotations):
        raise MienError(f"a list of annotations in task {number} of {path}", "none", TODO)
    made = (_answer(face, one, classes, f"task {number} of {path}") for one in annotations if not one.get("was_cancelled"))
    return [one for one in made if one is not None]


def _answer(face: str, given: Mapping[str, Any], classes: Sequence[str], where: str) -> Answer | None:
    choices = chosen(given, where)
    if not choices:
        return None
    if len(choices) > 1:
        raise MienError(f"one choice in {where}", ", ".join(choices)[:200], 'set choice="single" in the labeling configuration')
    (choice,) = choices
    if choice not in classes and choice not in OTHER:
        todo = "name the classes alike in Label Studio and in the set"
        raise MienError(f"a class among {', '.join(classes)} in {where}", with_suggestion(choice, classes), todo)
    label = classes.index(choice) if choice in classes else None
    said = given.get("updated_at") or given.get("created_at")
    try:
        time = datetime.fromisoformat(str(said))
    except ValueError as error:
        raise MienError(f"a time like 2026-01-31T12:00:00Z in {where}", repr(said)[:80], TODO) from error
    time = time.replace(tzinfo=time.tzinfo or UTC)
    kind: Any = "label" if label is not None else OTHER[choice]
    return Answer(face, annotator(given.get("completed_by")), kind, label, time, None, f"{given.get('id')}@{said}"[-64:])


def chosen(annotation: Mapping[str, Any], where: str) -> list[str]:
    """What an annotation of a task chose; empty where it chose nothing. Raises MienError for results of another form."""
    try:
        results = [one for one in annotation["result"] if one["type"] == "choices"]
        return [str(name) for one in results for name in one["value"]["choices"]]
    except (KeyError, TypeError) as error:
        raise MienError(f"results with choices in {where}", f"none ({error})", TODO) from error


def annotator(said: Any) -> str:
    """The name of who annotated, by number: exports and requests hold a number, or a person with one and an e-mail address."""
    if isinstance(said, dict):
        said = said.get("email") if said.get("id") is None else said["id"]
    return said if isinstance(said, str) else f"label-studio-{said}"
