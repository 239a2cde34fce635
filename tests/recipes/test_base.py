"""Recipes that are based on others: what is taken over, what is given instead, and what has no end."""

import json
import sys
from pathlib import Path

import pytest

from conftest import Command
from mien import MienError, Recipe


def write(folder: Path, **files: str) -> Path:
    """The last one."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(text)
    return folder / f"{list(files)[-1]}.toml"


def test_what_a_file_does_not_say_is_its_bases(tmp_path: Path) -> None:
    made, base = Recipe.load(write(tmp_path, mine='base = "supervised_small"\nloss = "focal"\n')), Recipe.load("supervised_small")
    assert (made.loss, made.title) == ({"technique": "focal"}, "")
    same = {key: value for key, value in base.table().items() if key not in ("loss", "title")}
    assert {key: value for key, value in made.table().items() if key not in ("loss", "title")} == same
    assert Recipe.parse({"base": "supervised_small", "loss": "focal"}) == made


def test_settings_without_a_name_change_the_bases_answer(tmp_path: Path) -> None:
    text = """base = "fixmatch_small"
title = "mine"
draw = { at_least = 7 }
unlabeled.momentum = 0.5
model = { width = 8 }
augment.weak.flip = 0.0
"""
    mine = write(tmp_path, middle='base = "supervised_small"\nweigh = ["by_class"]\ndraw = "balanced"\n', mine=text)
    made = Recipe.load(mine)
    assert made.draw == {"technique": "shuffled", "at_least": 7}
    assert made.unlabeled == {"technique": "fixmatch", "adaptive": True, "momentum": 0.5}
    assert made.model == {"network": "mien_s", "width": 8}
    assert (made.augment.weak.flip, made.title) == (0.0, "mine")
    assert made.augment.strong == Recipe.load("fixmatch_small").augment.strong
    other = Recipe.load(write(tmp_path, last='base = "middle.toml"\nweigh = { power = 0.25 }\ndraw = { at_least = 3 }\n'))
    assert other.weigh == ({"technique": "by_class", "power": 0.25},)
    assert other.draw == {"technique": "balanced", "at_least": 3}
    whole = Recipe.load(write(tmp_path, new='base = "fixmatch_small"\nunlabeled = { technique = "pseudo_label" }\n'))
    assert whole.unlabeled == {"technique": "pseudo_label"}


def test_a_base_lies_beside_the_file_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "below", first='base = "supervised_small"\nbatch = 7\n')
    write(tmp_path / "below", second='base = "first.toml"\naverage = 0.5\n')
    mine = write(tmp_path, mine='base = "below/second.toml"\nvalidation = 0.3\n')
    monkeypatch.chdir(tmp_path.parent)
    made = Recipe.load(mine)
    assert (made.batch, made.average, made.validation, made.normalize) == (7, 0.5, 0.3, "face")
    assert Recipe.load(write(tmp_path, far=f'base = "{mine}"\n')).batch == 7


def test_a_file_may_have_its_bases_name(tmp_path: Path) -> None:
    assert Recipe.load(write(tmp_path, supervised_small='base = "supervised_small"\nbatch = 7\n')).batch == 7


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"mine": 'base = "mine.toml"\n'}, "not based on each other in a circle"),
        ({"other": 'base = "./mine.toml"\n', "mine": 'base = "other.toml"\n'}, "other.toml -> .*mine.toml"),
        ({"mine": 'base = "superwised"\n'}, "a recipe among"),
        ({"mine": 'base = "nowhere.toml"\n'}, "nothing at .*nowhere.toml"),
        ({"mine": "base = 5\n"}, "base = a recipe's name or a TOML file"),
        ({"mine": 'base = ""\n'}, "base = a recipe's name"),
        ({"mine": 'base = ["supervised"]\n'}, "base = a recipe's name"),
        ({"other": "stages = 5\nno = [", "mine": 'base = "other.toml"\n'}, "TOML in .*other.toml"),
        ({"mine": 'base = "supervised"\nlos = "focal"\n'}, "'los'"),
        ({"mine": 'base = "supervised"\nunlabeled = { moment = 1 }\n'}, "'moment'"),
        ({"mine": 'base = "supervised"\nweigh = "equal"\nweigh.power = 1\n'}, "TOML in"),
        ({"mine": f'base = "{"x" * 300}.toml"\n'}, "nothing at"),
    ],
)
def test_a_wrong_base_is_one_sentence(tmp_path: Path, files: dict[str, str], told: str) -> None:
    with pytest.raises(MienError, match=told):
        Recipe.load(write(tmp_path, **files))


def test_so_many_bases_and_no_more(tmp_path: Path) -> None:
    for number in range(1, 30):
        write(tmp_path, **{f"r{number}": f'base = "r{number - 1}.toml"\nvalidation = 0.{number:02d}\n'})
    write(tmp_path, r0='base = "supervised_small"\nbatch = 7\n')
    assert (Recipe.load(tmp_path / "r15.toml").batch, Recipe.load(tmp_path / "r15.toml").validation) == (7, 0.15)
    with pytest.raises(MienError, match="at most 16 recipes based one on the other"):
        Recipe.load(tmp_path / "r29.toml")


def test_a_base_is_no_setting() -> None:
    with pytest.raises(MienError, match="write a TOML file with a base"):
        Recipe.load("supervised").set("base", "fixmatch_small")


def test_the_whole_recipe_is_shown(mien: Command, tmp_path: Path) -> None:
    mine = write(tmp_path, mine='# What it is for.\nbase = "fixmatch_small"\nbatch = 7\n')
    done = mien("recipes", mine)
    assert (done.code, done.err) == (0, "What it is for.\n")
    shown = json.loads(done.out)
    assert "base" not in shown
    assert (shown["batch"], shown["unlabeled"]["technique"]) == (7, "fixmatch")
    assert Recipe.parse(shown) == Recipe.load(mine)


def test_trust_looks_through_bases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A base's code is not run unless somebody trusts it; what the file takes the place of is not run at all."""
    code = "from pathlib import Path\nfrom mien.techniques.weigh.equal import Equal\nPath(__file__).with_suffix('.ran').touch()\n"
    (tmp_path / "based_code.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    mine = write(tmp_path / "there", evil='base = "supervised"\nweigh = "based_code:Equal"\n', mine='base = "evil.toml"\n')
    with pytest.raises(MienError, match="--trust"):
        Recipe.load(mine)
    harmless = write(tmp_path / "there", harmless='base = "evil.toml"\nweigh = "equal"\n')
    assert Recipe.load(harmless, trusted=True).weigh == ({"technique": "equal"},)
    assert not (tmp_path / "based_code.ran").exists()
    assert Recipe.load(mine, trusted=True).weigh == ({"technique": "based_code:Equal"},)
    assert (tmp_path / "based_code.ran").exists()
    sys.modules.pop("based_code")
