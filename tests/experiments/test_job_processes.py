"""Several runs of a comparison at a time give what one after the other gives, whatever happens to a process."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_compare import SMALL

from mien import MienError
from mien.experiments import job_processes
from mien.experiments.compare import compare
from mien.experiments.grid import make_plan
from mien.experiments.job_processes import JobProcess, run_in_processes, threads_of_each
from mien.experiments.one_run import open_work
from mien.experiments.settings import Grid
from mien.progress import Silent


@pytest.fixture
def grid(tmp_path: Path) -> Grid:
    (tmp_path / "plain.toml").write_text(SMALL)
    (tmp_path / "dice.toml").write_text(f'{SMALL}\nweigh = "test_compare:Chance"\n')
    return Grid(recipes=(str(tmp_path / "plain.toml"), str(tmp_path / "dice.toml")), labels_per_class=(6,), seeds=1, threads=1)


def require_same_weights(one: Path, two: Path) -> None:
    """Figures may differ in their last digits: other processes test in the precision of the machine, not in that of tests."""
    found = {file.relative_to(one): file.read_bytes() for file in one.glob("runs/*/model/model.safetensors")}
    assert len(found) == 2
    assert found == {file.relative_to(two): file.read_bytes() for file in two.glob("runs/*/model/model.safetensors")}


def test_two_at_a_time_give_what_one_after_the_other_gives(grid: Grid, stored: Path, tmp_path: Path) -> None:
    """With a component of the user's own, which the processes import."""
    one, two = compare(stored, grid, tmp_path / "one"), compare(stored, grid, tmp_path / "two", jobs=2)
    assert (two.done, [row.recipe for row in two.results]) == (2, [row.recipe for row in one.results])
    require_same_weights(tmp_path / "one", tmp_path / "two")


def test_a_process_that_dies_is_said_and_the_same_command_goes_on(
    grid: Grid, stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []
    give = JobProcess.give

    def killed(self: JobProcess, job: Any) -> None:
        give(self, job)
        if not begun:
            os.kill(self._process.pid or 0, signal.SIGKILL)
        begun.append(self._process.pid or 0)

    with monkeypatch.context() as patch:
        patch.setattr(JobProcess, "give", killed)
        with pytest.raises(MienError, match="one that died in plain, 6 labels per class, seed 0"):
            compare(stored, grid, tmp_path / "out", jobs=2)
    for number in begun:
        with pytest.raises(ProcessLookupError):
            os.kill(number, 0)
    assert compare(stored, grid, tmp_path / "out").done == compare(stored, grid, tmp_path / "whole").done == 2
    require_same_weights(tmp_path / "out", tmp_path / "whole")


def test_what_a_run_raises_is_raised_here(grid: Grid, stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*given: Any) -> Iterator[str]:
        return iter(["no_such_module:Name"])

    monkeypatch.setattr(job_processes, "own_names", missing)
    work = open_work(stored, grid, tmp_path / "out")
    jobs = make_plan(work.grid, work.faces, work.others).jobs
    with pytest.raises(MienError, match=r"an importable package.module:Name; found 'no_such_module:Name'"):
        list(run_in_processes(work, jobs, 1, Silent()))


def test_processors_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    asked = Grid(recipes=("a",))
    assert [threads_of_each(asked, jobs) for jobs in (1, 2, 3, 20)] == [8, 4, 2, 1]
    assert threads_of_each(Grid(recipes=("a",), threads=5), 2) == 5
    with pytest.raises(MienError):
        compare(Path(), asked, Path("out"), jobs=0)
