"""A plugin of dishonest methods, installed for the tests of this folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from genebench.conformance.surroundings import settings_kept
from genebench.plugins.discovery import installed
from genebench.plugins.registry import registry


@pytest.fixture(scope="module")
def dishonest(tmp_path_factory):
    """Install ``dishonest.py`` as a distribution, and remove it afterwards."""
    site = tmp_path_factory.mktemp("site-packages")
    shutil.copy(Path(__file__).with_name("dishonest.py"), site)
    info = site / "dishonest-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dishonest\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[genebench]\ndishonest = dishonest\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        for cached in (installed, registry):
            cached.cache_clear()
        yield site
    for cached in (installed, registry):
        cached.cache_clear()


@pytest.fixture(autouse=True)
def _apart(tmp_path, monkeypatch):
    """Keep the temporary files of a test apart from those of tests that run at the same time."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.fixture(autouse=True)
def _settings_kept():
    """Undo the changes of dishonest methods to torch after each test."""
    with settings_kept():
        yield
