"""A fresh discovery of plugins, and samples to import (tests are not a package)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from genebench.plugins.discovery import installed
from genebench.plugins.manager import STRICT
from genebench.plugins.registry import registry

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def fresh_plugins(tmp_path, monkeypatch):
    """Discover plugins anew in a test, and forget the modules that they imported after it."""
    monkeypatch.delenv(STRICT, raising=False)
    installed.cache_clear()
    registry.cache_clear()
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]
    installed.cache_clear()
    registry.cache_clear()
