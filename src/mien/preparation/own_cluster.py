"""A Ray cluster of this machine alone: it listens on loopback, asks for no cloud, and leaves nothing behind."""

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
"""In the environment of a cluster that mien begins."""
CLOUD = "ray_bootstrap_config.yaml"
"""In the home folder. Without it Ray asks 169.254.169.254 and metadata.google.internal which cloud this is, even where its usage
statistics are off."""
LONGEST = 24
"""Characters in the name of the folder above: sockets lie below, whose names may have 103."""
TOKEN, TOKEN_FILE = "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"


@contextmanager
def own_place() -> Iterator[str]:
    """A folder for all files of a cluster, with a home for its processes; it is gone afterwards."""
    above = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    short = above if len(above) <= LONGEST or os.name == "nt" else "/tmp"
    with TemporaryDirectory(prefix="mien-", dir=short, ignore_cleanup_errors=True) as folder:
        Path(folder, CLOUD).write_text("{}\n", encoding="utf-8")
        yield folder


@contextmanager
def without_other_clusters(folder: str) -> Iterator[None]:
    """In here Ray is imported, and a cluster begins that has its home in `folder`."""
    homes = {"HOME": folder, "USERPROFILE": folder}
    with changed_environment(ALONE | homes | _token()):
        yield


def own_homes() -> dict[str, str]:
    """The environment of a cluster's tasks that differs from that of the processes which begin them."""
    return {name: os.environ[name] for name in ("HOME", "USERPROFILE") if name in os.environ}


def _token() -> dict[str, str]:
    """What keeps other users of this machine out. Ray would make one and keep it in the home folder."""
    if TOKEN in os.environ or TOKEN_FILE in os.environ:
        return {}
    kept = Path.home() / ".ray" / "auth_token"
    return {TOKEN_FILE: str(kept)} if kept.is_file() else {TOKEN: _new_token()}


@cache
def _new_token() -> str:
    """One for each process: Ray reads its token only once."""
    return secrets.token_hex(32)
