"""Publication of a site: it is written beside its place, then renamed, so it appears whole."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from genebench._util.files import sweep, temporary_folder, user_errors
from genebench.errors import UserError, some

MARKER = "genebench-board.json"
LAYOUT = 1
"""Version of the layout of the file that marks a site."""

_REMEDY = "Name another folder with --out."


def check_place(out: Path) -> None:
    """Check that a site may be published here: there is nothing, or an older site and nothing else.

    Raises:
        UserError: the path is a file, or the folder holds files that no board wrote.
    """
    with user_errors(out, _REMEDY):
        if out.exists() and not out.is_dir():
            raise UserError(f"{out}: this is a file, not a folder. {_REMEDY}")
        present = {path.name for path in out.iterdir()} if out.is_dir() else set()
    if not present:
        return
    if MARKER not in present:
        raise UserError(f"{out}: the folder holds other files than a board's. {_REMEDY}")
    foreign = sorted(present - _listed(out / MARKER))
    if foreign:
        raise UserError(
            f"{out}: a new board would delete {some(foreign)}, which the old one did not write. "
            f"Move that away. {_REMEDY}"
        )


def _listed(marker: Path) -> set[str]:
    """Return the names at the top of an existing site, as its marker lists them."""
    try:
        return {MARKER, *map(str, json.loads(marker.read_text("utf-8"))["files"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {MARKER}


@contextmanager
def staging(out: Path) -> Iterator[Path]:
    """Yield a new folder that replaces ``out`` at the end, unless an exception is raised."""
    out = out.resolve()
    check_place(out)
    with user_errors(out, _REMEDY):
        out.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(out.parent, f".{out.name}.") as work:
            site = work / "new"
            site.mkdir()
            yield site
            names = sorted(path.name for path in site.iterdir())
            marker = {"genebench-board": LAYOUT, "files": names}
            (site / MARKER).write_text(json.dumps(marker), "utf-8")
            # Building took a while, and another program may have put a file there meanwhile.
            check_place(out)
            _swap(site, out, work / "old")
        # At the end: a process that was killed between two renames may have left the old site.
        sweep(out.parent, f".{glob.escape(out.name)}.*.tmp")


def _swap(site: Path, out: Path, old: Path) -> None:
    """Rename the new site into place. If that fails, the old site stays."""
    if not out.exists():
        site.rename(out)
        return
    out.rename(old)
    try:
        site.rename(out)
    except OSError:
        old.rename(out)
        raise
