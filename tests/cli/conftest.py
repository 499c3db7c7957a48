"""Results that tests of several commands read."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from genebench.cli import invoke


@pytest.fixture(scope="session")
def made(tiny, tmp_path_factory) -> Path:
    """lsr and the controls under both protocols, predictions kept; nobody writes to it."""
    folder = tmp_path_factory.mktemp("made") / "results"
    command = ["run", "--preset", "tiny", "--methods", "lsr", "--keep-predictions", "--quiet"]
    assert invoke([*command, "--results", str(folder)]) == 0
    return folder


@pytest.fixture
def copied(made, tmp_path) -> Path:
    """The same folder, as this test's own."""
    return Path(shutil.copytree(made, tmp_path / "results"))
