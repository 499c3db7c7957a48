"""Equations of methods as HTML with MathML, from the plain text that a spec declares."""

from __future__ import annotations

import re
from typing import Any

from markupsafe import Markup, escape

_DISPLAY = re.compile(r"\$\$(.+?)\$\$", re.DOTALL)
_INLINE = re.compile(r"\$([^$]+)\$|`([^`]+)`")


def equations(text: str) -> Markup:
    """Return the equations of a method and their explanation as HTML.

    No HTML of the text survives: docutils escapes words in equations, and all else is escaped here.

    Args:
        text: paragraphs with empty lines between them. LaTeX stands in ``$…$``, or in ``$$…$$`` if
            it has a line of its own, and code in backticks.
    """
    blocks = []
    for number, part in enumerate(_DISPLAY.split(text)):
        if number % 2:
            math = _mathml(part, as_block=True)
            blocks.append(f"<div class=equation tabindex=0 role=math>{math}</div>")
        else:
            paragraphs = (" ".join(block.split()) for block in re.split(r"\n\s*\n", part))
            blocks += [f"<p>{_inline(paragraph)}" for paragraph in paragraphs if paragraph]
    return Markup("\n".join(blocks))  # noqa: S704  every part of it is escaped


def _inline(text: str) -> str:
    parts, end = [], 0
    for match in _INLINE.finditer(text):
        math, code = match.groups()
        shown = _mathml(math) if math else Markup("<code>{}</code>").format(code)
        parts += [escape(text[end : match.start()]), shown]
        end = match.end()
    return "".join([*parts, escape(text[end:])])


def _mathml(latex: str, **options: Any) -> str:
    """Return LaTeX as MathML, or as its source if docutils cannot convert it."""
    try:
        from docutils.utils.math.latex2mathml import tex2mathml

        math: str = tex2mathml(latex, **options)
    except Exception:  # noqa: BLE001  it raises errors of many kinds, and may not be installed
        return Markup("<code>{}</code>").format(" ".join(latex.split()))
    return re.sub(r">\n\s*<", "><", math)
