"""Screenshots of a leaderboard for the documentation: ``python docs/screenshots.py RESULTS``.

Chromium must be on PATH, or its path in ``GENEBENCH_CHROMIUM``. ``make docs`` runs this script if
there are results. The pictures in ``docs/images`` show the dataset ``u133`` with the published
methods, and three seeds of each stochastic one (``make u133-results``).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Browser, sync_playwright

IMAGES = Path(__file__).parent / "images"
DESKTOP, PHONE = (1180, 820), (390, 844)
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


class Picture(NamedTuple):
    """One screenshot: the title of a board's protocol, window size in pixels, and colours."""

    name: str
    protocol: str
    size: tuple[int, int] = DESKTOP
    dark: bool = False


PICTURES = (
    Picture("board", "GEO"),
    Picture("board-dark", "GEO → 1000 Genomes → GTEx", dark=True),
    Picture("board-phone", "GEO", size=PHONE),
)


def take(browser: Browser, site: Path, picture: Picture) -> None:
    """Open a board, and save the picture."""
    page = browser.new_page(
        viewport={"width": picture.size[0], "height": picture.size[1]},
        color_scheme="dark" if picture.dark else "light",
    )
    page.goto((site / "index.html").as_uri())
    page.get_by_role("link", name=picture.protocol, exact=True).click()
    page.locator("#standings-table[data-ready]").wait_for()
    page.screenshot(path=IMAGES / f"{picture.name}.png", full_page=True)
    page.close()


def main(results: str) -> None:
    """Build the board and take every picture."""
    IMAGES.mkdir(exist_ok=True)
    chromium = os.environ.get("GENEBENCH_CHROMIUM") or shutil.which("chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        site = Path(folder) / "site"
        command = ["-m", "genebench", "leaderboard", results, "--out", str(site)]
        subprocess.run([sys.executable, *command], check=True)  # noqa: S603  a command of genebench
        browser = play.chromium.launch(executable_path=chromium, args=FLAGS)
        for picture in PICTURES:
            take(browser, site, picture)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
