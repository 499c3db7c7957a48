"""Equations of methods as HTML with MathML, from the plain text that a spec declares."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from docutils.utils.math.latex2mathml import tex2mathml
from markupsafe import Markup, escape

from genebench._util.text import printable

_DISPLAY = re.compile(r"(?<!\\)\$\$((?:\\.|[^\\])+?)\$\$", re.DOTALL)
_INLINE = re.compile(r"\\\$|\$((?:\\.|[^$\\])+)\$|`([^`]+)`")


class _Piece(NamedTuple):
    """A part of a text: LaTeX with a line of its own, or a paragraph."""

    text: str
    is_display: bool


def equations(text: str) -> Markup:
    r"""Return the equations of a method and their explanation as HTML.

    No HTML of the text survives: docutils escapes words in equations, and all else is escaped here.
    Control characters become �. LaTeX that docutils cannot convert is shown as its source.

    Args:
        text: paragraphs with empty lines between them. LaTeX stands in ``$…$``, or in ``$$…$$`` if
            it has a line of its own, and code in backticks. A dollar is written ``\$``.
    """
    blocks = []
    for piece in _pieces(text):
        if piece.is_display:
            math = _shown(piece.text, as_block=True)
            blocks.append(f"<div class=equation tabindex=0 role=math>{math}</div>")
        else:
            blocks.append(f"<p>{_inline(piece.text)}")
    return Markup("\n".join(blocks))  # noqa: S704  every part of it is escaped


def not_converted(text: str) -> Iterator[str]:
    """Yield the LaTeX of a text that docutils cannot convert."""
    for piece in _pieces(text):
        inline = (match[1] for match in _INLINE.finditer(piece.text) if match[1])
        for latex in [piece.text] if piece.is_display else inline:
            if _mathml(latex) is None:
                yield " ".join(latex.split())


def _pieces(text: str) -> Iterator[_Piece]:
    for number, part in enumerate(_DISPLAY.split(text)):
        if number % 2:
            # Lines stay, because a comment of LaTeX ends with its line.
            yield _Piece("\n".join(map(printable, part.splitlines())), is_display=True)
        else:
            for block in re.split(r"\n\s*\n", part):
                if paragraph := printable(block):
                    yield _Piece(paragraph, is_display=False)


def _inline(text: str) -> str:
    parts, end = [], 0
    for match in _INLINE.finditer(text):
        math, code = match.groups()
        shown = _shown(math) if math else _code(code) if code else "$"
        parts += [escape(text[end : match.start()]), shown]
        end = match.end()
    return "".join([*parts, escape(text[end:])])


def _shown(latex: str, *, as_block: bool = False) -> str:
    """Return LaTeX as MathML, or as its source if docutils cannot convert it."""
    math = _mathml(latex, as_block=as_block)
    return _code(" ".join(latex.split())) if math is None else math


def _code(text: str) -> str:
    return Markup("<code>{}</code>").format(text)


def _mathml(latex: str, *, as_block: bool = False) -> str | None:
    try:
        math: str = tex2mathml(latex, as_block=as_block)
    except Exception:  # noqa: BLE001  it raises errors of many kinds at bad LaTeX
        return None
    return re.sub(r">\n\s*<", "><", math)
