"""Upgrades: records of older formats become records of the current one when they are read.

Each step takes the document of one format, as JSON holds it, and returns that of the next format.
A step adds nothing that the older record did not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Document = dict[str, Any]


def upgraded(content: Any) -> Any:
    """Return a document in the current format. Anything but an older record stays as it is.

    Raises:
        ValueError: the document holds a key that its format does not have.
    """
    if (version := _older_format(content)) is None:
        return content
    _refuse_newer_keys(content, version)
    while (version := _older_format(content)) is not None:
        content = _STEPS[version](content)
    return content


def _older_format(content: Any) -> int | None:
    """Return the format of an older record, or None for anything else."""
    version = content.get("format") if isinstance(content, dict) else None
    # In Python True == 1 and 1.0 == 1, so only the type shows that a file was edited.
    return version if type(version) is int and version in _STEPS else None


def _refuse_newer_keys(document: Document, version: int) -> None:
    """Refuse an older record that holds a key of a newer format.

    An upgrade would drop the key, or take it for one of its own. Such a record was edited.
    """
    for added, keys in _ADDED_KEYS.items():
        for key in keys if added > version else ():
            # Format 2 called its checksum "seal". Format 4 has another key of that name.
            if key == CHECKSUM_KEYS.get(version):
                continue
            parent, _, name = key.rpartition(".")
            holder = document.get(parent) if parent else document
            if isinstance(holder, dict) and name in holder:
                raise ValueError(
                    f"format {version} has no {key}, so the record was edited after it was written"
                )


_ADDED_KEYS: Mapping[int, tuple[str, ...]] = {
    2: ("seal", "model_parameters", "provenance.plugins"),
    3: ("checksum", "identity.validation", "identity.splits", "profiles.validation"),
    4: ("seal", "identity.members"),
    5: ("reason",),
    6: ("timing", "energy", "provenance.processor"),
}
"""Format → the keys that are new in it. A dot stands between a key and a key inside it."""


def upgraded_identity(identity: Any) -> Any:
    """Return an identity of format 1 or 2 with the names of format 3."""
    if not isinstance(identity, dict):
        return identity
    renamed = {_IDENTITY_KEYS.get(key, key): value for key, value in identity.items()}
    for key in ("train", "validation", "test"):
        if isinstance(renamed.get(key), str):
            for word, new_word in _PART_WORDS.items():
                renamed[key] = renamed[key].replace(word, new_word)
    return renamed


_IDENTITY_KEYS = {"select": "validation"}

_PART_WORDS = {"/select": "/validation", "/training-units": "/training-statistics"}
"""Word of formats 1 and 2 in the name of a part → the word of format 3. A slash starts each word of
a part, and no name of a platform or a split has one."""


def _from_1(document: Document) -> Document:
    """Add the origin of each plugin's code.

    Format 1 holds the origin of distributions that ran from a checkout, and of no others.
    """
    provenance = document.get("provenance")
    if isinstance(provenance, dict):
        provenance = {**provenance, "plugins": _checkouts(provenance)}
    return {**document, "format": 2, "provenance": provenance}


def _from_2(document: Document) -> Document:
    """Rename "select" to "validation", "units" to "statistics", and "seal" to "checksum"."""
    document = {
        **document,
        "format": 3,
        "identity": upgraded_identity(document.get("identity")),
        "profiles": _renamed(document.get("profiles"), {"select": "validation"}),
        "choices": _renamed(document.get("choices"), {"selection_mae": "validation_mae"}),
        "checksum": document.get("seal", ""),
    }
    return {key: value for key, value in document.items() if key != "seal"}


def _from_3(document: Document) -> Document:
    """Add that nobody knows how far the method was kept from its test data."""
    return {
        **document,
        "format": 4,
        "seal": {"level": "no", "reason": "unknown: written before seals were recorded"},
    }


def _from_4(document: Document) -> Document:
    """Change nothing else: format 5 has one more status, and the reason for it."""
    return {**document, "format": 5}


def _from_5(document: Document) -> Document:
    """Change nothing else: nobody knows the timing epoch, the processor or the energy."""
    return {**document, "format": 6}


def _renamed(table: Any, names: Mapping[str, str]) -> Any:
    """Return a table with some keys renamed. A damaged one is left to the record's own checks."""
    if not isinstance(table, dict):
        return table
    return {names.get(key, key): value for key, value in table.items()}


def _checkouts(provenance: Document) -> Document:
    """Return the origins that format 1 holds: distribution → version, commit and changes."""
    commits, versions = provenance.get("git"), provenance.get("versions")
    if not (isinstance(commits, dict) and isinstance(versions, dict)):
        return {}
    return {
        name: {
            "version": versions.get(name, ""),
            "install": "editable",
            "commit": str(commit).removesuffix("-dirty"),
            "dirty": str(commit).endswith("-dirty"),
        }
        for name, commit in commits.items()
    }


_STEPS: Mapping[int, Callable[[Document], Document]] = {
    1: _from_1, 2: _from_2, 3: _from_3, 4: _from_4, 5: _from_5,
}  # fmt: skip
"""Format → the step to the next format."""

CHECKSUM_KEYS: Mapping[int, str] = {
    2: "seal", 3: "checksum", 4: "checksum", 5: "checksum", 6: "checksum",
}  # fmt: skip
"""Format → the key that holds the checksum of all others. Records of format 1 have none."""
