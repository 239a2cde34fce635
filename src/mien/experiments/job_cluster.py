"""Runs of a comparison on a cluster of machines, by Ray: each run is a task, and one of a lost machine goes on elsewhere."""

from collections.abc import Generator, Sequence

from mien.errors import MienError
from mien.experiments.grid import Job, make_plan
from mien.experiments.job_processes import Order, order_for
from mien.experiments.one_run import Work, do_run, open_work
from mien.experiments.run_results import RunResult
from mien.preparation.ray_cluster import ray_connection
from mien.progress import Quiet, Silent
from mien.registry import import_named

RETRIES = 20
"""How often a run is begun again whose machine or process was lost: one that ends every process must not go on for ever."""
THREADS = 1
"""Threads of a run, and processors that it asks the cluster for, unless the grid names threads."""


def run_on_cluster(work: Work, jobs: Sequence[Job], address: str) -> Generator[tuple[Job, RunResult]]:
    """The results of jobs as the cluster has done them, in any order.

    Face sets and the comparison's folder have to be the same on all machines: there a run of a lost machine finds its last
    checkpoint, and ends with the weights that it would have had. `address`: see `ray_connection`, which raises MienError.
    """
    order = order_for(work, jobs, work.grid.threads or THREADS)
    with ray_connection(address) as ray:
        # What a machine did when it was lost is done again; what raises an error is not.
        task = ray.remote(num_cpus=order.grid.threads, max_retries=RETRIES)(_run_there)
        waiting = {task.remote(order, job.folder): job for job in jobs}
        while waiting:
            (done,), _ = ray.wait(list(waiting), num_returns=1)
            found = ray.get(done)
            if isinstance(found, MienError):
                raise found
            yield waiting.pop(done), found


def _run_there(order: Order, folder: str) -> RunResult | MienError:
    """The result of a run, on a machine of the cluster; a MienError as a value: Ray would wrap it in a trace of its own."""
    try:
        import_named(order.names)
        work = open_work(order.faces, order.grid, order.out)
        job = next(job for job in make_plan(work.grid, work.faces, work.others, work.also).jobs if job.folder == folder)
        return do_run(work, job, Quiet(Silent(), job.recipe, set()))
    except MienError as error:
        return error
