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
IMAGES = DOCS / "images" / "gallery"


def main() -> None:
    """Run every command of the page in an empty folder, and copy the figures that it shows."""
    page = (DOCS / "gallery.md").read_text("utf-8")
    with tempfile.TemporaryDirectory() as folder:
        for command in re.findall(r"^\$ genebench (.+)$", page, re.MULTILINE):
            words = [sys.executable, "-m", "genebench", *shlex.split(command)]
            subprocess.run(words, check=True, cwd=folder)  # noqa: S603  a command of genebench
        shutil.rmtree(IMAGES, ignore_errors=True)
        IMAGES.mkdir(parents=True)
        for figure in re.findall(r"\(images/gallery/(.+?)\)", page):
            shutil.copy(Path(folder) / "figures" / figure, IMAGES)


if __name__ == "__main__":
    main()
