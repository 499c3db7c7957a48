"""Completion of names in a shell. It imports no code of methods, so that it answers at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from genebench.errors import UserError

Completer = Callable[[str], list[tuple[str, str]]]
"""Function from the beginning of a word to the words that it may become, each with its help."""


def names_of(*kinds: str) -> Completer:
    """Return the completer of names of some kinds, such as ``methods``. Commas separate several.

    Args:
        kinds: attributes of :class:`genebench.plugins.registry.Registry`. Prepared datasets count
            as ``datasets``. A name of several kinds is offered once.
    """

    def complete(incomplete: str) -> list[tuple[str, str]]:
        from genebench.plugins.registry import registry

        titles: dict[str, str] = {}
        # A shell has no place for a message, so what cannot be read offers nothing.
        with suppress(UserError):
            for kind in kinds:
                for name, spec in getattr(registry(), kind).specs.items():
                    text = getattr(spec, "summary", "") or getattr(spec, "title", "")
                    titles.setdefault(name, str(text))
            if "datasets" in kinds:
                from genebench.data.home import prepared_titles

                titles |= prepared_titles()
        return _among(titles.items(), incomplete)

    return complete


anything = names_of("methods", "engines", "protocols", "metrics", "datasets")
"""The completer of the name of anything that ``genebench show`` describes."""


def words(*choices: str) -> Completer:
    """Return the completer of some fixed words."""
    return lambda incomplete: _among(((choice, "") for choice in choices), incomplete)


def suites(incomplete: str) -> list[tuple[str, str]]:
    """Complete the name of a shipped suite, or the path of a TOML file."""
    from genebench.runs.suite import read_suite, shipped_suites

    shipped = [(name, read_suite(name).title) for name in shipped_suites()]
    return _among(shipped, incomplete) + _files(incomplete, ".toml")


def _among(known: Iterable[tuple[str, str]], incomplete: str) -> list[tuple[str, str]]:
    """Return the names that the last of comma-separated names may become, after the others."""
    *others, last = incomplete.split(",")
    before = "".join(f"{other}," for other in others)
    return [
        (f"{before}{name}", _one_line(text))
        for name, text in known
        if name.startswith(last) and name not in others
    ]


def _one_line(text: str) -> str:
    """Return a text of a plugin without control characters, which would reach the terminal."""
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())


def _files(incomplete: str, suffix: str) -> list[tuple[str, Any]]:
    """Return folders and files of a suffix that begin like a path."""
    begun = Path(incomplete)
    folder = begun if incomplete.endswith("/") else begun.parent
    with suppress(OSError):
        return [
            (f"{path}/" if path.is_dir() else str(path), "")
            for path in sorted(folder.iterdir())
            if str(path).startswith(incomplete) and (path.is_dir() or path.suffix == suffix)
            and not path.name.startswith(".")
        ]  # fmt: skip
    return []
