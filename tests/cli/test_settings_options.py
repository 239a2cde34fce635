"""Options that stand for settings: their help is the field's docstring, and they refuse what the settings refuse."""

from pathlib import Path
from typing import Any

import pytest
import typer

from conftest import Command
from mien import MienError
from mien.active.rounds_settings import RoundsSettings
from mien.cli import app
from mien.experiments.settings import Grid
from mien.labeling.page.settings import PageSettings
from mien.preparation.preparation_settings import PreparationSettings
from mien.settings import setting_docs
from mien.training.settings import TrainingSettings

ROUNDS = {"recipe": "a", "acquire": ("b",), "per_round": 1, "rounds": 1, "oracle": 0.0}
SOME = {"labels_per_class", "split", "device", "threads"}
OFFERS: list[tuple[str, type[Any], dict[str, Any], set[str]]] = [
    ("train", TrainingSettings, {}, {"faces", "checksums", "also_checksum", "validation_split"}),
    ("autoencoder train", TrainingSettings, {}, setting_docs(TrainingSettings).keys() - SOME),
    ("compare", Grid, {"recipes": ("a",)}, set()),
    ("rounds", RoundsSettings, ROUNDS, set()),
    ("prepare", PreparationSettings, {"inputs": ("a",)}, {"inputs", "keep"}),
    ("annotate", PageSettings, {"pool": "a", "store": "b"}, {"pool"}),
]
"""Commands, the settings that their options stand for, values that make some, and the fields that have no option."""

TYPED = {"labels_per_class": "all", "noise": "0"}
"""What `mien compare` has typed for the defaults of settings of several values."""


SPELT = {"settings": "--set", "which": "--faces", "limits": "--keep"}
"""The options that have other names than their fields."""


def options_of(command: str, kind: type[Any], without: set[str]) -> dict[str, Any]:
    """The option of a command for each field of the settings."""
    found: Any = typer.main.get_group(app)
    for word in command.split():
        found = found.commands[word]
    options = {spelt: one for one in found.params for spelt in one.opts}
    names = {name: SPELT.get(name, f"--{name.replace('_', '-')}") for name in setting_docs(kind)}
    return {name: options[spelt] for name, spelt in names.items() if name not in without}


@pytest.mark.parametrize(("command", "kind", "values", "without"), OFFERS)
def test_the_help_of_an_option_is_the_docstring_of_its_field(
    mien: Command, command: str, kind: type[Any], values: dict[str, Any], without: set[str]
) -> None:
    shown = "".join(mien(*command.split(), "--help").out.split())
    for name, option in options_of(command, kind, without).items():
        text = " ".join(setting_docs(kind)[name].split())
        assert text.endswith("."), name
        assert option.help.startswith(text), name
        assert "".join(text.split()) in shown.replace("-\n", "-"), name


@pytest.mark.parametrize(("command", "kind", "values", "without"), OFFERS)
def test_an_option_has_the_default_of_its_field(command: str, kind: type[Any], values: dict[str, Any], without: set[str]) -> None:
    made = kind(**values)
    for name, option in options_of(command, kind, without).items():
        own = getattr(made, name)
        if option.required or name in values:
            continue
        assert option.default == own or (option.default is None and own in ((), {})) or option.default == TYPED.get(name), name


def takes(kind: type[Any], values: dict[str, Any]) -> bool:
    try:
        kind(**values)
    except MienError:
        return False
    return True


@pytest.mark.parametrize(("command", "kind", "values", "without"), OFFERS)
def test_an_option_has_the_bounds_of_its_field(
    mien: Command, command: str, kind: type[Any], values: dict[str, Any], without: set[str]
) -> None:
    made, numbers = kind(**values), 0
    for name, option in options_of(command, kind, without).items():
        if not takes(kind, values | {name: 1}) or isinstance(getattr(made, name), bool):
            continue
        numbers += 1
        for number in (-2, 10**20):
            if not takes(kind, values | {name: number}):
                done = mien(*command.split(), f"{option.opts[0]}={number}")
                assert (done.code, f"Invalid value for '{option.opts[0]}'" in done.err) == (2, True), done.err
    assert numbers >= 2


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["compare", "x", "--out", "y", "--recipes", ","], "--recipes"),
        (["compare", "x", "--out", "y", "--recipes", "a", "--labels-per-class", "0"], "--labels-per-class"),
        (["compare", "x", "--out", "y", "--recipes", "a", "--noise", "1"], "--noise"),
        (["rounds", "x", "--out", "y", "--recipe", "a", "--per-round", "1", "--learn", "nothing"], "--learn"),
        (["rounds", "x", "--out", "y", "--recipe", "a", "--per-round", "1", "--oracle", "2"], "--oracle"),
        (["rounds", "x", "--out", "y", "--recipe", "a", "--per-round", "1", "--acquire", ","], "--acquire"),
        (["rounds", "x", "--out", "y", "--recipe", "a", "--per-round", "1", "--min-gain", "2"], "--min-gain"),
        (["train", "x", "--out", "y", "--noise", "nan"], "--noise"),
    ],
)
def test_what_the_settings_refuse_is_refused_with_the_name_of_the_option(
    mien: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], option: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = mien(*words)
    assert (done.code, f"Invalid value for '{option}'" in done.err) == (2, True), done.err
    assert not any(tmp_path.iterdir())
