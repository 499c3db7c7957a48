"""Equations of methods for the leaderboard: ``python docs/maths.py`` writes them.

The pages in ``docs/reference/methods`` are the only source. A board has no converter of LaTeX, so
what it shows is made here, as HTML with MathML. A test fails if the file is not that of the pages.
"""

from __future__ import annotations

import json
import re
from html import escape
from pathlib import Path

from docutils.utils.math.latex2mathml import tex2mathml

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "reference" / "methods"
FILE = ROOT / "genebench" / "leaderboard" / "maths.json"
_DISPLAY = re.compile(r"```\{math\}\n(.*?)\n```", re.DOTALL)
_INLINE = re.compile(r"\{math\}`([^`]+)`|`([^`]+)`|\[([^\]]+)\]\([^)]+\)")


def maths() -> dict[str, str]:
    """Return name of a method → its equations and their explanation, as HTML."""
    found = {}
    for page in sorted(PAGES.glob("*.md")):
        parts = re.split(r"^## `", page.read_text("utf-8"), flags=re.MULTILINE)
        intro = parts[0].partition("\n")[2]
        for part in parts[1:]:
            name, _, text = part.partition("`")
            own = text.partition("```{method-card}")[0]
            found[name] = _html(f"{intro}\n{own}")
    return found


def _html(text: str) -> str:
    """Return paragraphs and equations of a page as HTML. The pages use nothing else there."""
    blocks = []
    for number, part in enumerate(_DISPLAY.split(text)):
        if number % 2:
            math = tex2mathml(part, as_block=True)
            blocks.append(f"<div class=equation tabindex=0 role=math>{math}</div>")
        else:
            paragraphs = (" ".join(block.split()) for block in part.split("\n\n"))
            blocks += [f"<p>{_inline(paragraph)}" for paragraph in paragraphs if paragraph]
    return re.sub(r">\n\s*<", "><", "\n".join(blocks))


def _inline(text: str) -> str:
    parts, end = [], 0
    for match in _INLINE.finditer(text):
        math, code, link = match.groups()
        shown = tex2mathml(math) if math else f"<code>{escape(code)}</code>" if code else link
        parts += [escape(text[end : match.start()]), shown]
        end = match.end()
    return "".join([*parts, escape(text[end:])])


if __name__ == "__main__":
    FILE.write_text(json.dumps(maths(), indent=1, ensure_ascii=False) + "\n", "utf-8")
