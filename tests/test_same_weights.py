"""Moving code changes no weight: ten steps of every recipe give those that they gave, where the processor is the same."""

import json
from pathlib import Path

import pytest

from same_weights import FILE, hash_of, machine

WRITTEN = json.loads(FILE.read_text())


@pytest.mark.skipif(machine() != WRITTEN["machine"], reason=f"the hashes were written on {WRITTEN['machine']}")
@pytest.mark.parametrize("name", sorted(WRITTEN["hashes"]))
def test_same_weights(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert hash_of(name, tmp_path / "run") == WRITTEN["hashes"][name]
