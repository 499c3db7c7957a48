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
    while isinstance(content, dict):
        version = content.get("format")
        # In Python True == 1 and 1.0 == 1, so only the type shows that a file was edited.
        step = _STEPS.get(version) if type(version) is int else None
        if step is None:
            break
        content = step(content)
    return content


def upgraded_identity(identity: Any) -> Any:
    """Return an identity of format 1 or 2 with the names of format 3."""
    if not isinstance(identity, dict):
        return identity
    renamed = {_IDENTITY_KEYS.get(key, key): value for key, value in identity.items()}
    for key in ("train", "validation", "test"):
        if isinstance(renamed.get(key), str):
            renamed[key] = renamed[key].replace("/select", "/validation")
    return renamed


_IDENTITY_KEYS = {"select": "validation"}


def _from_1(document: Document) -> Document:
    """Add the origin of each plugin's code.

    Format 1 holds the origin of distributions that ran from a checkout, and of no others.
    """
    provenance = document.get("provenance")
    for holder, key in (
        (document, "seal"),
        (document, "model_parameters"),
        (provenance, "plugins"),
    ):
        if isinstance(holder, dict) and key in holder:
            raise ValueError(
                f"format 1 has no {key}, so the record was edited after it was written"
            )
    if isinstance(provenance, dict):
        provenance = {**provenance, "plugins": _checkouts(provenance)}
    return {**document, "format": 2, "provenance": provenance}


def _from_2(document: Document) -> Document:
    """Rename "select" to "validation", and "seal" to "checksum"."""
    if "checksum" in document:
        raise ValueError("format 2 has no checksum, so the record was edited after it was written")
    document = {
        **document,
        "format": 3,
        "identity": upgraded_identity(document.get("identity")),
        "profiles": _renamed(document.get("profiles"), {"select": "validation"}),
        "choices": _renamed(document.get("choices"), {"selection_mae": "validation_mae"}),
        "checksum": document.get("seal", ""),
    }
    return {key: value for key, value in document.items() if key != "seal"}


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


_STEPS: Mapping[int, Callable[[Document], Document]] = {1: _from_1, 2: _from_2}
"""Format → the step to the next format."""

CHECKSUM_KEYS: Mapping[int, str] = {2: "seal", 3: "checksum"}
"""Format → the key that holds the checksum of all others. Records of format 1 have none."""
