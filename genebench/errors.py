"""Error for mistakes of the user, and helpers that word messages.

A :class:`UserError` ends a command with one line and exit status 2. Every other exception is a
fault of genebench, and shows a traceback.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping

_MOST_SIMILAR = 3
"""Names that an error suggests."""
_MOST_KNOWN = 12
"""Names that an error lists when none is similar to the unknown one."""


class UserError(Exception):
    """A mistake that the user can correct.

    The message says on one line what is wrong (file, value), and then what to do.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


def describe(error: BaseException) -> str:
    """Return the class and the message of an exception on one line.

    Exceptions of plugins may raise when they are printed. A fixed text replaces their message.
    Bytes that are no text, as in the name of a file, are shown as escapes.
    """
    try:
        message = " ".join(str(error).split())
    except Exception:  # noqa: BLE001  exceptions of plugins can be anything
        message = "(its message cannot be printed)"
    return f"{type(error).__name__}: {message}".encode("utf-8", "backslashreplace").decode()


def some(names: Iterable[str], most: int = 3) -> str:
    """Return the first few names, separated by commas, with an ellipsis if there are more."""
    listed = [str(name) for name in names]
    return ", ".join(listed[:most]) + (", …" if len(listed) > most else "")


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: ``1 profile``, ``3,000 profiles``.

    Args:
        number: the number.
        noun: the noun for one.
        plural: the noun for several, if it is not the noun and an ``s``.
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def unknown(
    kind: str, name: str, known: Iterable[str], texts: Mapping[str, str] | None = None
) -> UserError:
    """Return the error for an unknown name, with similar names, or else with the known ones.

    Args:
        kind: the kind of the thing.
        name: the unknown name.
        known: the known names.
        texts: known name → a text about it. Names whose text has the unknown word come first.
    """
    names = sorted(known)
    word = re.compile(rf"\b{re.escape(name)}\b", re.IGNORECASE)
    meant = [other for other in names if name.strip() and word.search((texts or {}).get(other, ""))]
    # 0.5 finds "lsr-l2" for "lsrl2" and "knn" for "kn", and nothing for unrelated words.
    similar = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    close = list(dict.fromkeys([*meant, *similar]))[:_MOST_SIMILAR]
    if close:
        hint = f"Did you mean {' or '.join(close)}?"
    elif names:
        hint = f"Known: {some(names, _MOST_KNOWN)}"
    else:
        hint = f"There is no {kind}."
    return UserError(f"unknown {kind} {name!r}. {hint}")


def missing_library(what: str, library: str, extra: str, alternative: str = "") -> UserError:
    """Return the error for a library that is not installed.

    Args:
        what: the thing that needs it.
        library: its name.
        extra: the extra of genebench that installs it.
        alternative: a sentence on how to do without, if there is a way.
    """
    return UserError(
        f"{what} needs {library}, which is not installed. "
        f"Install it: pip install 'genebench-suite[{extra}]'. {alternative}".rstrip()
    )


def no_results(purpose: str, folder: object = "") -> UserError:
    """Return the error for a folder without results to show, to verify or to export."""
    place = f"{folder}: there" if folder else "There"
    return UserError(f"{place} are no results to {purpose}. Run some with genebench run.")
