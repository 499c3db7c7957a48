"""Figures of the gallery: ``python docs/gallery.py`` runs the commands of ``gallery.md``."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).parent
PAGE, IMAGES = DOCS / "gallery.md", DOCS / "images" / "gallery"


def commands() -> list[list[str]]:
    """Return the words of every command of the page."""
    text = PAGE.read_text("utf-8")
    return [shlex.split(command) for command in re.findall(r"^\$ (.+)$", text, re.MULTILINE)]


def shown(folder: Path) -> dict[str, Path]:
    """Return name on the page → file of the figure, for all figures that the page shows.

    Files are named by the digest of their data, which differs between processors. The page leaves
    it out.
    """
    drawn = {re.sub(r"-[0-9a-f]{8}(?=[-.])", "", path.name): path for path in folder.iterdir()}
    names = re.findall(r"\(images/gallery/(.+?)\)", PAGE.read_text("utf-8"))
    return {name: drawn[name] for name in names}


def main() -> None:
    """Run every command of the page in an empty folder, and copy the figures that it shows."""
    with tempfile.TemporaryDirectory() as folder:
        for words in commands():
            command = [sys.executable, "-m", *words]
            subprocess.run(command, check=True, cwd=folder)  # noqa: S603  a command of genebench
        shutil.rmtree(IMAGES, ignore_errors=True)
        IMAGES.mkdir(parents=True)
        for name, figure in shown(Path(folder) / "figures").items():
            shutil.copy(figure, IMAGES / name)


if __name__ == "__main__":
    main()
