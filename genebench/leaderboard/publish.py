"""A site appears whole or not at all: it is made beside its place, then put there by renaming."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from genebench._util.files import sweep, user_errors
from genebench.errors import UserError, some

MARK = "genebench-board.json"
LAYOUT = 1
_REMEDY = "name another folder with --out"


def check_place(out: Path) -> None:
    """Make sure that a site may be put there: nothing is there, or an older site and no more.

    Raises:
        UserError: it is a file, or holds what no board made.
    """
    with user_errors(out, _REMEDY):
        if out.exists() and not out.is_dir():
            raise UserError(f"{out}: a file, not a folder; {_REMEDY}")
        present = {path.name for path in out.iterdir()} if out.is_dir() else set()
    if not present:
        return
    if MARK not in present:
        raise UserError(f"{out}: holds something that is no board; {_REMEDY}")
    foreign = sorted(present - _made(out / MARK))
    if foreign:
        raise UserError(
            f"{out}: holds {some(foreign)} beside a board, which a new one would replace; move "
            f"that away, or {_REMEDY}"
        )


def _made(mark: Path) -> set[str]:
    """Names at the top of the site that is there."""
    try:
        return {MARK, *map(str, json.loads(mark.read_text("utf-8"))["files"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {MARK}


@contextmanager
def staging(out: Path) -> Iterator[Path]:
    """A new folder that takes the place of ``out`` at the end, unless something fails."""
    out = out.resolve()
    check_place(out)
    with user_errors(out, _REMEDY):
        out.parent.mkdir(parents=True, exist_ok=True)
        sweep(out.parent, f".{out.name}.*.tmp")
        work = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".tmp", dir=out.parent))
        try:
            site = work / "new"
            site.mkdir()
            yield site
            _sign(site)
            check_place(out)
            _swap(site, out, work / "old")
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _sign(site: Path) -> None:
    names = sorted(path.name for path in site.iterdir())
    (site / MARK).write_text(json.dumps({"genebench-board": LAYOUT, "files": names}), "utf-8")


def _swap(site: Path, out: Path, old: Path) -> None:
    """Put the new site in the place of the old one; if that fails, the old one stays."""
    if not out.exists():
        site.rename(out)
        return
    out.rename(old)
    try:
        site.rename(out)
    except OSError:
        old.rename(out)
        raise
