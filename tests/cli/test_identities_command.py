"""`mien identities` and `mien verify` as people type them."""

import json
from pathlib import Path

from typer.testing import CliRunner

from conftest import bright_faces
from mien import FaceSet
from mien.cli import app


def test_from_faces_to_people_to_a_figure(tmp_path: Path) -> None:
    bright_faces(120).save(tmp_path / "faces")
    made = CliRunner().invoke(
        app, ["identities", str(tmp_path / "faces"), str(tmp_path / "people"), "--test", "0.5", "--split", "all", "--json"]
    )
    assert made.exit_code == 0, made.output
    values = json.loads(made.stdout)
    assert (values["faces"], values["people"], values["held_out"]) == (120, 10, 10)
    assert values["checksum"] == FaceSet.open(tmp_path / "people").info.checksum
    measure = ["verify", "mien_s", str(tmp_path / "people"), "--folds", "2", "--pairs", "80", "--block", "stage1_1", "--flip"]
    found = CliRunner().invoke(app, [*measure, "--json"])
    assert found.exit_code == 0, found.output
    values = json.loads(found.stdout)
    assert (values["pairs"], values["people"], values["flip"], len(values["folds"])) == (80, 10, True, 2)
    assert values["source"].endswith("block stage1_1")
    said = CliRunner().invoke(app, measure).stdout
    assert f"accuracy {values['accuracy']:.1%}" in said
    assert "80 pairs" in said


def test_fewer_pairs_are_said(tmp_path: Path) -> None:
    bright_faces(120).save(tmp_path / "faces")
    found = CliRunner().invoke(app, ["verify", "mien_s", str(tmp_path / "faces"), "--split", "all"])
    assert "warning: 600 pairs instead of 6000" in found.stderr


def test_faces_that_are_left_out_are_said(tmp_path: Path) -> None:
    bright_faces(120).save(tmp_path / "faces")
    words = ["identities", str(tmp_path / "faces"), str(tmp_path / "people"), "--least", "4"]
    found = CliRunner().invoke(app, words)
    assert "24 faces held out for tests are left out (--split all takes them)" in found.stderr
    found = CliRunner().invoke(app, [*words[:2], str(tmp_path / "every"), "--split", "all", "--json"])
    assert json.loads(found.stdout)["left_out"] == 0
    assert not found.stderr
