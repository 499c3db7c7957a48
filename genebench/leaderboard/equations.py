"""Equations of methods as HTML with MathML, from the plain text that a spec declares."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from docutils.utils.math.latex2mathml import tex2mathml
from markupsafe import Markup, escape

from genebench._util.text import printable

_DISPLAY = re.compile(r"(?<!\\)\$\$((?:\\.|[^\\])+?)\$\$", re.DOTALL)
_INLINE = re.compile(r"\\\$|\$((?:\\.|[^$\\])+)\$|`([^`]+)`")


_RULE = re.compile(r"[|:\- ]+")
"""Line between the head and the rows of a table."""


class _Piece(NamedTuple):
    """A part of a text: LaTeX with a line of its own, or the lines of a paragraph."""

    text: str
    is_display: bool


def equations(text: str) -> Markup:
    r"""Return the equations of a method and their explanation as HTML.

    No HTML of the text survives: docutils escapes words in equations, and all else is escaped here.
    Control characters become �. LaTeX that docutils cannot convert is shown as its source.

    Args:
        text: paragraphs with empty lines between them. LaTeX stands in ``$…$``, or in ``$$…$$`` if
            it has a line of its own, and code in backticks. A dollar is written ``\$``. Lines of a
            paragraph may be a list (``- …``) or a table (``| … | … |``) of Markdown. Cells hold no
            bars.
    """
    blocks = []
    for piece in _pieces(text):
        if piece.is_display:
            math = _shown(piece.text, as_block=True)
            blocks.append(f"<div class=equation tabindex=0 role=math>{math}</div>")
        else:
            blocks.append(_block(piece.text.split("\n")))
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
                if lines := [line for line in map(printable, block.splitlines()) if line]:
                    yield _Piece("\n".join(lines), is_display=False)


def _block(lines: Sequence[str]) -> str:
    """Return the lines of a paragraph, a list or a table as HTML."""
    first_item = next((at for at, line in enumerate(lines) if line.startswith("- ")), None)
    if first_item:
        return f"{_block(lines[:first_item])}\n{_block(lines[first_item:])}"
    if first_item == 0:
        # Lines without a dash continue the item above.
        items = [item.replace("\n", " ") for item in "\n".join(lines)[2:].split("\n- ")]
        return f"<ul>{''.join(f'<li>{_inline(item)}' for item in items)}</ul>"
    if len(lines) > 1 and _RULE.fullmatch(lines[1]) and all(line[0] == "|" for line in lines):
        cells = (line[1:].removesuffix("|").split("|") for line in lines)
        head, _, *rows = ([_inline(cell.strip()) for cell in row] for row in cells)
        body = "".join(f"<tr><th scope=row>{'<td class=text>'.join(row)}" for row in rows)
        return (
            "<div class=scroll tabindex=0 role=region aria-label=Table><table class=box><thead><tr>"
            f"{''.join(f'<th scope=col class=text>{name}' for name in head)}</thead>{body}"
            "</table></div>"
        )
    return f"<p>{_inline(' '.join(lines))}"


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
