"""Folders that lie beside the repository on some machines; tests that need them skip elsewhere."""

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared"


def _folder(name: str) -> Path:
    if not (SHARED / name).is_dir():
        pytest.skip(f"the folder {name} is not beside the repository")
    return SHARED / name


@pytest.fixture(scope="session")
def photos() -> Path:
    """Test photos as people send them."""
    return _folder("photos")


@pytest.fixture(scope="session")
def face_data() -> Path:
    """Aligned portraits and exemplars for training."""
    return _folder("data")


@pytest.fixture(autouse=True)
def _no_own_domains(monkeypatch, tmp_path_factory):
    """Nothing that the user of this machine has trained is seen by a test."""
    folder = tmp_path_factory.getbasetemp() / "own domains"
    monkeypatch.setenv("DUALSTYLE_DOMAINS", str(folder))
