"""Where datasets are kept, and which there are; free of heavy imports, for listings."""

from __future__ import annotations

import json
import os
from pathlib import Path

import platformdirs


def home() -> Path:
    """Where genebench keeps datasets: ``GENEBENCH_HOME``, else the user's data folder."""
    chosen = os.environ.get("GENEBENCH_HOME")
    return Path(chosen).expanduser() if chosen else platformdirs.user_data_path("genebench")


def prepared_titles() -> dict[str, str]:
    """Name → title of every prepared dataset; a damaged one is titled so."""
    return {
        current.parent.name: _title(current)
        for current in sorted((home() / "datasets").glob("*/current"))
    }


def _title(current: Path) -> str:
    try:
        folder = current.parent / Path(current.read_text("utf-8").strip()).name
        return str(json.loads((folder / "dataset.json").read_text("utf-8"))["title"])
    except (OSError, ValueError, KeyError, TypeError):
        return "damaged: prepare it again"
