"""Tasks are drawn a few ahead, fewer where they bring photos along; what a process raises is what is raised, and one that dies
takes along what it dies of and nothing else."""

import copy
import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest

from conftest import refused
from mien import MienError
from mien.media.file_limits import FILE_LIMITS, NO_LIMITS
from mien.media.source_files import SourceFile
from mien.preparation import prepare as room
from mien.preparation import ray_cluster, retries, worker_process, workers
from mien.preparation.preparation_settings import PreparationSettings
from mien.preparation.prepare import prepare_faces
from mien.preparation.shards import ShardRecord, ShardTask
from photographs import HELD, photo_of, write_folder, write_photo
from processes import PREPARE, WAIT, living, started, wait_for_all, wait_until


def test_an_error_is_whole_after_a_pickle() -> None:
    error = MienError("a set of faces", "features", "give another")
    for made in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(made) is MienError
        assert (made.expected, made.found, made.todo, str(made)) == (error.expected, error.found, error.todo, str(error))


@pytest.mark.parametrize("count", [1, 2])
def test_what_a_detector_lacks_is_said_by_processes_too(tmp_path: Path, count: int) -> None:
    folder = write_folder(tmp_path / "in", 3)
    asked = PreparationSettings((str(folder),), "box", "failing_detectors:Absent", side=16)
    with refused("expected ONNX Runtime; found it is not installed; pip install 'mien[onnx]'"):
        prepare_faces(asked, tmp_path / "out", workers=count)


@dataclass
class Counted:
    """Tasks that count how many of them are drawn and not done, each with a photo of so many bytes."""

    sizes: Sequence[int]
    folder: Path = Path()
    open: int = 0
    held: int = 0
    most_open: int = 0
    most_held: int = 0

    def tasks(self) -> Iterator[ShardTask]:
        for number, size in enumerate(self.sizes):
            content = bytes(size) if size else None
            self.open, self.held = self.open + 1, self.held + size
            self.most_open, self.most_held = max(self.most_open, self.open), max(self.most_held, self.held)
            photos = (SourceFile("a", Path("a.tar.gz"), content=content), SourceFile("b", Path("b.png")))
            yield cast(ShardTask, SimpleNamespace(number=number, inputs=photos, record=self.folder / str(number)))

    def make(self, task: ShardTask) -> ShardRecord:
        self.open, self.held = self.open - 1, self.held - self.sizes[task.number]
        return cast(ShardRecord, SimpleNamespace(number=task.number))


@dataclass(eq=False)
class Pretending:
    """Instead of a process: its task is done when somebody waits, and of several the one that came first."""

    make: Callable[[ShardTask], ShardRecord]
    task: ShardTask | None = None

    @property
    def pipe(self) -> "Pretending":
        return self

    def require_begun(self) -> None:
        """It is there at once."""

    def give(self, task: ShardTask) -> None:
        assert self.task is None
        self.task = task

    def take(self) -> ShardRecord:
        task, self.task = self.task, None
        assert task is not None
        return self.make(task)

    def hangs(self) -> bool:
        """Never."""
        return False

    def end(self) -> None:
        """Nothing is left of it."""

    @staticmethod
    def wait(busy: "Sequence[Pretending]", seconds: float) -> "list[Pretending]":
        return [min(busy, key=lambda one: one.task.number)]  # type: ignore[union-attr]


def drawn_by_processes(sizes: Sequence[int], monkeypatch: pytest.MonkeyPatch, count: int = 3) -> Counted:
    counted = Counted(sizes)
    monkeypatch.setattr(worker_process, "WorkerProcess", lambda: Pretending(counted.make))
    monkeypatch.setattr(workers, "wait", Pretending.wait)
    records = [record.number for record in workers.make_shards(counted.tasks(), count, None)]
    assert records == list(range(len(sizes)))
    return counted


def test_small_tasks_are_drawn_two_ahead_for_each_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drawn_by_processes([0] * 50, monkeypatch).most_open == 6
    assert drawn_by_processes([1000] * 50, monkeypatch).most_open == 6
    assert drawn_by_processes([0] * 4, monkeypatch).most_open == 4
    assert drawn_by_processes([], monkeypatch).most_open == 0


def test_tasks_that_bring_photos_are_drawn_until_these_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "AHEAD_BYTES", 100)
    counted = drawn_by_processes([90] * 50, monkeypatch)
    assert (counted.most_open, counted.most_held) == (4, 360), "300 are filled by the fourth"
    assert drawn_by_processes([1000] * 5, monkeypatch).most_open == 1, "one, though it is larger"
    mixed = drawn_by_processes([0, 250, 0, 0, 60, 10, 0, 0, 0, 0, 0, 0], monkeypatch)
    assert mixed.most_held == 310
    assert mixed.most_open == 6


