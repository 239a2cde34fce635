"""A Ray cluster of this machine alone: it listens on loopback, asks no cloud, and leaves nothing behind."""

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from mien.telemetry import changed_environment

ALONE = {
    # Ray would ask which way leads to 8.8.8.8, and listen at this machine's address there. It reads this when it is imported.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # Where it sees a TPU it would ask Google's cloud for what these say.
    "TPU_ACCELERATOR_TYPE": "none",
    "TPU_NAME": "none",
    "TPU_TOPOLOGY": "none",
    "TPU_WORKER_ID": "0",
}
"""The environment of a cluster that mien starts."""
CLOUD = "ray_bootstrap_config.yaml"
"""A file in the home folder without which Ray asks two addresses which cloud this is, even with its usage statistics off."""
LONGEST = 24
"""The most characters in the name of the cluster's folder: sockets lie below it, whose paths may have 103."""
TOKEN, TOKEN_FILE = "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"


@contextmanager
def cluster_folder() -> Iterator[str]:
    """A context with a folder for all files of a cluster and a home for its processes; it is removed at the end."""
    above = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    short = above if len(above) <= LONGEST or os.name == "nt" else "/tmp"
    with TemporaryDirectory(prefix="mien-", dir=short, ignore_cleanup_errors=True) as folder:
        Path(folder, CLOUD).write_text("{}\n", encoding="utf-8")
        yield folder


@contextmanager
def without_other_clusters(folder: str) -> Iterator[None]:
    """A context in which Ray is imported and a cluster starts that knows of no other; its home is in `folder`."""
    homes = {"HOME": folder, "USERPROFILE": folder}
    with changed_environment(ALONE | homes | _token()):
        yield


def task_environment() -> dict[str, str]:
    """The environment variables in which a cluster's tasks differ from the process that starts them."""
    return {name: os.environ[name] for name in ("HOME", "USERPROFILE") if name in os.environ}


def _token() -> dict[str, str]:
    """The secret that keeps other users of this machine out. Ray would make one and keep it in the home folder."""
    if TOKEN in os.environ or TOKEN_FILE in os.environ:
        return {}
    kept = Path.home() / ".ray" / "auth_token"
    return {TOKEN_FILE: str(kept)} if kept.is_file() else {TOKEN: _new_token()}


@cache
def _new_token() -> str:
    """A new secret, one for each process: Ray reads it only once."""
    return secrets.token_hex(32)
