"""The commands as `mien --help` shows them: in groups, each with a few words; and an example of each."""

import math
from collections.abc import Sequence

SECTIONS = {
    "Begin with": {
        "predict": "name the expression of every face in photos and videos",
        "train": "train a recognizer on your faces",
        "compare": "compare recipes over labels, noise and seeds",
    },
    "Read": {
        "watch": "read a camera",
        "serve": "answer photos by HTTP",
        "export": "write a model to share",
    },
    "Train": {
        "recipes": "list or show recipes",
        "resume": "go on with a run",
        "runs": "list runs with figures",
        "adapt": "fit to a few faces",
        "protocol": "measure as papers do",
        "tables": "the papers' tables",
        "autoencoder": "make semantic neighbors",
        "features": "cache what a network sees",
        "convert": "read published weights",
        "demo": "try all on drawn faces",
    },
    "Label": {
        "annotate": "label in the browser",
        "annotators": "people who may label",
        "labels": "what people answered",
        "label-errors": "find labels likely wrong",
        "rounds": "ask for labels, learn",
    },
    "Data": {
        "import": "a database or a folder",
        "databases": "what each one holds",
        "prepare": "cut faces from photos",
        "collect": "faces by web search",
        "describe": "count and show faces",
        "duplicates": "find near-duplicates",
        "identities": "a set of people",
        "peaks": "peak frames of videos",
    },
    "Look inside": {
        "evaluate": "test a model, report",
        "weights": "how faces were weighed",
        "intensity": "by expression strength",
        "consistency": "small changes to faces",
        "explain": "which pixels decide",
        "neurons": "what neurons look at",
        "verify": "same person or not",
    },
}
"""Groups of commands, and a few words about each. The first group is what most people begin with."""

EXAMPLES = {
    "predict": "mien predict photo.jpg film.mp4",
    "watch": "mien watch 0 --seconds 60",
    "serve": "mien serve mien-s --port 8080",
    "export": "mien export run model",
    "train": "mien train faces --out run --recipe few",
    "resume": "mien resume run",
    "runs": "mien runs .",
    "recipes": "mien recipes few",
    "adapt": "mien adapt mien-s faces --out model",
    "compare": "mien compare faces --recipes few,supervised --out out",
    "protocol": "mien protocol cross a b --recipes supervised --out out",
    "tables list": "mien tables list",
    "tables show": "mien tables show alt-1b",
    "tables run": "mien tables run alt-1b --data data --out out",
    "autoencoder train": "mien autoencoder train faces --out neighbors",
    "features": "mien features run faces features",
    "convert": "mien convert vgg_face.mat model",
    "demo": "mien demo --out demo",
    "annotate": "mien annotate faces --store labels.db --first 100",
    "annotators add": "mien annotators add ann --store labels.db",
    "annotators renew": "mien annotators renew ann --store labels.db",
    "annotators disable": "mien annotators disable ann --store labels.db",
    "annotators enable": "mien annotators enable ann --store labels.db",
    "annotators remove": "mien annotators remove ann --store labels.db",
    "annotators list": "mien annotators list --store labels.db",
    "annotators sign-ins": "mien annotators sign-ins --store labels.db",
    "labels export": "mien labels export labels.db labels.csv",
    "labels import": "mien labels import labels.db log.csv",
    "labels apply": "mien labels apply labels.db faces labeled",
    "labels show": "mien labels show labels.db",
    "labels backup": "mien labels backup labels.db copy.db",
    "labels check": "mien labels check labels.db",
    "labels tasks": "mien labels tasks faces tasks --model mien-s",
    "labels backend": "mien labels backend pictures --out learned",
    "label-errors": "mien label-errors faces --model run",
    "rounds": "mien rounds faces --recipe few --per-round 50 --out out",
    "import": "mien import folder photos faces --test 0.2",
    "databases": "mien databases ckplus",
    "prepare": "mien prepare photos faces --labeled --test 0.2",
    "collect": "mien collect found --classes anger,fear --each 50",
    "describe": "mien describe faces --picture faces.png",
    "duplicates": "mien duplicates faces --out duplicates",
    "identities": "mien identities faces people",
    "peaks": "mien peaks faces peaks",
    "evaluate": "mien evaluate run faces --split test",
    "weights": "mien weights run faces",
    "intensity": "mien intensity run faces",
    "consistency": "mien consistency run faces --moves",
    "explain": "mien explain run photo.jpg --out why.png",
    "neurons": "mien neurons run faces --out neurons",
    "verify": "mien verify run faces",
}
"""An example of each command, which its help shows."""


def two_columns(rows: Sequence[tuple[str, str]], columns: int, width: int) -> list[str]:
    """Lines of names and words, in so many columns of a page `width` letters wide; each column is read from top to bottom."""
    names = max(len(name) for commands in SECTIONS.values() for name in commands)
    cells = [f"{name:{names}}  {text}" for name, text in rows]
    height = math.ceil(len(cells) / columns)
    parts = [cells[start : start + height] for start in range(0, len(cells), height)]
    lines = [[part[row] for part in parts if row < len(part)] for row in range(height)]
    return ["".join(f"{cell:{width // columns}}" for cell in line).rstrip() for line in lines]
