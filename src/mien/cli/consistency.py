"""Commands about small changes of a face: peaks to train on, and whether what is almost the same is recognized as the same."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.flip_rates import flip_lines, print_flip_rates
from mien.cli.options import NEIGHBORS, Device, FaceSetPath, Json, folder_beside, number, seed_option, whole_number
from mien.cli.printing import note, note_held_out, print_result, warn
from mien.errors import MienError
from mien.progress import progress_bar
from mien.wording import percent, quantity

if TYPE_CHECKING:
    from mien.cli.tables import TextTable
    from mien.evaluation.consistency import Consistency
    from mien.evaluation.failure_cases import FailureCases


def peaks(
    faceset: FaceSetPath,
    out: Annotated[Path, typer.Argument(help="The new folder.")],
    nearest: Annotated[int, whole_number("Frames before the last one that are kept, as the split `near`.")] = 4,
    split: Annotated[
        str | None,
        typer.Option(help="Split to take sequences from, or all. Unless given: all faces but those held out for tests."),
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
    note_held_out(left_out)
    if found.short or found.unlabeled:
        note(f"left out: {_left_out(found.short, found.unlabeled, nearest)}")
    print_result(
        as_json, values, f"{quantity(len(found.last), 'peak')} and the {quantity(nearest, 'frame')} before each -> {out}"
    )


def consistency(
    run: Annotated[Path, typer.Argument(help="A run or a model folder.")],
    faceset: FaceSetPath,
    split: Annotated[
        str | None,
        typer.Option(help="Split to measure on; `near` of a set of mien peaks. Unless given: test or PublicTest."),
    ] = None,
    neighbors: Annotated[
        str | None,
        typer.Option(metavar="KIND|FOLDER", help=f"{NEIGHBORS} Unless given: the run's own autoencoder, or its features."),
    ] = None,
    draws: Annotated[int, whole_number("Neighbors of each face.", 1, 10_000)] = 8,
    sigma: Annotated[
        float | None,
        number("Noise that makes neighbors, in standard deviations; the kind has one of its own.", 1e-30, 1e30),
    ] = None,
    nearest: Annotated[
        int | None, whole_number("Frames before the last one of a sequence that are checked. Unless given: 4.")
    ] = None,
    seed: Annotated[int, seed_option("Draws the neighbors.")] = 0,
    moves: Annotated[
        bool, typer.Option("--moves", help="Measure how often answers flip where faces are moved, turned and lit a little.")
    ] = False,
    against: Annotated[Path | None, typer.Option(help="With --moves: another run, to compare on the same moves.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for table and pictures. Unless given: RUN/consistency-SPLIT.")] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Measure whether faces that are almost the same are recognized as the same."""
    if moves or against:
        if not moves:
            raise MienError("--moves with --against", "--against alone", "add --moves")
        ignored = {"--neighbors": neighbors, "--sigma": sigma, "--nearest": nearest, "--out": out}
        if given := [name for name, value in ignored.items() if value is not None]:
            raise MienError(
                "--moves, which needs neither neighbors nor frames and writes nothing", ", ".join(given), "leave that out"
            )
        print_flip_rates(run, faceset, split, draws, seed, device, against, as_json)
        return
    from mien.data.faceset import FaceSet
    from mien.data.peaks import NEAREST
    from mien.data.splits import test_split
    from mien.evaluation.consistency import measure_consistency
    from mien.evaluation.report.consistency import COMMAND, FILES, write_consistency
    from mien.folders import require_own

    split = split or test_split(FaceSet.open(faceset))
    folder = out or folder_beside(run, f"consistency-{split}")
    require_own(folder, FILES, COMMAND)
    with progress_bar(quiet=as_json, single=True) as bar:
        found = measure_consistency(run, faceset, split, neighbors, draws, sigma, nearest or NEAREST, seed, device, bar)
        files = write_consistency(found, folder)
    warn(found.warning)
    parts = [f"{found.dataset}, {split}", *_told(found), *(folder / name for name in files)]
    print_result(as_json, found.to_json() | {"out": str(folder), "files": files}, *parts)


def _told(found: "Consistency") -> "list[str | TextTable]":
    """What was found, as lines and tables."""
    from mien.cli.result_tables import failure_table, risk_table, stability_table

    told: list[str | TextTable] = [found.unchecked]
    if found.failures is not None:
        told = [failure_table(found.failures), _about(found.failures)]
    told.append(stability_table(found.stability))
    if found.stability.auroc == found.stability.auroc:  # nan where all are right, or all wrong
        told.append(f"a high S finds wrong predictions with an AUROC of {found.stability.auroc:.3f}")
    if found.risks:
        told.append(risk_table(found.risks))
    if found.flips is not None:
        told += flip_lines(found.flips)
    drawn = f"{found.draws} of each face" + ("" if found.sigma is None else f", sigma {found.sigma:g}")
    through = "network and autoencoder" if found.space == "autoencoder" else "the network"
    drawn += f", {quantity(round(found.passes), 'pass', 'passes')} of {through}"
    kept = f"{percent(found.stability.kept, 0)} are predicted as their face is"
    return [*told, f"neighbors: {found.neighbors}; {drawn}; {kept}"]


def _about(found: "FailureCases") -> str:
    """How the sequences were checked, in words."""
    told = f"checked: the {quantity(found.nearest, 'frame')} before the last; "
    told += f"the run used the label of the last frame of {found.peaks_used}"
    left_out = _left_out(found.short, found.unlabeled, found.nearest)
    return f"{told}; left out: {left_out}" if left_out else told


def _left_out(short: int, unlabeled: int, nearest: int) -> str:
    """Sequences that were passed over, in words; empty where none was."""
    parts = [f"{quantity(short, 'sequence')} of fewer than {quantity(nearest + 1, 'frame')}"] if short else []
    return ", ".join([*parts, *([f"{quantity(unlabeled, 'sequence')} whose last frame has no known label"] if unlabeled else [])])
