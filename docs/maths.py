"""Equations of shipped methods for the leaderboard: ``python docs/maths.py`` writes them.

The pages in ``docs/reference/methods`` are the only source. ``MethodSpec.equations`` of these
methods is empty: the field is no part of a key, but the digest of the package's code is, so an edit
of the text changes keys. A test fails if the file is not that of the pages.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from genebench.leaderboard.equations import equations

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "reference" / "methods"
FILE = ROOT / "genebench" / "leaderboard" / "maths.json"


def maths() -> dict[str, str]:
    """Return name of a method → its equations and their explanation, as HTML."""
    found = {}
    for page in sorted(PAGES.glob("*.md")):
        parts = re.split(r"^## `", page.read_text("utf-8"), flags=re.MULTILINE)
        intro = parts[0].partition("\n")[2]
        for part in parts[1:]:
            name, _, text = part.partition("`")
            own = text.partition("```{method-card}")[0]
            found[name] = str(equations(_plain(f"{intro}\n{own}")))
    return found


def _plain(text: str) -> str:
    """Return a page with equations between dollars, and without links. It uses nothing else."""
    text = re.sub(r"```\{math\}\n(.*?)\n```", r"$$\1$$", text, flags=re.DOTALL)
    text = re.sub(r"\{math\}`([^`]+)`", r"$\1$", text)
    return re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", text)


if __name__ == "__main__":
    FILE.write_text(json.dumps(maths(), indent=1, ensure_ascii=False) + "\n", "utf-8")
