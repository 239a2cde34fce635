"""Processes that tests begin and end: in a session of their own, and waited for by what they have done."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

WAIT = 600.0
"""Seconds until a test gives up on what it waits for: no test may fail because a machine is slow or busy."""
HERE = Path(__file__).parent
ENVIRONMENT = os.environ | {
    "PYTHONPATH": os.pathsep.join(filter(None, [f"{HERE}/preparation", str(HERE), os.getenv("PYTHONPATH")]))
}
"""In which detectors of tests are found."""
PATIENT_RAY = {f"RAY_{name}_{unit}": f"{WAIT * many:.0f}" for name, unit, many in (
    ("gcs_server_port_wait_time", "s", 1), ("raylet_start_wait_time", "s", 1), ("gcs_rpc_server_connect_timeout", "s", 1),
    ("worker_register_timeout", "seconds", 1), ("gcs_server_request_timeout", "seconds", 1),
    ("agent_register_timeout", "ms", 1000), ("health_check_initial_delay", "ms", 1000), ("health_check_timeout", "ms", 1000),
)}  # fmt: skip
"""In the environment of Ray, which else gives up on its own processes within half a minute."""
PREPARE = "from mien.preparation import prepare as room; room.INPUTS = 5; from mien.cli import main; main()"
"""`mien` with tasks of five photos."""


@contextmanager
def held_port() -> Iterator[int]:
    """A port at which one server after another can listen: while none does, nobody else gets it."""
    with socket.socket() as holding:
        holding.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holding.bind(("127.0.0.1", 0))
        yield holding.getsockname()[1]


@contextmanager
def started(*words: str) -> Iterator["subprocess.Popen[str]"]:
    """Python with these words, in a session of its own, as a terminal has them; one that a failing test leaves is ended."""
    pipe = subprocess.PIPE
    asked = [sys.executable, *words]
    with subprocess.Popen(asked, env=ENVIRONMENT, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as process:
        try:
            yield process
        except BaseException:
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            raise


def skip_without_ray(said: str) -> None:
    """Skips a test where Ray said that it gave up on its own start: some of its patience cannot be set."""
    if "timed out during startup" in said:
        pytest.skip("Ray gave up on its own start, as it does after 30 s on a busy machine")


def living(group: int) -> list[str]:
    """The states of the processes of a group that have not ended."""
    states = list[str]()
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            state, _, its = file.read_text().rpartition(")")[2].split()[:3]
            states += [state] if int(its) == group and state != "Z" else []
    return states


def wait_for_all(group: int) -> None:
    """Until none of the processes of a group is left."""
    wait_until(lambda: not living(group))


def wait_until(there: Callable[[], object], process: "subprocess.Popen[str] | None" = None) -> None:
    """Until it is so; fails where the process ends before, or where it never is."""
    tries = WAIT / 0.01  # not a time at which to give up: all of this may be stopped for a while
    while not there():
        assert process is None or process.poll() is None, f"it ended before, {process and process.communicate()}"
        tries -= 1
        assert tries > 0
        time.sleep(0.01)
