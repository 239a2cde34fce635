"""Tasks spread over a cluster of machines by Ray Data."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from mien.errors import MienError
from mien.installed import missing_extra
from mien.preparation.local_ray_cluster import cluster_folder, task_environment, without_other_clusters
from mien.preparation.retries import make_carefully
from mien.preparation.shards import ShardRecord, ShardTask, draw_tasks
from mien.telemetry import changed_environment

WINDOW, WINDOW_BYTES = 1000, 1 << 30
"""The most tasks that a cluster is given at a time, and the bytes at which there are enough of them."""

SECONDS = 10.0
"""Seconds that the head of a cluster has to answer at all."""

RAY_TRIES = "RAY_gcs_server_port_wait_time_s"
"""The environment variable for how often Ray tries to reach the head; by default it tries for a quarter of an hour."""


def work_on_cluster(tasks: Iterator[ShardTask], address: str) -> Iterator[ShardRecord]:
    """The records of tasks that a cluster does, in any order; tasks of a lost worker go to others.

    Folders have to be the same on all machines. Raises MienError as `ray_connection` does.
    """
    with ray_connection(address) as ray:
        while items := [{"task": task} for task in draw_tasks(tasks, WINDOW, WINDOW_BYTES)]:
            made = ray.data.from_items(items, override_num_blocks=len(items)).map(_make)
            items.clear()  # Ray has copies of them.
            for row in made.iter_rows():
                if isinstance(row["record"], MienError):
                    raise row["record"]
                yield row["record"]


@contextmanager
def ray_connection(address: str) -> Iterator[Any]:
    """A context with the module ray, connected to a cluster; a connection that was there before stays.

    `address`: `auto` on one of its machines, HOST:PORT of its head, or `local` for a cluster that is started here and ends with
    the context. Raises MienError where Ray is missing or no cluster answers.
    """
    with cluster_folder() if address == "local" else nullcontext() as place:
        ray, begun = _connected(address, place)
        try:
            yield ray
        finally:
            if begun:
                ray.shutdown()


def _connected(address: str, place: str | None) -> tuple[Any, bool]:
    """The module ray, connected, and whether it was connected here. `place`: a folder for a cluster of its own, or None."""
    homes = task_environment()
    with without_other_clusters(place) if place else nullcontext():
        try:
            import ray
            import ray.data
        except ImportError as error:
            raise missing_extra("cluster", "the package ray, which speaks to clusters") from error
        if ray.is_initialized():
            return ray, False
        if place:
            own = {"env_vars": homes}
            ray.init(address=address, include_dashboard=False, log_to_driver=False, runtime_env=own, _temp_dir=place)
        else:
            _connect(address)
        ray.data.DataContext.get_current().enable_progress_bars = False  # there is a bar already
    return ray, True


def _connect(address: str) -> None:
    """Connect to a cluster. Raises MienError where none answers at that address."""
    import ray

    todo = "on a machine of the cluster give auto, or HOST:PORT of its head"
    if address.startswith("ray://"):
        raise MienError("an address that Ray Data works with", f"Ray's client, {address}, with which it does not", todo)
    try:
        _require_answer(address)
        with changed_environment({RAY_TRIES: os.environ.get(RAY_TRIES, "1")}):
            ray.init(address=address, log_to_driver=False)
    except Exception as error:  # Ray says what is wrong with errors of many kinds; none of them is hidden.
        found = (isinstance(error, OSError) and error.strerror) or str(error).partition("\n")[0]
        asked = "set RAY_AUTH_MODE=token where it asks for a token"
        raise MienError(f"a Ray cluster at {address}", found, f"{todo}; {asked}") from error


def _require_answer(address: str) -> None:
    """Raises OSError where nothing listens at HOST:PORT, which Ray itself would find out in minutes."""
    host, _, port = address.rpartition(":")
    if port.isdecimal() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), SECONDS).close()


def _make(row: dict[str, Any]) -> dict[str, ShardRecord | MienError]:
    """The record of a task, or a MienError as a value: Ray would wrap it in a trace of its own."""
    try:
        return {"record": make_carefully(row["task"])}
    except MienError as error:
        return {"record": error}
