"""Runs of a comparison as tasks of a cluster; a stand-in plays Ray. The real one: benchmarks/cluster_runs.py."""

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from test_compare import SMALL
from test_job_processes import require_same_weights

from mien import MienError
from mien.experiments import job_cluster
from mien.experiments.compare import compare
from mien.experiments.job_processes import Order
from mien.experiments.settings import Grid


class StandIn:
    """Does tasks in the order in which results are asked for, the last one first, on what was sent to it."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.tasks: list[bytes] = []

    def remote(self, **asked: Any) -> Callable[[Callable[..., Any]], Any]:
        self.asked.append(asked)
        outer = self

        class Task:
            def __init__(self, function: Callable[..., Any]) -> None:
                self.function = function

            def remote(self, *given: Any) -> bytes:
                outer.tasks.append(pickle.dumps((self.function, given)))
                return outer.tasks[-1]

        return Task

    def wait(self, waiting: list[bytes], num_returns: int) -> tuple[list[bytes], list[bytes]]:
        return waiting[-num_returns:], waiting[:-num_returns]

    def get(self, task: bytes) -> Any:
        function, given = pickle.loads(task)
        return pickle.loads(pickle.dumps(function(*given)))


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    made = StandIn()

    @contextmanager
    def connection(address: str) -> Iterator[StandIn]:
        assert address == "auto"
        yield made

    monkeypatch.setattr(job_cluster, "ray_connection", connection)
    return made


def test_a_cluster_gives_what_one_machine_gives(ray: StandIn, stored: Path, tmp_path: Path) -> None:
    (tmp_path / "plain.toml").write_text(SMALL)
    grid = Grid(recipes=(str(tmp_path / "plain.toml"),), labels_per_class=(6,), seeds=2, threads=1)
    found = compare(stored, grid, tmp_path / "out", cluster="auto")
    assert [row.seed for row in found.results] == [0, 1], "whatever is done first"
    assert ray.asked == [{"num_cpus": 1, "max_retries": job_cluster.RETRIES}], (
        "tasks of a lost machine are done again, on one processor each"
    )
    compare(stored, grid, tmp_path / "one")
    require_same_weights(tmp_path / "out", tmp_path / "one")
    assert compare(stored, grid, tmp_path / "out", cluster="nowhere").done == 2, "nothing is left to ask a cluster for"


def test_what_a_task_raises_is_raised_here(ray: StandIn, stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plain.toml").write_text(SMALL)
    grid = Grid(recipes=(str(tmp_path / "plain.toml"),), labels_per_class=(6,), seeds=1, threads=1)
    monkeypatch.setattr(job_cluster, "order_for", _order_of_nowhere)
    with pytest.raises(MienError, match="nowhere"):
        compare(stored, grid, tmp_path / "out", cluster="auto")


def _order_of_nowhere(work: Any, jobs: Any, threads: int) -> Any:
    return Order(Path("nowhere"), work.grid, work.out, ())
