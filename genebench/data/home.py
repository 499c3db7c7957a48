"""The data folder, and the titles of the datasets in it. Cheap to import, for listings."""

from __future__ import annotations

import json
import os
from pathlib import Path

import platformdirs

from genebench._util.files import user_errors
from genebench.errors import UserError

OTHER_HOME = "Set GENEBENCH_HOME to another folder."
"""Remedy for a data folder that cannot be used."""
HOME = "GENEBENCH_HOME"
"""Environment variable: the data folder."""
SHARED_HOME = "GENEBENCH_SHARED_HOME"
"""Environment variable: the shared data folder, where ``GENEBENCH_HOME`` is a copy on this node."""


def home() -> Path:
    """Return the data folder: ``GENEBENCH_HOME``, else the user's data folder.

    Raises:
        UserError: ``GENEBENCH_HOME`` names the home of a user that does not exist.
    """
    chosen = os.environ.get(HOME)
    try:
        return Path(chosen).expanduser() if chosen else platformdirs.user_data_path("genebench")
    except RuntimeError:
        raise UserError(f"GENEBENCH_HOME={chosen}: there is no such user. {OTHER_HOME}") from None


def all_homes() -> list[Path]:
    """Return the data folder, and the shared one that it is a copy of, if any.

    Raises:
        UserError: ``GENEBENCH_HOME`` names the home of a user that does not exist.
    """
    return [home(), *map(Path, filter(None, [os.environ.get(SHARED_HOME)]))]


def prepared_names(folder: Path) -> list[str]:
    """Return the names of the prepared datasets in a folder of them, sorted.

    Raises:
        UserError: the folder cannot be read.
    """
    with user_errors(folder, OTHER_HOME, trouble="cannot be read"):
        try:
            paths = list(folder.iterdir())
        except FileNotFoundError:
            return []
        # lexists: a file that cannot be read is damaged, not absent.
        return sorted(path.name for path in paths if os.path.lexists(path / "current"))


def prepared_titles() -> dict[str, str]:
    """Return name → title of every prepared dataset. The title of a damaged one says so.

    Raises:
        UserError: the data folder cannot be read.
    """
    titles = {}
    # The layout is that of genebench.data.store, which imports pandas and is too slow for listings.
    datasets = home() / "datasets"
    for name in prepared_names(datasets):
        try:
            digest = (datasets / name / "current").read_text("utf-8").strip()
            info = json.loads((datasets / name / Path(digest).name / "dataset.json").read_bytes())
            titles[name] = str(info["title"])
        except (OSError, ValueError, KeyError, TypeError):
            titles[name] = "damaged: prepare it again"
    return titles
