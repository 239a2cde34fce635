"""Tasks are drawn a few ahead, fewer where they bring photos along; what a process raises is what is raised."""

import copy
import pickle
import sys
from collections.abc import Callable, Container, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest
from photographs import Photo, write_folder

from mien import MienError
from mien.faces import workers
from mien.faces.face import Face
from mien.faces.places import Input
from mien.faces.prepare import Preparing, prepare
from mien.faces.shards import Record, Task


@dataclass(frozen=True)
class Absent:
    """A detector by the name `test_workers:Absent`, which needs something that is not installed."""

    def __call__(self, photos: Sequence[Photo]) -> list[tuple[Face, ...]]:
        """Never any faces."""
        raise MienError("ONNX Runtime", "it is not installed", "pip install 'mien[onnx]'")


def test_an_error_is_whole_after_a_pickle() -> None:
    error = MienError("a set of faces", "features", "give another")
    for made in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(made) is MienError
        assert (made.expected, made.found, made.todo, str(made)) == (error.expected, error.found, error.todo, str(error))


@pytest.mark.parametrize("count", [1, 2])
def test_what_a_detector_lacks_is_said_by_processes_too(tmp_path: Path, count: int) -> None:
    folder = write_folder(tmp_path / "in", 3)
    asked = Preparing((str(folder),), "box", "test_workers:Absent", side=16)
    with pytest.raises(
        MienError, match="expected ONNX Runtime; found it is not installed; pip install 'mien\\[onnx\\]'"
    ) as caught:
        prepare(asked, tmp_path / "out", workers=count)
    assert caught.value.todo == "pip install 'mien[onnx]'"


@dataclass
class Counted:
    """Tasks that count how many of them are drawn and not done, each with a photo of so many bytes."""

    sizes: Sequence[int]
    open: int = 0
    held: int = 0
    most_open: int = 0
    most_held: int = 0

    def tasks(self) -> Iterator[Task]:
        for number, size in enumerate(self.sizes):
            content = bytes(size) if size else None
            self.open, self.held = self.open + 1, self.held + size
            self.most_open, self.most_held = max(self.most_open, self.open), max(self.most_held, self.held)
            photos = (Input("a", Path("a.tar.gz"), content=content), Input("b", Path("b.png")))
            yield cast(Task, SimpleNamespace(number=number, inputs=photos))

    def make(self, task: Task) -> Record:
        self.open, self.held = self.open - 1, self.held - self.sizes[task.number]
        return cast(Record, SimpleNamespace(number=task.number))


@dataclass(frozen=True)
class Waited:
    """What came of waiting."""

    done: set[Future[Record]]


@dataclass
class OneByOne:
    """Instead of a pool of processes: a task is done when somebody waits, the one that came first."""

    waiting: list[tuple[Future[Record], Callable[[Task], Record], Task]]

    def submit(self, call: Callable[[Task], Record], task: Task) -> Future[Record]:
        self.waiting.append((Future(), call, task))
        return self.waiting[-1][0]

    def wait(self, waiting: Container[Future[Record]], return_when: str) -> "Waited":
        future, call, task = self.waiting.pop(0)
        assert future in waiting
        future.set_result(call(task))
        return Waited({future})

    def shutdown(self, cancel_futures: bool) -> None:
        assert not self.waiting


def drawn_by_processes(sizes: Sequence[int], monkeypatch: pytest.MonkeyPatch, count: int = 3) -> Counted:
    pool, counted = OneByOne([]), Counted(sizes)
    monkeypatch.setattr(workers, "ProcessPoolExecutor", lambda *given: pool)
    monkeypatch.setattr(workers, "wait", pool.wait)
    monkeypatch.setattr(workers, "make_shard", counted.make)
    records = [record.number for record in workers.work(counted.tasks(), count, None)]
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


def drawn_by_a_cluster(sizes: Sequence[int], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    cluster, counted = stand_in(monkeypatch), Counted(sizes)
    monkeypatch.setattr(workers, "make_shard", counted.make)
    assert [record.number for record in workers.work(counted.tasks(), 1, "local")] == list(range(len(sizes)))
    return cluster.given


def test_a_cluster_is_given_tasks_until_their_photos_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drawn_by_a_cluster([0] * 2001, monkeypatch) == [1000, 1000, 1]
    monkeypatch.setattr(workers, "WINDOW_BYTES", 100)
    assert drawn_by_a_cluster([40] * 7, monkeypatch) == [3, 3, 1]
    assert drawn_by_a_cluster([500] * 3, monkeypatch) == [1, 1, 1]
    assert drawn_by_a_cluster([0, 0, 500, 0], monkeypatch) == [3, 1]


def test_what_a_detector_lacks_is_said_by_a_cluster_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch)
    asked = Preparing((str(write_folder(tmp_path / "in", 3)),), "box", "test_workers:Absent", side=16)
    with pytest.raises(MienError, match="expected ONNX Runtime; found it is not installed"):
        prepare(asked, tmp_path / "out", cluster="local")
