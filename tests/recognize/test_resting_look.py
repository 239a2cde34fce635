"""Scores are corrected for a person's resting look."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import Command
from drawn import drawings
from mien import MienError, Recognizer
from mien.faces.face import Face
from mien.recognize.baseline_settings import ELSEWHERE, SAME_SESSION, BaselineSettings
from mien.recognize.model_card import ModelCard, read_card
from mien.recognize.prediction import Prediction, make_prediction
from mien.recognize.resting_look import BaselineFollower, RestingLook, baseline_follower, log_odds, usual_log_odds
from photographs import write_photo

CARD = replace(Recognizer.load("mien-s", "cpu").card, resting=())
USUAL = replace(CARD, resting=(0.0, -6.0, -7.0, -3.0, -5.0, -7.0, -8.0, -5.0))
FACE = Face((0.0, 0.0, 9.0, 9.0), None, 1.0)


def seen(odds: list[float], track: int | None = None) -> Prediction:
    """A prediction of these log-odds against neutral (8)."""
    likely = np.exp(odds) / np.exp(odds).sum()
    made = make_prediction(FACE, dict(zip(CARD.classes, likely.tolist(), strict=True)), 0.27, 0.77)
    return replace(made, track=track)


def odds_of(first: float, **others: float) -> list[float]:
    """Log-odds of a usual neutral face, but for happiness and those that are named."""
    return [0.0, first, *[others.get(name, value) for name, value in list(zip(CARD.classes, USUAL.resting, strict=True))[2:]]]


@given(st.floats(-9, 4), st.floats(-9, 2), st.floats(0, 0.99))
def test_the_formula_is_the_one_that_is_stated(found: float, rest: float, strength: float) -> None:
    look = RestingLook(tuple(odds_of(rest)))
    made = look.corrected(seen(odds_of(found)), USUAL, strength)
    wanted = -6 + (found + 6 - strength * (rest + 6)) / (1 - strength**2) ** 0.5
    got = np.log(made.scores["happiness"] / made.scores["neutral"])
    assert got == pytest.approx(wanted, abs=1e-6)
    assert sum(made.scores.values()) == pytest.approx(1)
    assert made.change is not None
    assert made.change["happiness"] == pytest.approx(found - rest, abs=1e-6)
    assert made.change["neutral"] == 0


def test_a_slight_smile_counts_and_a_resting_face_is_neutral() -> None:
    """A person who looks happy at rest is neutral; a smile that the model takes for neutral is a smile where the rest is far."""
    glad = RestingLook(tuple(odds_of(1.0)))
    assert glad.corrected(seen(odds_of(1.0)), USUAL, SAME_SESSION).top == "neutral"
    plain = RestingLook(USUAL.resting)
    slight = seen(odds_of(-1.5))
    assert slight.top == "neutral"
    assert plain.corrected(slight, USUAL, SAME_SESSION).top == "happiness"
    unchanged = plain.corrected(slight, USUAL, 0.0)
    assert unchanged.scores == pytest.approx(slight.scores)
    assert unchanged.to_json()["change"]["happiness"] == 4.5
    assert "change" not in slight.to_json()


def test_each_face_of_a_video_rests_in_its_first_seconds() -> None:
    follower = BaselineFollower(USUAL, BaselineSettings(seconds=1.0))
    for time, happy in ((0.0, 0.5), (0.5, 1.5)):
        first = follower(time, [seen(odds_of(happy), 1), seen(odds_of(-6.0), 2)])
        assert [one.change for one in first] == [None, None]
    glad, plain, late = follower(1.0, [seen(odds_of(1.0), 1), seen(odds_of(1.0), 2), seen(odds_of(1.0), 3)])
    assert (glad.top, plain.top, late.change) == ("neutral", "happiness", None)
    assert glad.track == 1
    assert glad.change is not None
    assert glad.change["happiness"] == pytest.approx(0, abs=1e-6), "the mean of what was seen"
    follower.begin_video()
    assert follower(2.0, [seen(odds_of(1.0), 1)])[0].change is None
    assert follower(None, [seen(odds_of(1.0))])[0].change is None, "a photo has no first seconds"


@pytest.mark.parametrize("strength", [1.0, 2.0, -1.0, float("nan")])
def test_a_strength_that_leaves_no_spread_is_refused(strength: float) -> None:
    with pytest.raises(MienError, match="strength"):
        RestingLook(USUAL.resting).corrected(seen(odds_of(1.0)), USUAL, strength)


def test_a_look_of_another_model_is_refused() -> None:
    with pytest.raises(MienError, match="expected a resting look and scores of 8 classes"):
        RestingLook((0.0, 1.0)).corrected(seen(odds_of(1.0)), USUAL)


def test_of_each_video_without_a_corrected_score_it_is_said_why() -> None:
    follower, glad = BaselineFollower(USUAL, BaselineSettings(seconds=1.0)), odds_of(1.0)
    videos: dict[str, list[tuple[float, list[int]]]] = {
        "good.mp4": [(0.0, [1]), (1.5, [1])],
        "short.mp4": [(0.0, [1]), (0.6, [1])],
        "late.mp4": [(0.0, []), (1.5, [1])],
        "early.mp4": [(0.0, [1]), (1.5, [])],
        "renumbered.mp4": [(0.0, [1]), (1.5, [2])],
    }
    for name, frames in videos.items():
        follower.begin_video(name)
        for time, numbers in frames:
            follower(time, [seen(glad, number) for number in numbers])
    assert follower.shortfalls() == [
        "short.mp4: no score was corrected: --baseline-seconds takes videos of more than 1 s, and its last frame is at 0.6 s",
        "late.mp4: no score was corrected: no face in its first 1 s",
        "early.mp4: no score was corrected: no face after its first 1 s",
        "renumbered.mp4: no score was corrected: every face after its first 1 s has a number of its own, "
        "so that none was seen at rest",
    ]


def test_the_least_face_holds_for_the_photo_of_the_baseline_too() -> None:
    recognizer, drawing = Recognizer.load("mien-s", "cpu"), drawings()[2].photo
    with pytest.raises(MienError, match="expected one face"):
        baseline_follower(recognizer, BaselineSettings(), [drawing], least_face=5000)
    assert baseline_follower(recognizer, BaselineSettings(), [drawing]) is not None


def test_what_a_usual_neutral_face_is() -> None:
    likely = np.array([[0.5, 0.5], [0.8, 0.2], [0.2, 0.8]] * 4 + [[0.0, 1.0]])
    labels = [0] * 12 + [1]
    assert usual_log_odds(likely, labels, ("neutral", "happiness")) == pytest.approx((0, 0))
    assert usual_log_odds(likely[:9], labels[:9], ("neutral", "happiness")) == ()
    assert usual_log_odds(likely, labels, ("sadness", "happiness")) == ()
    assert log_odds({"happiness": 0.0, "neutral": 1.0})[0] == pytest.approx(np.log(1e-6)), "no infinity"


def test_what_may_be_from_elsewhere_counts_less_unless_told() -> None:
    assert BaselineSettings().weight() == ELSEWHERE < BaselineSettings(seconds=1.0).weight() == SAME_SESSION
    assert BaselineSettings(0.5, 1.0).weight() == BaselineSettings(0.5).weight() == 0.5


def test_a_card_without_it_is_read_and_refused(tmp_path: Path) -> None:
    with pytest.raises(MienError, match="card says what neutral faces look like"):
        BaselineFollower(CARD, BaselineSettings(seconds=1.0))
    values = USUAL.to_json()
    (tmp_path / "model.json").write_text(json.dumps(values))
    assert read_card(tmp_path).resting == USUAL.resting
    (tmp_path / "model.json").write_text(json.dumps({key: value for key, value in values.items() if key != "resting"}))
    assert read_card(tmp_path).resting == ModelCard.resting == ()
    (tmp_path / "model.json").write_text(json.dumps(values | {"resting": [0.0]}))
    with pytest.raises(MienError, match="a resting value for each of 8 classes"):
        read_card(tmp_path)


def test_the_command_takes_a_photo_of_one_face(mien: Command, tmp_path: Path) -> None:
    drawing = drawings()[2].photo
    one, two = write_photo(tmp_path / "one.png", drawing), write_photo(tmp_path / "two.png", np.hstack([drawing, drawing]))
    done = mien("predict", one, "--baseline", one, "--json")
    assert done.code == 0, done.err
    (face,) = json.loads(done.out)["faces"]
    assert set(face["change"].values()) == {0.0}
    plain = mien("predict", one, "--baseline", one, "--baseline-strength", 0, "--json")
    assert json.loads(plain.out)["faces"][0]["scores"] == pytest.approx(
        json.loads(mien("predict", one, "--json").out)["faces"][0]["scores"], abs=2e-4
    )
    done = mien("predict", one, "--baseline", two)
    assert done.code == 1
    assert f"expected one face in a photo of somebody's neutral face; found 2 in {two}" in done.err
    lying = write_photo(tmp_path / "lying.png", np.rot90(drawing))
    done = mien("predict", one, "--baseline", lying, "--turn", "auto", "--json")
    assert set(json.loads(done.out)["faces"][0]["change"].values()) == {0.0}
    done = mien("predict", one, "--baseline-strength", 0.5)
    assert done.code == 1
    assert "--baseline or --baseline-seconds beside --baseline-strength" in done.err
    done = mien("predict", one, "--baseline-seconds", 2)
    assert (done.code, "no score was corrected" in done.err) == (0, True)
    done = mien("predict", one, "--baseline", one, "--baseline-seconds", 2)
    assert done.code == 1
    assert "expected one of --baseline and --baseline-seconds; found both" in done.err
