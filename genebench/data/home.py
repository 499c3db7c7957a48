"""The data folder, and the titles of the datasets in it. Cheap to import, for listings."""

from __future__ import annotations

import json
import os
from pathlib import Path

import platformdirs


def home() -> Path:
    """Return the data folder: ``GENEBENCH_HOME``, else the user's data folder."""
    chosen = os.environ.get("GENEBENCH_HOME")
    return Path(chosen).expanduser() if chosen else platformdirs.user_data_path("genebench")


def prepared_titles() -> dict[str, str]:
    """Return name → title of every prepared dataset. The title of a damaged one says so."""
    titles = {}
    # The layout is that of genebench.data.store, which imports pandas and is too slow for listings.
    for current in sorted((home() / "datasets").glob("*/current")):
        try:
            folder = current.parent / Path(current.read_text("utf-8").strip()).name
            title = str(json.loads((folder / "dataset.json").read_text("utf-8"))["title"])
        except (OSError, ValueError, KeyError, TypeError):
            title = "damaged: prepare it again"
        titles[current.parent.name] = title
    return titles
