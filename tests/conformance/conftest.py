"""Plugins of dishonest methods, installed for the tests of this folder."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from genebench.conformance.surroundings import settings_kept
from genebench.plugins.discovery import installed
from genebench.plugins.registry import registry


@pytest.fixture(scope="module")
def dishonest(tmp_path_factory):
    """Install ``dishonest.py`` and ``roads.py`` as distributions, and remove them afterwards."""
    site = tmp_path_factory.mktemp("site-packages")
    here = Path(__file__).parent
    for path in (here / "dishonest.py", here.parent / "sealing" / "roads.py"):
        shutil.copy(path, site)
        info = site / f"{path.stem}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {path.stem}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[genebench]\n{path.stem} = {path.stem}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        for cached in (installed, registry):
            cached.cache_clear()
        yield site
    for name in ("dishonest", "roads"):
        sys.modules.pop(name, None)
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
