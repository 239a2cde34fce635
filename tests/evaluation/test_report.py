"""What is summarized, and the page and the JSON that tell of it."""

import base64
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.errors import MienError
from mien.evaluation.evaluation_result import Evaluation
from mien.evaluation.metrics import accuracy, confusion, intervals, wilson
from mien.evaluation.report import Mistakes, write_evaluation
from mien.evaluation.report.figures import HISTORY_PANELS, curves_with_values, draw_history
from mien.evaluation.report.report_page import confusion_cells, spaced_percent, with_thousands
from mien.evaluation.summarize_logits import NO_VALUE, confident_mistakes, summarize_logits
from mien.recognize.calibration import apply_temperature

CLASSES = ("happy", "<script>alert(1)</script>", 'a"b&c', "nobody")
COUNT = 120
HISTORY = [
    {
        "stage": epoch // 3, "epoch": epoch % 3, "seconds": 1.0, "lr": 10.0 ** -(1 + epoch // 3), "loss": 2.0 - epoch / 5,
        "validation_accuracy": 0.3 + epoch / 20, "validation_average_accuracy": 0.2 + epoch / 20, "validation_loss": 1.5,
    }
    for epoch in range(6)
]  # fmt: skip


class Page(HTMLParser):
    """Tags with their attributes, and the text between."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def every(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def logits_and_labels() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    generator = np.random.default_rng(0)
    labels = generator.integers(len(CLASSES) - 1, size=COUNT)
    logits = generator.normal(size=(COUNT, len(CLASSES)))
    logits[np.arange(COUNT), labels] += 1.5
    logits[:, 3] = -20
    return logits, labels


def made(**changes: Any) -> Evaluation:
    logits, labels = logits_and_labels()
    given: dict[str, Any] = {
        "classes": CLASSES, "dataset": "Set <b>", "split": "test", "temperature": 1.7, "resamples": 200,
        "notes": {"label rule": "majority <i>", "seed": "0"},
    }  # fmt: skip
    return summarize_logits(logits, labels, **(given | changes))


def mistakes(evaluation: Evaluation, most: int = 3) -> Mistakes:
    logits, labels = logits_and_labels()
    rows = confident_mistakes(logits, labels, most)
    faces = np.random.default_rng(0).integers(0, 256, (len(rows), 12, 12, 3)).astype(np.uint8)
    return Mistakes(faces, labels[rows], logits[rows].argmax(1), np.linspace(0.9, 0.6, len(rows)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "deep" / "report"
    evaluation = made(groups={"source": np.array(["lab", None, "<u>"], dtype=object)[np.arange(COUNT) % 3]})
    write_evaluation(evaluation, out, HISTORY, mistakes(evaluation))
    return out


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page((folder / "report.html").read_text("utf-8"))


def test_summary_holds_the_figures_of_its_faces() -> None:
    logits, labels = logits_and_labels()
    found, expected = made(), confusion(labels, logits.argmax(1), len(CLASSES))
    assert (found.confusion == expected).all()
    assert found.count == COUNT
    assert found.accuracy == (logits.argmax(1) == labels).mean()
    assert math.isnan(found.recalls[3])
    figures = ["accuracy", "average_accuracy", "ece_after", "ece_before", "macro_f1", "second", "sure", "sure_right"]
    assert sorted(found.intervals) == figures
    assert found.intervals["accuracy"] == intervals(expected, seed=0, resamples=200)["accuracy"]
    assert found.ece_before != found.ece_after
    assert found.reliability_after.count.sum() == COUNT
    wrong = logits.argmax(1) != labels
    assert found.second == (np.argsort(logits, axis=1)[wrong, -2] == labels[wrong]).mean()
    assert found.intervals["second"].low < found.second < found.intervals["second"].high
    assert found.to_json()["second"] == found.second


def test_sure_answers_are_counted_and_judged(tmp_path: Path) -> None:
    logits, labels = logits_and_labels()
    found = made(conformal_threshold=0.3, confidence_threshold=0.6)
    likely = apply_temperature(logits, 1.7)
    sure = [sum(p >= 0.3 for p in row) == 1 and max(row) >= 0.6 for row in likely.tolist()]
    right = [bool(row.argmax() == label) for row, label in zip(logits, labels, strict=True)]
    hits = [hit for hit, certain in zip(right, sure, strict=True) if certain]
    assert 0 < len(hits) < COUNT
    assert found.sure == len(hits) / COUNT
    assert found.sure_right == sum(hits) / len(hits)
    assert found.intervals["sure_right"] == wilson(sum(hits), len(hits))
    values = found.to_json()
    assert (values["sure_from"], values["sure"], values["sure_right"]) == (0.6, found.sure, found.sure_right)
    write_evaluation(found, tmp_path)
    text = Page((tmp_path / "report.html").read_text("utf-8")).text
    assert f"{spaced_percent(found.sure)} of the faces" in text
    assert f"Of these answers {spaced_percent(found.sure_right)} are right" in text


def test_faces_unlike_those_of_training_are_counted_and_never_sure(tmp_path: Path) -> None:
    unlike = np.arange(COUNT) % 5 == 0
    plain = made(conformal_threshold=0.3, confidence_threshold=0.6)
    found = made(conformal_threshold=0.3, confidence_threshold=0.6, unlike=unlike)
    assert (plain.unlike, plain.to_json()["unlike"]) == (None, None)
    assert "unlike" not in plain.intervals
    assert found.unlike == found.to_json()["unlike"] == unlike.sum() / COUNT
    assert found.intervals["unlike"] == wilson(int(unlike.sum()), COUNT)
    assert found.sure < plain.sure
    said = f"{spaced_percent(unlike.mean())} of the faces"
    texts = []
    for evaluation, folder in ((plain, tmp_path / "plain"), (found, tmp_path / "found")):
        write_evaluation(evaluation, folder)
        texts.append(Page((folder / "report.html").read_text("utf-8")).text)
    assert "unlike those that the model learned from" not in texts[0]
    assert texts[1].count(said) == 1


def test_where_no_answer_is_sure_that_is_said(tmp_path: Path) -> None:
    found = made(confidence_threshold=1.0)
    assert found.sure == 0
    assert found.to_json()["sure_right"] is None
    write_evaluation(found, tmp_path)
    assert "No face has a sure answer" in (tmp_path / "report.html").read_text("utf-8")


def test_figures_of_few_faces_come_with_a_caution(tmp_path: Path) -> None:
    logits, labels = logits_and_labels()
    few = summarize_logits(logits[:6], labels[:6], classes=CLASSES, dataset="", split="", resamples=20)
    assert few.cautions == ("only 6 test faces: with fewer than 30, figures say little",)
    assert few.to_json()["cautions"] == list(few.cautions)
    write_evaluation(few, tmp_path)
    assert "only 6 test faces" in (tmp_path / "report.html").read_text("utf-8")
    place = np.argsort(labels, kind="stable")
    some = np.concatenate([place[labels[place] == 0], place[labels[place] == 1], place[labels[place] == 2][:5]])
    (said,) = summarize_logits(logits[some], labels[some], classes=CLASSES, dataset="", split="", resamples=20).cautions
    assert said == f"classes with fewer than 30 test faces, whose figures say little: {CLASSES[2]} (5)"
    rows = np.tile(logits, (3, 1)), np.tile(labels, 3)
    groups = {"person": np.where(np.arange(3 * COUNT) < 20, "a", "b").astype(object)}
    kept = summarize_logits(*rows, classes=CLASSES, dataset="", split="", resamples=20, groups=groups)
    assert kept.cautions == ("1 of 2 values of person have fewer than 30 faces: their figures say little",)
    assert summarize_logits(*rows, classes=CLASSES, dataset="", split="", resamples=20).cautions == ()


def test_a_model_that_gives_one_answer_is_said() -> None:
    labels = np.arange(120) % 3
    logits = np.tile([0.0, 2.0, 1.0], (120, 1))
    (said,) = summarize_logits(logits, labels, classes=("a", "b", "c"), dataset="", split="", resamples=20).cautions
    assert said == "every face was taken for b: the average accuracy of 33.3% is 1 of 3 classes"
    (one,) = summarize_logits(
        logits[labels == 1], labels[labels == 1], classes=("a", "b", "c"), dataset="", split="", resamples=9
    ).cautions
    assert one == "all test faces are of b: what is taken for it wrongly was not measured"


def test_a_group_is_what_its_faces_alone_would_be() -> None:
    logits, labels = logits_and_labels()
    ages = np.where(np.arange(COUNT) % 4 == 0, np.nan, np.arange(COUNT) % 3 * 9.0)
    found = made(groups={"age": ages}).groups
    assert [group.value for group in found] == ["0.0", "9.0", "18.0", NO_VALUE]
    assert sum(group.count for group in found) == COUNT
    rows = ages == 9
    alone = confusion(labels[rows], logits[rows].argmax(1), len(CLASSES))
    assert found[1].accuracy == accuracy(alone)
    assert found[1].intervals["accuracy"] == intervals(alone, seed=0, resamples=200)["accuracy"]


def test_faces_without_a_value_are_a_group() -> None:
    assert [(group.value, group.count) for group in made(groups={"empty": np.full(COUNT, None)}).groups] == [(NO_VALUE, COUNT)]


@pytest.mark.parametrize("values", [np.arange(3), [[1, 2]] * COUNT])
def test_a_column_has_a_value_per_face(values: Any) -> None:
    with pytest.raises(MienError, match="120 values"):
        made(groups={"column": values})


def test_a_column_of_lists_or_of_too_many_values_has_no_groups() -> None:
    lists = np.empty(COUNT, dtype=object)
    lists[:] = [[1, 2]] * COUNT
    with pytest.raises(MienError, match="texts or numbers"):
        made(groups={"box": lists})
    with pytest.raises(MienError, match="at most 1000"):
        summarize_logits(np.zeros((1001, 2)), np.zeros(1001, int), classes=("a", "b"), dataset="", split="",
                  groups={"id": np.arange(1001)}, resamples=2)  # fmt: skip


def test_no_figures_of_nothing_or_of_faces_without_labels() -> None:
    with pytest.raises(MienError, match="at least one labeled face"):
        summarize_logits(np.zeros((0, 2)), [], classes=("a", "b"), dataset="", split="")
    with pytest.raises(MienError, match="from 0 to 1"):
        summarize_logits(np.zeros((2, 2)), [0, -1], classes=("a", "b"), dataset="", split="")
    with pytest.raises(MienError, match="logits of 3 classes"):
        summarize_logits(np.zeros((2, 2)), [0, 1], classes=("a", "b", "c"), dataset="", split="")


def test_confident_mistakes_are_wrong_and_in_order() -> None:
    logits = np.array([[5.0, 0.0], [0.0, 1.0], [0.0, 3.0], [2.0, 0.0]])
    assert confident_mistakes(logits, np.array([1, 0, 1, 1]), 2).tolist() == [0, 3]


def test_metrics_are_json_without_nan(folder: Path) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    found = json.loads((folder / "metrics.json").read_text("utf-8"), parse_constant=refuse)
    assert found["recalls"]["nobody"] is None
    assert found["recall_intervals"]["nobody"] == {"low": None, "high": None}
    assert found["accuracy"] == made().accuracy
    assert found["confusion"] == made().confusion.tolist()
    assert [group["value"] for group in found["groups"]] == ["<u>", "lab", NO_VALUE]


def test_page_needs_nothing_else(page: Page) -> None:
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "svg", "base"}
    for tag, attributes in page.tags:
        for name in ("src", "href", "srcset", "action"):
            value = attributes.get(name)
            assert value is None or value.startswith("data:image/"), (tag, name)
        assert not any(name.startswith("on") for name in attributes)
    assert "url(" not in page.text  # the style sheet is text too
    assert "@import" not in page.text


def test_names_are_text_and_never_markup(folder: Path, page: Page) -> None:
    text = (folder / "report.html").read_text("utf-8")
    assert "<script" not in text
    assert "<u>" not in text
    assert "<b>" not in text
    assert page.text.count(CLASSES[1]) >= 3  # table of classes, row and column of the matrix
    assert any(CLASSES[1] in (image["alt"] or "") for image in page.every("img"))
    assert "majority <i>" in page.text


def test_diagrams_are_pictures_that_hold_no_name(page: Page) -> None:
    sources = [image["src"] or "" for image in page.every("img")]
    drawn = [base64.b64decode(source.split(",")[1]).decode() for source in sources if "svg" in source]
    assert len(drawn) == 5  # reliability before and after; loss, accuracy and learning rate
    for picture in drawn:
        assert "<svg" in picture
        assert "script" not in picture
        assert CLASSES[0] not in picture


def test_every_picture_says_what_it_shows(page: Page) -> None:
    texts = [image["alt"] or "" for image in page.every("img")]
    assert len(texts) == 5 + 3
    assert all(len(text) > 20 for text in texts)
    assert len(set(texts)) == len(texts)


def test_page_tells_the_figures_and_how_they_came_about(page: Page) -> None:
    evaluation = made()
    for value in (evaluation.accuracy, evaluation.average_accuracy, evaluation.macro_f1, evaluation.ece_after):
        assert spaced_percent(value) in page.text
    for words in ("label rule", "1.7, fitted on validation", "bootstrap", "not used", f"{COUNT} of Set <b>, split test"):
        assert words in page.text, words
    assert f"its second most likely class in {spaced_percent(evaluation.second)}" in page.text
    assert "By source" in page.text
    assert NO_VALUE in page.text


def test_page_without_history_mistakes_and_groups_leaves_them_out(tmp_path: Path) -> None:
    write_evaluation(made(), tmp_path)
    page = Page((tmp_path / "report.html").read_text("utf-8"))
    assert len(page.every("img")) == 2
    assert "Training" not in page.text
    assert "mistakes" not in page.text


def test_a_temperature_of_one_has_one_diagram(tmp_path: Path) -> None:
    write_evaluation(made(temperature=1.0), tmp_path)
    assert len(Page((tmp_path / "report.html").read_text("utf-8")).every("img")) == 1


@pytest.mark.parametrize(
    "history", [HISTORY[:1], [{"stage": 0, "epoch": 0, "lr": 0.0, "loss": float("nan"), "validation_loss": None}]]
)
def test_short_and_broken_histories_are_drawn(tmp_path: Path, history: list[dict[str, Any]]) -> None:
    write_evaluation(made(), tmp_path, history)
    assert "Learning rate" in (tmp_path / "report.html").read_text("utf-8")


def test_what_techniques_note_is_drawn_where_it_is_there(tmp_path: Path) -> None:
    history: list[dict[str, Any]] = [entry | {"acceptance": 0.5, "weight": None, "replaced": float("nan")} for entry in HISTORY]
    history[1]["temperature"] = 0.25
    history[2] |= {"pseudo_label_accuracy": 0.75, "threshold": 0.875}
    write_evaluation(made(), tmp_path, history)
    page = Page((tmp_path / "report.html").read_text("utf-8"))
    drawn = {alt.partition(" over ")[0]: alt for alt in (image["alt"] or "" for image in page.every("img")) if " over " in alt}
    assert set(drawn) == {
        "Loss", "Validation accuracy", "Learning rate", "Updates kept", "Pseudo-labels", "Temperature of annealing"
    }  # fmt: skip
    assert drawn["Temperature of annealing"].endswith("temperature ends at 0.25"), "the last epoch that has one"
    assert drawn["Pseudo-labels"].endswith(
        f"share that is right ends at {spaced_percent(0.75)}, threshold ends at {spaced_percent(0.875)}"
    )


@pytest.mark.parametrize(
    ("key", "share"),
    [
        ("temperature", False), ("acceptance", True), ("pseudo_label_accuracy", True), ("pseudo_label_share", True),
        ("replaced", False), ("weight", False), ("threshold", True),
    ],
)  # fmt: skip
def test_a_noted_figure_has_its_panel(key: str, share: bool) -> None:
    lonely: list[dict[str, Any]] = [{key: 1.0 if epoch == 4 else None} for epoch in range(30)]
    (panel,) = [panel for panel in HISTORY_PANELS if curves_with_values(panel, lonely)]
    assert panel.percent == share
    whole = draw_history(panel, [{key: 1.0}] * 30)
    assert draw_history(panel, lonely).count(b"<use ") == whole.count(b"<use ") + 1, "a dot where no line would pass"


def test_perfect_recognizers_and_single_faces_have_a_report(tmp_path: Path) -> None:
    write_evaluation(summarize_logits([[3.0, 1.0]], [0], classes=("a", "b"), dataset="one", split="test", resamples=20), tmp_path)
    text = (tmp_path / "report.html").read_text("utf-8")
    assert "No face was confused" in text
    assert "second most likely" not in text
    assert json.loads((tmp_path / "metrics.json").read_text())["second"] is None
    assert spaced_percent(1.0) in text


def test_an_old_report_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("old")
    (tmp_path / "mine.txt").write_text("kept")
    write_evaluation(made(), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.json", "mine.txt", "report.html"]
    assert (tmp_path / "report.html").read_text("utf-8") != "old"


def test_bad_mistakes_leave_the_old_report_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("old")
    bad = Mistakes(np.zeros((2, 4, 4), np.uint8), np.zeros(1, np.int64), np.zeros(1, np.int64), np.zeros(1))
    with pytest.raises(MienError, match="one length"):
        write_evaluation(made(), tmp_path, (), bad)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_text() == "old"


def test_a_file_in_the_way_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("a file")
    with pytest.raises(MienError, match="a folder"):
        write_evaluation(made(), tmp_path / "report")
    assert (tmp_path / "report").read_text() == "a file"


def test_numbers_in_the_matrix_can_be_read_on_every_shade() -> None:
    def light(color: tuple[int, ...]) -> float:
        """Relative luminance, as WCAG 2 defines it."""
        parts = [part / 255 for part in color]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for right in range(101):
        labels = np.zeros(100, int)
        logits = np.eye(2)[(np.arange(100) >= right).astype(int)]
        found = summarize_logits(logits, labels, classes=("a", "b"), dataset="", split="", resamples=2)
        style = confusion_cells(found.confusion)[0][0].style
        background = tuple(map(int, re.findall(r"\d+", style)[:3]))
        text = light((255,) * 3 if style.endswith("#fff") else (0,) * 3)
        low, high = sorted((light(background), text))
        assert (high + 0.05) / (low + 0.05) >= 4.5, right


def test_numbers_are_grouped_by_thousands() -> None:
    assert [with_thousands(number) for number in (7, 3589, 1234567)] == ["7", "3\u202f589", "1\u202f234\u202f567"]
    assert spaced_percent(float("nan")) == "\u2013"
