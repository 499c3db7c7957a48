"""Upgrades: records of older formats, read as records of the current one.

Each step takes the document of one format, as JSON holds it, and returns that of the next. A step
adds nothing that the older record did not say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Document = dict[str, Any]


def upgraded(content: Any) -> Any:
    """Return a document in the current format. All but older records come back as they are.

    Raises:
        ValueError: the document holds a key that its format does not have.
    """
    while isinstance(content, dict) and (step := _STEPS.get(_format(content))):
        content = step(content)
    return content


def upgraded_identity(identity: Any) -> Any:
    """Return an identity of format 1 or 2 in the words of format 3."""
    if not isinstance(identity, dict):
        return identity
    renamed = {_IDENTITY_KEYS.get(key, key): value for key, value in identity.items()}
    for key in ("train", "validation", "test"):
        if isinstance(renamed.get(key), str):
            renamed[key] = renamed[key].replace("/select", "/validation")
    return renamed


_IDENTITY_KEYS = {"select": "validation"}


def _from_1(document: Document) -> Document:
    """Add where the code of plugins came from, as far as format 1 knows it.

    Format 1 knows the origin of distributions that ran from a checkout, and of no others.
    """
    provenance = document.get("provenance")
    for holder, key in (
        (document, "seal"),
        (document, "model_parameters"),
        (provenance, "plugins"),
    ):
        if isinstance(holder, dict) and key in holder:
            raise ValueError(f"says format 1, which has no {key}: was edited after it was written")
    if isinstance(provenance, dict):
        provenance = {**provenance, "plugins": _checkouts(provenance)}
    return {**document, "format": 2, "provenance": provenance}


def _from_2(document: Document) -> Document:
    """Rename: "select" became "validation", and "seal" became "checksum"."""
    if "checksum" in document:
        raise ValueError("says format 2, which has no checksum: was edited after it was written")
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
    if not isinstance(table, dict):
        return table
    return {names.get(key, key): value for key, value in table.items()}


def _checkouts(provenance: Document) -> Document:
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


def _format(document: Document) -> int | None:
    written = document.get("format")
    return written if type(written) is int else None


_STEPS: Mapping[int | None, Callable[[Document], Document]] = {1: _from_1, 2: _from_2}

CHECKSUM_KEYS: Mapping[int, str] = {2: "seal", 3: "checksum"}
"""Format → the key that holds the checksum of all others. Records of format 1 have none."""
