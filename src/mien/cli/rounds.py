"""The command that asks for labels and learns from them, round by round."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.active.rounds_settings import RoundsSettings
from mien.cli.options import FaceSetPath, Json, Trust, comma_list, key_values, setting, trust_typed
from mien.cli.printing import print_result, warn
from mien.progress import progress_bar

if TYPE_CHECKING:
    from mien.active.learning_curve import LearningCurve


def oracle_rate(text: str) -> object:
    """The share of known labels that is flipped: none for `labels`."""
    from mien.json_toml import parse_word

    return 0.0 if text == "labels" else parse_word(text)


Acquire = Annotated[str, setting(RoundsSettings, "acquire", form="Several are separated by commas.", read=comma_list)]
Oracle = Annotated[
    str | None, setting(RoundsSettings, "oracle", form="labels: none is flipped.", metavar="labels|RATE", read=oracle_rate)
]
Classes = Annotated[
    str | None, setting(RoundsSettings, "classes", form="Separated by commas: happiness,sadness.", read=comma_list)
]
Changes = Annotated[
    list[str] | None,
    setting(RoundsSettings, "settings", "--set", form="May be repeated.", metavar="KEY=VALUE", checked=False),
]


def rounds(
    faceset: FaceSetPath,
    recipe: Annotated[str, setting(RoundsSettings, "recipe")],
    out: Annotated[Path, typer.Option(help="A new folder, or one in which the same rounds were begun, which go on.")],
    per_round: Annotated[int, setting(RoundsSettings, "per_round")],
    acquire: Acquire = "worthiness",
    number: Annotated[int, setting(RoundsSettings, "rounds", "--rounds")] = 2,
    start_labels_per_class: Annotated[int | None, setting(RoundsSettings, "start_labels_per_class")] = None,
    pool: Annotated[Path | None, setting(RoundsSettings, "pool")] = None,
    classes: Classes = None,
    oracle: Oracle = None,
    store: Annotated[str | None, setting(RoundsSettings, "store")] = None,
    per_face: Annotated[int, setting(RoundsSettings, "per_face")] = 1,
    split_to_test: Annotated[str, setting(RoundsSettings, "split_to_test", form="none: validation.")] = "auto",
    learn: Annotated[str, setting(RoundsSettings, "learn")] = "new",
    tune: Annotated[str | None, setting(RoundsSettings, "tune")] = None,
    min_gain: Annotated[float | None, setting(RoundsSettings, "min_gain")] = None,
    seed: Annotated[int, setting(RoundsSettings, "seed")] = 0,
    seeds: Annotated[int, setting(RoundsSettings, "seeds")] = 1,
    start: Annotated[str | None, setting(RoundsSettings, "start", metavar="MODEL")] = None,
    epochs: Annotated[int | None, setting(RoundsSettings, "epochs")] = None,
    go_on: Annotated[bool, typer.Option("--go-on", help="Do not wait: go on with the answers that are there.")] = False,
    set_: Changes = None,
    device: Annotated[str, setting(RoundsSettings, "device")] = "auto",
    threads: Annotated[int | None, setting(RoundsSettings, "threads")] = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Ask about the faces that matter most, learn from the answers, and again; or compare ways to choose them."""
    from mien.active.rounds import rounds as run
    from mien.settings import settings_from

    changes = key_values(set_, "--set")
    trust_typed(changes, trusted=trust, recipes=(recipe, tune))
    asked = {
        "recipe": recipe,
        "acquire": comma_list(acquire),
        "per_round": per_round,
        "rounds": number,
        "start_labels_per_class": start_labels_per_class,
        "pool": pool,
        "classes": comma_list(classes) if classes else (),
        "oracle": None if oracle is None else oracle_rate(oracle),
        "store": store,
        "per_face": per_face,
        "split_to_test": None if split_to_test == "none" else split_to_test,
        "learn": learn,
        "tune": tune,
        "min_gain": min_gain,
        "seed": seed,
        "seeds": seeds,
        "start": start,
        "epochs": epochs,
        "settings": changes,
        "device": device,
        "threads": threads,
    }
    settings = settings_from(RoundsSettings, asked)
    with progress_bar(quiet=as_json, single=True) as bar:
        found = run(faceset, settings, out, bar, go_on)
    _print(found, out, as_json)


def _print(found: "LearningCurve", out: Path, as_json: bool) -> None:
    from mien.cli.result_tables import curve_table

    if not as_json:
        warn(found.caution)
    files = [out / name for name in ("curve.csv", "table.csv", "curve.png")]
    print_result(as_json, found.to_json() | {"out": str(out)}, curve_table(found), *files)
