"""The command that makes faces of photos and videos."""

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.options import Cluster, Json, Limits, Turn, class_names, key_values, setting, whole_number
from mien.cli.printing import print_result, warn_of_few_tests, warn_of_untested
from mien.preparation.preparation_settings import PreparationSettings
from mien.progress import progress_bar
from mien.wording import quantity

if TYPE_CHECKING:
    from mien.preparation.prepare import PreparedSet


def prepare(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT... OUT", help="Folders, globs, lists, archives, photos, videos; last, the new set's folder."
        ),
    ],
    align: Annotated[str, setting(PreparationSettings, "align")] = "eyes",
    detector: Annotated[str, setting(PreparationSettings, "detector")] = "mtcnn",
    faces: Annotated[str, setting(PreparationSettings, "which")] = "largest",
    side: Annotated[int, setting(PreparationSettings, "side")] = 48,
    color: Annotated[bool, setting(PreparationSettings, "color", "--color")] = False,
    every: Annotated[float, setting(PreparationSettings, "every")] = 1.0,
    turn: Turn = "off",
    keep: Annotated[
        list[str] | None, setting(PreparationSettings, "limits", form="In quotes; may be repeated.", metavar="LIMIT")
    ] = None,
    labeled: Annotated[bool, setting(PreparationSettings, "labeled", "--labeled")] = False,
    classes: Annotated[
        str | None, setting(PreparationSettings, "classes", form="Written anger=angry,happiness=happy.", read=class_names)
    ] = None,
    test: Annotated[float, setting(PreparationSettings, "test")] = 0.0,
    seed: Annotated[int, setting(PreparationSettings, "seed")] = 0,
    workers: Annotated[int | None, whole_number("Processes. Unless given: one for each processor.", 1, 1024)] = None,
    cluster: Cluster = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="keep=COLUMNS", help="Columns of a list to take along: keep=age,camera."),
    ] = None,
    limits: Limits = "on",
    as_json: Json = False,
) -> None:
    """Find faces in photos and videos, and write them as a face set. The same command goes on where it was interrupted."""
    from mien.media.file_limits import file_limits
    from mien.preparation.prepare import prepare_faces as run
    from mien.settings import settings_from

    if len(paths) < 2:
        raise typer.BadParameter("expected photos, and as the last word the new set", param_hint="INPUT... OUT")
    *inputs, out = paths
    values = {"inputs": [str(one) for one in inputs], "align": align, "detector": detector, "which": faces, "side": side}
    values |= {"color": color, "every": every, "limits": keep or [], "labeled": labeled, "test": test, "seed": seed, "turn": turn}
    values |= {"classes": class_names(classes), **_kept(set_)}
    asked = settings_from(PreparationSettings, values)
    if cluster is not None:
        logging.disable(logging.WARNING)  # Ray tells of every step
    with progress_bar(quiet=as_json) as bar:
        done = run(asked, out, workers or os.cpu_count() or 1, cluster, bar, file_limits(limits))
    _tell(done, out, test > 0, as_json)


def _tell(done: "PreparedSet", out: Path, is_tested: bool, as_json: bool) -> None:
    if is_tested:
        warn_of_few_tests(done.faces)
        warn_of_untested(done.faces)
    found = {"faces": len(done.faces), "inputs": done.inputs, "rejected": done.rejected, "out": str(out)}
    found |= {"labels": dict(done.labels), "unlabeled": done.unlabeled}
    left_out = f", {done.rejected} left out or not wholly readable (rejected.csv says why)" if done.rejected else ""
    print_result(as_json, found, f"{quantity(len(done.faces), 'face')} of {quantity(done.inputs, 'input')} -> {out}{left_out}")


def _kept(given: list[str] | None) -> dict[str, str]:
    """The columns to keep, where some are named."""
    found = key_values(given, "--set")
    if other := [name for name in found if name != "keep"]:
        raise typer.BadParameter(f"expected keep=COLUMNS, found {other[0]!r}", param_hint="--set")
    return found
