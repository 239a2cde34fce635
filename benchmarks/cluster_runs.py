"""Runs of a comparison on two Ray nodes of this machine, one of which is killed: all results are there, the same bits as without.

    python benchmarks/cluster_runs.py FACESET OUT

Prints how many runs were done, and whether every run's weights are those of the same comparison on one machine. Needs the extra
`cluster`. About five minutes on two cores.
"""

import argparse
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from mien.experiments.compare import compare
from mien.experiments.settings import Grid
from mien.telemetry import changed_environment

KILL_AFTER = 25.0
"""Seconds after which the second node is killed, in the middle of its run."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faces", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    grid = Grid(recipes=("supervised_small",), labels_per_class=(25,), seeds=4, threads=1, epochs=8)
    with changed_environment({"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": os.pathsep.join(sys.path)}):
        cluster, second = _two_nodes()
        threading.Thread(target=_kill, args=(cluster, second), daemon=True).start()
        many = compare(given.faces, grid, given.out / "cluster", cluster=cluster.address)
        nodes = len(cluster.list_all_nodes())
        cluster.shutdown()
    one = compare(given.faces, grid, given.out / "one")
    print(f"runs done: {many.done} of {many.runs} on a cluster that lost a node ({nodes} left), {one.done} on one machine")
    files = sorted((given.out / "one").glob("runs/*/model/model.safetensors"))
    same = [file.read_bytes() == (given.out / "cluster" / file.relative_to(given.out / "one")).read_bytes() for file in files]
    print(f"runs with the same weights, bit for bit: {sum(same)} of {len(same)}")


def _two_nodes() -> tuple[Any, Any]:
    """A cluster of this machine with two nodes of a processor each, and its second node."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    return cluster, cluster.add_node(num_cpus=1)


def _kill(cluster: Any, node: Any) -> None:
    time.sleep(KILL_AFTER)
    cluster.remove_node(node, allow_graceful=False)


if __name__ == "__main__":
    main()
