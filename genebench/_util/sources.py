"""The part of Python sources that a program's results can depend on: not comments, not layout."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

_READS_ITSELF = re.compile(
    rb"__doc__|__code__|getdoc|getsource|getcomments|findsource|getframeinfo|currentframe|_getframe"
    rb"|lineno|linecache|tokenize|docopt|doctest|ast\.parse|\bhelp\(|\.py[\"']"
)
"""Words of code that may read docstrings, comments or line numbers, its own or another file's."""


def effective(sources: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the effective part of each source of one package, in the same order.

    Equal parts mean equal code. Comments, layout, redundant brackets and docstrings do not count.
    Two sources that differ in anything else differ in this part, in every version of Python alike.
    All of every source counts where one of them may read docstrings or line numbers, and all of a
    source that this Python cannot parse. Comments of types always count, because compilers read
    them.
    """
    # Git may check files out with other line ends on Windows.
    texts = [source.replace(b"\r\n", b"\n") for source in sources]
    reads_itself = any(map(_READS_ITSELF.search, texts))
    for text in texts:
        tree = None if reads_itself else _tree(text)
        # The first word keeps both kinds apart.
        yield b"text " + text if tree is None else b"tree " + tree


def _tree(text: bytes) -> bytes | None:
    """Return the syntax tree of a source as text, or None if it has none."""
    try:
        return _dump(ast.parse(text, type_comments=True)).encode("utf-8", "surrogatepass")
    # ValueError: a zero byte, or a whole number too large to print.
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _dump(node: object) -> str:
    """Return a node, a list of nodes or a plain value as text, without positions.

    ``ast.dump`` differs between versions of Python, in empty fields and in pieces of f-strings.
    """
    if isinstance(node, list):
        return f"[{','.join(_dump(item) for item in node if not _is_docstring(item))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    parts = []
    for name in node._fields:
        value = getattr(node, name, None)
        # None is also a value, which a source can write.
        is_written = name == "value" and isinstance(node, ast.Constant)
        # Left out: empty fields, the lines of "type: ignore", and the u of u"text".
        if not is_written and (name in ("type_ignores", "kind") or value is None or value == []):
            continue
        if isinstance(node, ast.JoinedStr):
            value = _joined(node.values)
        if isinstance(value, ast.JoinedStr) and not value.values:
            continue
        parts.append(f"{name}={_dump(value)}")
    return f"{type(node).__name__}({','.join(parts)})"


def _is_docstring(node: object) -> bool:
    """Return whether a statement is a plain text, which does nothing."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _joined(values: list[ast.expr]) -> list[ast.expr]:
    """Return the parts of an f-string, with neighbouring texts as one."""
    parts: list[ast.expr] = []
    for value in values:
        before = parts[-1] if parts else None
        if (
            isinstance(value, ast.Constant)
            and isinstance(before, ast.Constant)
            and isinstance(value.value, str)
            and isinstance(before.value, str)
        ):
            parts[-1] = ast.Constant(before.value + value.value)
        else:
            parts.append(value)
    return parts
