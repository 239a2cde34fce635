"""Commands about small changes of a face: peaks to train on, and whether what is almost the same is recognized as the same."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.shared import Device, FaceSetPath, Json, number, own_folder, print_json, print_values, say, seed_option, whole
from mien.plain import counted

if TYPE_CHECKING:
    from mien.cli.console import Table
    from mien.evaluation.failure_cases import FailureCases
    from mien.evaluation.stability_summary import StabilitySummary


def peaks(
    faceset: FaceSetPath,
    out: Annotated[Path, typer.Argument(help="The new folder.")],
    nearest: Annotated[int, whole("Frames before the last one that are kept, as the split `near`.")] = 4,
    split: Annotated[
        str | None, typer.Option(help="Split to take sequences from, or all; unless said, all but faces held out for tests.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a face set of peak frames to train on, and of the frames before them to test on.

    The split `near` shows the people of the split `train`: it is no test on people held out.
    """
    from mien.data.faceset import FaceSet
    from mien.data.peaks import write_peaks
    from mien.data.splits import held_out_rows

    faces = FaceSet.open(faceset, verify=True)
    made, found = write_peaks(faces, out, nearest, split)
    left_out = len(held_out_rows(faces)) if split is None else 0
    counts = {"faces": len(made), "sequences": len(found.last), "short": found.short, "unlabeled": found.unlabeled}
    values = counts | {"left_out": left_out, "out": str(out), "checksum": made.info.checksum}
    if left_out:
        held = counted(left_out, "face held out for tests is", "faces held out for tests are")
        say(f"{held} left out (--split all takes them)", file=sys.stderr)
    if found.short or found.unlabeled:
        say(f"left out: {_left_out(found.short, found.unlabeled, nearest)}", file=sys.stderr)
    print_values(as_json, values, f"{counted(len(found.last), 'peak')} and the {counted(nearest, 'frame')} before each -> {out}")


def consistency(
    run: Annotated[Path, typer.Argument(help="A run or a model folder.")],
    faceset: FaceSetPath,
    split: Annotated[
        str | None, typer.Option(help="Split to measure on; `near` of a set of mien peaks. test or PublicTest unless said.")
    ] = None,
    neighbors: Annotated[
        Path | None,
        typer.Option(help="Folder of mien neighbors train; unless said the run's own autoencoder, or its features."),
    ] = None,
    draws: Annotated[int, whole("Neighbors of each face.", 1, 10_000)] = 8,
    sigma: Annotated[
        float,
        number("Noise that makes neighbors, in deviations of a code or feature.", 1e-30, 1e30),
    ] = 0.22,
    nearest: Annotated[int, whole("Frames before the last one of a sequence that are checked.")] = 4,
    seed: Annotated[int, seed_option("Draws the neighbors.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Where table and pictures go; RUN/consistency-SPLIT unless said.")] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Measure whether faces that are almost the same are recognized as the same."""
    from mien.cli.console import Bar, show
    from mien.data.faceset import FaceSet
    from mien.data.splits import test_split
    from mien.evaluation.consistency import measure_consistency
    from mien.evaluation.report.consistency import require_own, write_consistency

    split = split or test_split(FaceSet.open(faceset))
    folder = out or own_folder(run, f"consistency-{split}")
    require_own(folder)
    with Bar(quiet=as_json, single=True) as bar:
        found = measure_consistency(run, faceset, split, neighbors, draws, sigma, nearest, seed, device, bar)
        files = write_consistency(found, folder)
    if found.warning:
        say(f"warning: {found.warning}", file=sys.stderr)
    if as_json:
        print_json(found.to_json() | {"out": str(folder), "files": files})
        return
    say(f"{found.dataset}, {split}")
    if found.failures is None:
        say(found.unchecked)
    else:
        show(_failure_table(found.failures))
        say(_about(found.failures))
    show(_score_table(found.stability))
    if found.stability.auroc == found.stability.auroc:  # nan where all are right, or all wrong
        say(f"a high S finds wrong predictions with an AUROC of {found.stability.auroc:.3f}")
    about = f"{draws} of each face, sigma {sigma:g}; {found.stability.kept:.0%} are predicted as their face is"
    say(f"neighbors: {found.neighbors}; {about}")
    say(*(folder / name for name in files), sep="\n")


def _failure_table(found: "FailureCases") -> "Table":
    from mien.cli.console import Table

    table = Table(f"of {counted(found.sequences, 'sequence')}", "number", "share", "95 % interval")
    for name, count, share, between in (
        ("failure cases (FC)", found.failed, found.failed_share, found.failed_interval),
        ("consistent ones (CFC)", found.consistent, found.consistent_share, found.consistent_interval),
    ):
        table.add_row(name, str(count), f"{share:.1%}", f"{between.low:.1%} to {between.high:.1%}")
    return table


def _score_table(found: "StabilitySummary") -> "Table":
    from mien.cli.console import Table

    table = Table("predictions", "faces", "mean S")
    for name, count, mean in (
        ("all", found.count, found.mean),
        ("right", found.right, found.right_mean),
        ("wrong", found.wrong, found.wrong_mean),
    ):
        table.add_row(name, str(count), f"{mean:.4g}" if count else "-")
    return table


def _about(found: "FailureCases") -> str:
    """How the sequences were checked, in words."""
    told = f"checked: the {counted(found.nearest, 'frame')} before the last; "
    told += f"the run used the label of the last frame of {found.peaks_used}"
    left_out = _left_out(found.short, found.unlabeled, found.nearest)
    return f"{told}; left out: {left_out}" if left_out else told


def _left_out(short: int, unlabeled: int, nearest: int) -> str:
    """Sequences that were passed over, in words; empty where none was."""
    parts = [f"{counted(short, 'sequence')} of fewer than {counted(nearest + 1, 'frame')}"] if short else []
    return ", ".join([*parts, *([f"{counted(unlabeled, 'sequence')} whose last frame has no known label"] if unlabeled else [])])
