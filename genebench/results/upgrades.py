"""Records of older formats, turned into records of today: one function for each step.

A step takes the document of one format, as it came from JSON, and returns that of the next. It
invents nothing: what an older record does not say stays unsaid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Document = dict[str, Any]


def upgraded(content: Any) -> Any:
    """The document in the format of today; anything but an older record comes back as it is.

    Raises:
        ValueError: it says that it is older than what is in it.
    """
    while isinstance(content, dict) and (step := _STEPS.get(_format(content))):
        content = step(content)
    return content


def _from_1(document: Document) -> Document:
    """Format 2 also says how large the model is, and where every plugin's code came from.

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


_STEPS: Mapping[int | None, Callable[[Document], Document]] = {1: _from_1}
