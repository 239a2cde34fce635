"""What a cluster of this machine finds in its environment."""

import os
import tempfile
from pathlib import Path

import pytest

from mien.preparation.local_ray_cluster import TOKEN, TOKEN_FILE, cluster_folder, task_environment, without_other_clusters


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (TOKEN, TOKEN_FILE, "RAY_TMPDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return tmp_path


def test_it_has_a_home_of_its_own_and_its_tasks_that_of_the_user(home: Path) -> None:
    homes, before = task_environment(), dict(os.environ)
    with cluster_folder() as place:
        with without_other_clusters(place):
            assert os.environ["HOME"] == place
            assert "{}" in (Path.home() / "ray_bootstrap_config.yaml").read_text(), "Ray would ask which cloud this is"
            assert len(os.environ[TOKEN]) == 64
            token = os.environ[TOKEN]
        with without_other_clusters(place):
            assert os.environ[TOKEN] == token, "Ray reads it once in a process"
        assert os.environ == before
    assert not Path(place).exists()
    assert homes["HOME"] == str(home)


def test_a_token_of_the_user_is_left(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = home / ".ray" / "auth_token"
    kept.parent.mkdir()
    kept.write_text("mine")
    with without_other_clusters("/nowhere"):
        assert (os.environ[TOKEN_FILE], os.environ.get(TOKEN)) == (str(kept), None)
    monkeypatch.setenv(TOKEN, "said")
    with without_other_clusters("/nowhere"):
        assert (os.environ.get(TOKEN_FILE), os.environ[TOKEN]) == (None, "said")


@pytest.mark.skipif(os.name == "nt", reason="sockets of Windows have no such limit")
def test_its_folder_has_a_short_name(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("long" * 10)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with cluster_folder() as place:
        assert len(place) <= 40
        assert not list(long.iterdir())
    with tempfile.TemporaryDirectory(prefix="m", dir="/tmp") as short:
        monkeypatch.setenv("RAY_TMPDIR", short)
        with cluster_folder() as place:
            assert Path(place).parent == Path(short)
