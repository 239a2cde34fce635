"""Commands about what people said of faces: how far they are, their labels, and the store that holds them."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.options import MODEL_READ, Device, FaceSetPath, Json, number, one_of, seed_option, share, whole_number
from mien.cli.printing import print_result, say, warn, warn_of_few_tests
from mien.errors import MienError
from mien.wording import quantity

if TYPE_CHECKING:
    from mien.data.faceset import FaceSet

WHATS = ("consensus", "log")

MinAgreement = Annotated[float, share("Share of the votes that a label needs.")]
MinAnswers = Annotated[int, whole_number("Votes that a label needs.")]
StorePlace = Annotated[str, typer.Argument(metavar="STORE", help="Label store: a file, or postgresql://user@host/name.")]

labels = typer.Typer(no_args_is_help=True, help="What people said of faces.")


@labels.command("export")
def export_(
    store: StorePlace,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A file named .csv or .parquet.")],
    what: Annotated[str, typer.Option(help="consensus: a row for each face; log: every answer and undo.")] = "consensus",
    min_agreement: MinAgreement = 0.5,
    min_answers: MinAnswers = 1,
    as_json: Json = False,
) -> None:
    """Write what people agree on, or all that they said, to a table."""
    from mien.labeling.store.import_export import export_consensus, export_log
    from mien.labeling.store.store import Store

    one_of(what, WHATS, "--what")
    with Store.open(store, reads=True) as opened:
        rows = export_log(opened, out) if what == "log" else export_consensus(opened, out, min_agreement, min_answers)
    many = quantity(rows, "answer" if what == "log" else "face")
    print_result(as_json, {"rows": rows, "out": str(out)}, f"{many} -> {out}")


@labels.command("import")
def import_(
    store: StorePlace,
    log: Annotated[
        Path, typer.Argument(metavar="LOG", help="A log that mien labels export --what log wrote, or a .json of Label Studio.")
    ],
    pool: Annotated[
        Path | None,
        typer.Option(metavar="FACESET", help="Of Label Studio: the faces of the tasks. The store is made where there is none."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Add the answers of Label Studio, or of another store about the same faces. Those that are there already stay."""
    from mien.data.faceset import FaceSet
    from mien.exchange.label_studio_tasks import import_tasks, import_with_pool
    from mien.labeling.store.import_export import import_log
    from mien.labeling.store.store import Store

    tasks = log.suffix.lower() == ".json"
    if pool is not None and not (tasks and log.is_file()):
        found = "a folder" if log.is_dir() else "another file" if log.exists() else "nothing"
        raise typer.BadParameter(f"expected a .json of Label Studio with --pool; found {found} at {log}", param_hint="LOG")
    if tasks and pool is None:
        _require_store(store)
    if pool is not None:
        added = import_with_pool(store, log, FaceSet.open(pool, verify=True))
    else:
        with Store.open(store) as opened:
            added = import_tasks(opened, log) if tasks else import_log(opened, log)
    values = {"rows": len(added.answers), "new": added.new}
    be = "is" if added.new == 1 else "are"
    print_result(as_json, values, f"{added.new} of {quantity(len(added.answers), 'answer')} {be} new")


def _require_store(address: str) -> None:
    """Raises MienError where no store is there for the answers of Label Studio, which are not enough to make one."""
    from mien.labeling.store.create import version_at
    from mien.labeling.store.database import Database

    database = Database(address)
    if not version_at(database):
        todo = "check the address, or add --pool FACESET, the faces of the tasks, and one is made"
        raise MienError(f"a label store at {database.name}", "none there", todo)