@dataclass
class Cluster:
    """Instead of Ray: remembers how many items it was given at a time."""

    given: list[int]

    def from_items(self, items: list[dict[str, Any]], override_num_blocks: int) -> "Items":
        assert override_num_blocks == len(items)
        self.given.append(len(items))
        return Items(list(items))


@dataclass
class Items:
    """A data set of Ray."""

    items: list[dict[str, Any]]

    def map(self, call: Callable[[dict[str, Any]], dict[str, Any]]) -> "Items":
        try:
            return Items([pickle.loads(pickle.dumps(call(item))) for item in self.items])
        except MienError as error:
            raise RuntimeError("Failed to apply UDF") from error  # as Ray does, in effect

    def iter_rows(self) -> Iterator[dict[str, Any]]:
        return iter(self.items)


def stand_in(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """From now on Ray is this."""
    ray, data, cluster = ModuleType("ray"), ModuleType("ray.data"), Cluster([])
    data.from_items = cluster.from_items  # type: ignore[attr-defined]
    ray.data, ray.is_initialized = data, lambda: True  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setitem(sys.modules, "ray.data", data)
    return cluster


def drawn_by_a_cluster(sizes: Sequence[int], folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    cluster, counted = stand_in(monkeypatch), Counted(sizes, folder)
    monkeypatch.setattr(retries, "make_shard", counted.make)
    assert [record.number for record in workers.make_shards(counted.tasks(), 1, "local")] == list(range(len(sizes)))
    return cluster.given


def test_a_cluster_is_given_tasks_until_their_photos_are_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert drawn_by_a_cluster([0] * 2001, tmp_path, monkeypatch) == [1000, 1000, 1]
    monkeypatch.setattr(ray_cluster, "WINDOW_BYTES", 100)
    assert drawn_by_a_cluster([40] * 7, tmp_path, monkeypatch) == [3, 3, 1]
    assert drawn_by_a_cluster([500] * 3, tmp_path, monkeypatch) == [1, 1, 1]
    assert drawn_by_a_cluster([0, 0, 500, 0], tmp_path, monkeypatch) == [3, 1]
    assert not list(tmp_path.iterdir())


def test_what_a_detector_lacks_is_said_by_a_cluster_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch)
    asked = PreparationSettings((str(write_folder(tmp_path / "in", 3)),), "box", "failing_detectors:Absent", side=16)
    with pytest.raises(MienError, match="expected ONNX Runtime; found it is not installed"):
        prepare_faces(asked, tmp_path / "out", cluster="local")


def asking(folder: Path, detector: str) -> PreparationSettings:
    return PreparationSettings((str(folder),), "box margin=0", f"failing_detectors:{detector}", side=16)


def test_photos_that_a_process_dies_of_are_rejected_and_the_rest_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "INPUTS", 3)
    folder, asked = write_folder(tmp_path / "in", 7), asking(tmp_path / "in", "Deadly")
    write_photo(folder / "0001.png", photo_of((3, 3, 20), size=(64, 99)))
    with monkeypatch.context() as stopped:
        stopped.setattr(room, "join_shards", lambda *given: pytest.fail("stopped"))
        with pytest.raises(pytest.fail.Exception):
            prepare_faces(asked, tmp_path / "out", workers=2)
    monkeypatch.setattr(retries, "make_shard", lambda task: pytest.fail("done again"))
    done = prepare_faces(asked, tmp_path / "out")
    assert done.faces.column("id").to_pylist() == [f"{n:04d}.png" for n in range(7) if n != 1]
    assert (tmp_path / "out" / "rejected.csv").read_text().splitlines()[1:] == ["0001.png,reading it ended the process"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the system counts no memory for a process")
def test_a_process_takes_no_more_memory_than_it_may(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", 3)
    write_photo(folder / "0001.png", photo_of((3, 3, 20), size=(64, 99)))
    done = prepare_faces(asking(folder, "Hungry"), tmp_path / "out", workers=2)
    assert done.faces.column("id").to_pylist() == ["0000.png", "0002.png"]
    reason = "a photo that cannot be looked at (Unable to allocate 8.00 GiB"
    assert reason in (tmp_path / "out" / "rejected.csv").read_text()


def test_a_process_that_hangs_is_ended_and_its_photo_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, marker, now = write_folder(tmp_path / "in", 4), tmp_path / "marker", [0.0]
    write_photo(folder / "0001.png", photo_of((3, 3, 20), size=(64, 99)))

    def clock() -> float:
        """It goes on, and then by much, while somebody is stuck."""
        stuck = marker.exists() and marker.read_text() and Path(f"/proc/{marker.read_text()}").exists()
        now[0] += 1e6 if stuck else 0
        return now[0]

    monkeypatch.setattr(worker_process, "monotonic", clock)
    for module in (workers, worker_process):
        monkeypatch.setattr(module, "TICK", 0.05)
    done = prepare_faces(asking(folder, f"Stuck marker={marker}"), tmp_path / "out", workers=2)
    assert done.faces.column("id").to_pylist() == ["0000.png", "0002.png", "0003.png"]
    assert (tmp_path / "out" / "rejected.csv").read_text().splitlines()[1:] == ["0001.png,reading it ended the process"]


def test_limits_of_files_are_those_of_every_process(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", 3)
    write_photo(folder / "0001.png", photo_of((3, 3, 20), size=(640, 990)))
    asked, few = (
        PreparationSettings((str(folder),), "box margin=0", "photographs:Bright", side=16),
        replace(FILE_LIMITS, pixels=600_000),
    )
    for count in (1, 2):
        done = prepare_faces(asked, tmp_path / f"out{count}", workers=count, limits=few)
        assert (len(done.faces), done.rejected) == (2, 1)
        assert "990 x 640 pixels, more than 600,000" in (tmp_path / f"out{count}" / "rejected.csv").read_text()
    assert prepare_faces(asked, tmp_path / "all", workers=2, limits=NO_LIMITS).rejected == 0


def test_what_was_refused_is_read_again_with_other_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(tmp_path / "in", 3)
    asked, few = (
        PreparationSettings((str(folder),), "box margin=0", "photographs:Bright", side=16),
        replace(FILE_LIMITS, pixels=10),
    )
    with monkeypatch.context() as stopped:
        stopped.setattr(room, "join_shards", lambda *given: pytest.fail("stopped"))
        with pytest.raises(pytest.fail.Exception):
            prepare_faces(asked, tmp_path / "out", limits=few)
    assert (tmp_path / ".out.parts").is_dir()
    assert len(prepare_faces(asked, tmp_path / "out").faces) == 3


ALONE = """
import sys
from mien.preparation.prepare import PreparationSettings, prepare_faces
prepare_faces(PreparationSettings((sys.argv[1],), "box margin=0", "failing_detectors:Deadly", side=16), sys.argv[2])
"""


def test_what_ended_the_only_process_does_not_end_the_next(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", 3)
    write_photo(folder / "0001.png", photo_of((3, 3, 20), size=(64, 99)))
    with started("-c", ALONE, str(folder), str(tmp_path / "out")) as process:
        said = process.communicate(timeout=WAIT)[1]
    assert (process.returncode, said) == (1, ""), "it died without a word"
    assert (tmp_path / ".out.parts" / "00000000.begun").exists()
    done = prepare_faces(asking(folder, "Deadly"), tmp_path / "out")
    assert done.faces.column("id").to_pylist() == ["0000.png", "0002.png"]
    assert (tmp_path / "out" / "rejected.csv").read_text().splitlines()[1:] == ["0001.png,reading it ended the process"]


def test_a_process_that_was_killed_costs_nothing(tmp_path: Path) -> None:
    detector = f"photographs:Mortal marker={tmp_path / 'marker'}"
    asked = PreparationSettings((str(write_folder(tmp_path / "in", 5)),), "box", detector, side=16)
    done = prepare_faces(asked, tmp_path / "out", workers=2)
    assert (tmp_path / "marker").exists(), "nobody died"
    assert (len(done.faces), done.rejected) == (5, 0)


@pytest.mark.parametrize("detector", ["Deadly width=0", "Deadly width=80 several=true"])
def test_where_no_photo_is_to_blame_none_is_rejected(tmp_path: Path, detector: str) -> None:
    """Processes that die of any photo, as where memory is short; or of several together."""
    asked = asking(write_folder(tmp_path / "in", 3), detector)
    with pytest.raises(MienError, match="worker processes that finish their tasks; found one that died twice; see whether"):
        prepare_faces(asked, tmp_path / "out", workers=2)
    assert not (tmp_path / "out").exists()


def test_an_error_of_any_kind_comes_with_its_trace(tmp_path: Path) -> None:
    asked = asking(write_folder(tmp_path / "in", 3), "Wrong")
    with pytest.raises(RuntimeError, match=r"(?s)in another process:.*failing_detectors.py.*a mistake in the detector"):
        prepare_faces(asked, tmp_path / "out", workers=2)


def test_a_program_that_begins_itself_over_and_over_is_told(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", 3)
    (tmp_path / "program.py").write_text(
        "from mien.preparation.prepare import PreparationSettings, prepare_faces\n"
        f"prepare_faces(PreparationSettings(({str(folder)!r},), 'whole', side=16), {str(tmp_path / 'out')!r}, workers=2)\n"
    )
    with started(str(tmp_path / "program.py")) as process:
        said = process.communicate(timeout=WAIT)[1]
    assert process.returncode == 1
    assert 'begin under `if __name__ == "__main__":`' in said.splitlines()[-1]


@pytest.mark.parametrize("records", [0, 2])
def test_ctrl_c_is_heard_once(tmp_path: Path, records: int) -> None:
    """All processes of a terminal get the signal, those that have only begun as well."""
    folder, parts = write_folder(tmp_path / "in", 25), tmp_path / ".out.parts"
    for n in (12, 17, 22):  # two of five tasks are done
        write_photo(folder / f"{n:04d}.png", photo_of(size=HELD))
    words = ["prepare", str(folder), str(tmp_path / "out"), "--align", "box", "--detector", "photographs:Held", "--workers", "2"]
    with started("-c", PREPARE, *words) as process:
        if records:
            wait_until(lambda: len(list(parts.glob("0*.json"))) == records, process)
        else:
            wait_until(
                lambda: len(living(process.pid)) == 4, process
            )  # itself, one of Python's own, and two that have only begun
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=WAIT)[1]
    assert process.returncode == 130, said
    assert said.count("mien: interrupted") == 1
    assert not {"Traceback", "Fatal", "Warning", "KeyboardInterrupt"} & set(said.replace(":", " ").split()), said
    wait_for_all(process.pid)


ADDRESSES = """
import sys, warnings
warnings.simplefilter("ignore")
from mien import MienError
from mien.preparation.workers import make_shards
for address in sys.argv[1:]:
    try:
        list(make_shards(iter(()), 1, address))
    except MienError as error:
        print(error)
"""


def test_an_address_without_a_cluster_is_said() -> None:
    """By Ray itself, and before it would try for minutes."""
    with socket.socket() as bound:  # and nobody listens there
        bound.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{bound.getsockname()[1]}"
        addresses = [nobody, "nowhere.invalid:6379", "nonsense", "ray://head:10001"]
        done = subprocess.run([sys.executable, "-c", ADDRESSES, *addresses], capture_output=True, text=True, timeout=WAIT)
    assert done.returncode == 0, done.stderr
    refused, unknown, nonsense, client = done.stdout.splitlines()
    todo = "on a machine of the cluster give auto, or HOST:PORT of its head"
    assert refused.startswith(f"expected a Ray cluster at {nobody}; found Connection refused; {todo}; set RAY_AUTH_MODE=token")
    assert unknown.startswith("expected a Ray cluster at nowhere.invalid:6379; found ")
    assert "found Invalid address format: nonsense" in nonsense
    assert client == (
        f"expected an address that Ray Data works with; found Ray's client, ray://head:10001, with which it does not; {todo}"
    )


def test_ray_is_asked_to_give_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = list[str]()

    def init(address: str, log_to_driver: bool) -> None:
        tries.append(os.environ[ray_cluster.RAY_TRIES])
        raise ConnectionError(f"Failed to connect to {address}\n\nand more")

    stand_in(monkeypatch)
    monkeypatch.setattr(sys.modules["ray"], "is_initialized", lambda: False)
    monkeypatch.setattr(sys.modules["ray"], "init", init, raising=False)
    monkeypatch.delenv(ray_cluster.RAY_TRIES, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        for address in ("auto", f"127.0.0.1:{server.getsockname()[1]}"):
            with pytest.raises(MienError, match=f"cluster at {address}; found Failed to connect to {address}; on a machine"):
                list(workers.make_shards(iter(()), 1, address))
    assert ray_cluster.RAY_TRIES not in os.environ
    monkeypatch.setenv(ray_cluster.RAY_TRIES, "7")
    with pytest.raises(MienError, match="cluster at auto"):
        list(workers.make_shards(iter(()), 1, "auto"))
    assert tries == ["1", "1", "7"]
    assert os.environ[ray_cluster.RAY_TRIES] == "7"
