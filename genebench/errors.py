"""The two kinds of failure: the user's (one line, exit status 2) and ours (a traceback)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake the user can mend: the message names what, where and the remedy, on one line."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


def describe(error: BaseException) -> str:
    """Class and message of an exception on one line; even its message may raise."""
    try:
        message = " ".join(str(error).split())
    except Exception:  # noqa: BLE001  exceptions of plugins can be anything
        message = "(its message cannot be printed)"
    return f"{type(error).__name__}: {message}"


def some(names: Iterable[str], most: int = 3) -> str:
    """The first few names, and whether there are more."""
    listed = [str(name) for name in names]
    return ", ".join(listed[:most]) + (", …" if len(listed) > most else "")


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name nobody declares, with near misses (or all names when there are few)."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        hint = f"did you mean {' or '.join(close)}?"
    elif names:
        hint = f"known: {some(names, 12)}"
    else:
        hint = f"there is no {kind} at all"
    return UserError(f"unknown {kind} {name!r}; {hint}")