@labels.command()
def tasks(
    faceset: FaceSetPath,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The new folder, below Label Studio's document root.")],
    model: Annotated[str | None, typer.Option(help="A run, a model folder or mien-s, whose predictions tasks have.")] = None,
    prefix: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Before each picture's path in tasks. Unless given: as local files of OUT.")
    ] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Write faces as tasks for Label Studio: pictures, tasks.json and labeling_config.xml."""
    from mien.data.faceset import FaceSet
    from mien.exchange.label_studio_tasks import save_tasks
    from mien.recognize.recognizer import Recognizer

    recognizer = None if model is None else Recognizer.load(model, device)
    faces = FaceSet.open(faceset)
    count = save_tasks(faces, out, recognizer, prefix)
    if recognizer is not None and faces.info.side != recognizer.card.faces.side and not as_json:
        warn(f"for predictions faces were converted: {faces.info.side} pixels to {recognizer.card.faces.side}")
    print_result(as_json, {"tasks": count, "out": str(out)}, f"{quantity(count, 'task')} -> {out}")


@labels.command()
def backend(
    pictures: Annotated[Path, typer.Argument(metavar="PICTURES", help="The folder of pictures: Label Studio's document root.")],
    model: Annotated[str, typer.Option(help=MODEL_READ)] = "mien-s",
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for answers and trained models. Unless given: nothing is learned.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen at. Any but this machine's own opens it to the network.")
    ] = "127.0.0.1",
    port: Annotated[int, whole_number("Port to listen at; 0 takes a free one.", 0, 65535)] = 9090,
    name: Annotated[list[str] | None, typer.Option(help="Host name that Label Studio calls it by; may be repeated.")] = None,
    device: Device = "auto",
) -> None:
    """Be the ML backend of Label Studio: predict and learn as it asks."""
    from mien.exchange.label_studio_backend import MOST_BYTES, Backend, build_backend
    from mien.exchange.label_studio_training import AnnotationTraining
    from mien.http_server import network
    from mien.http_server.client_limits import ClientLimits
    from mien.recognize.recognizer import Recognizer

    if not pictures.is_dir():
        raise MienError(f"a folder with pictures at {pictures}", "none", "check the path")
    network.require_names(name or ())
    reached = network.NetworkSettings(name or (), limits=ClientLimits(sent_bytes=MOST_BYTES))
    with network.listen(host, port) as listening:
        training = None if out is None else AnnotationTraining(out, model, device, say)
        served = Backend(Recognizer.load(model, device) if training is None else training.recognizer(), pictures, training)
        if not network.is_loopback(host):
            warn("the network can reach this backend, and read along unless a proxy adds TLS")
        say(f"give Label Studio the address {network.page_address(listening)}, and end with Ctrl-C", flush=True)
        with suppress(KeyboardInterrupt):
            network.run_until_told(build_backend(served, network.known_names(listening, reached)), listening, reached)


@labels.command()
def apply(
    store: StorePlace,
    faceset: FaceSetPath,
    out: Annotated[Path, typer.Argument(help="The new folder.")],
    min_agreement: MinAgreement = 0.5,
    min_answers: MinAnswers = 1,
    test: Annotated[
        float, number("Share of the labeled faces that becomes the split `test`: whole people, videos, photos.", 0, 0.9)
    ] = 0.0,
    seed: Annotated[int, seed_option("Draws the faces of --test.")] = 0,
    as_json: Json = False,
) -> None:
    """Write the face set that people were asked about as a new one, with their labels, to train on."""
    from mien.labeling.store.apply_labels import apply_labels
    from mien.labeling.store.store import Store

    with Store.open(store, reads=True) as opened, _aside(out) if test else nullcontext(out) as place:
        done = apply_labels(opened, faceset, place, min_agreement, min_answers)
        if test:
            done = replace(done, faces=_with_test(done.faces, out, test, seed))
    counts = {name: getattr(done, name) for name in ("agreed", "changed", "disputed", "not_a_face", "unsure", "open")}
    said = (
        f"{quantity(done.agreed, 'face')} labeled ({done.changed} otherwise than before), {done.disputed} disputed without label"
    )
    said += f", {done.not_a_face} left out as no face, {done.unsure + done.open} unsure or with too few answers as before"
    print_result(
        as_json, {"faces": len(done.faces), **counts, "out": str(out)}, f"{quantity(len(done.faces), 'face')} -> {out}: {said}"
    )


@contextmanager
def _aside(out: Path) -> Iterator[Path]:
    """A place for a set beside `out`, which is not to be there yet; gone afterwards."""
    if out.exists():
        raise MienError(f"nothing at {out} yet", "a file or folder", "choose another name, or remove it first")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
        yield Path(folder) / "labeled"


def _with_test(faces: "FaceSet", out: Path, test: float, seed: int) -> "FaceSet":
    """Write a set to `out` with splits of its own, and warn of what is thin about them."""
    from mien.data.splits import with_test_split

    made = with_test_split(faces, test, seed).save(out)
    warn_of_few_tests(made)
    return made


@labels.command()
def show(
    store: StorePlace,
    as_json: Json = False,
) -> None:
    """Show how far the answering is, how well people agree, and what each of them did."""
    from mien.cli.result_tables import annotator_table
    from mien.labeling.store.store import Store

    with Store.open(store, reads=True) as opened:
        info, found, people = opened.info, opened.progress(), opened.figures()
    values = {
        "classes": info.classes,
        "pool": info.pool,
        "per_face": info.per_face,
        "most": info.most,
        "progress": found,
        "annotators": people,
    }
    done = f"{found.done} of {quantity(found.questions, 'face')} done, {quantity(found.remaining, 'answer')} left"
    told = [f"{info.pool or 'faces'}: {done}, {found.gold} gold"]
    if found.alpha == found.alpha:  # nan where no two people can differ
        told.append(f"agreement (Krippendorff's alpha): {found.alpha:.3f}")
    print_result(as_json, values, *told, *([annotator_table(people)] if people else []))


@labels.command()
def backup(
    store: StorePlace,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new file.")],
    as_json: Json = False,
) -> None:
    """Copy a label store, which may be in use, into a new file. The copy is a label store like any other."""
    from mien.labeling.store.backup import backup as copy

    rows = copy(store, out)
    print_result(as_json, {"rows": rows, "out": str(out)}, f"{quantity(rows, 'answer')} -> {out}")


@labels.command()
def check(store: StorePlace, as_json: Json = False) -> None:
    """Check a label store: whether it is whole, and all in it as it has to be. Changes nothing; exit code 1 for a fault."""
    from mien.labeling.store.check import check_store as look
    from mien.labeling.store.database import Database

    found, where = look(store), Database(store).name
    values = {"store": where, "version": found.version, "sound": not found.faults, "faults": found.faults}
    print_result(as_json, values, *(found.faults or [f"{where} is sound"]))
    if found.faults:
        raise typer.Exit(1)
