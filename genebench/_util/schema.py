"""Faults that pydantic finds in files, in the words of users."""

from __future__ import annotations

from pydantic import ValidationError

_LONGEST = 200
"""Letters of a place and of a fault that are shown. A stranger's file may have endless keys."""


def first_fault(error: ValidationError) -> str:
    """Return the first fault that pydantic found, with its place, as ``place: fault``.

    The place is a dotted path of keys, or ``the file`` if the file as a whole is at fault.
    """
    fault = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(str(part)[:_LONGEST] for part in fault["loc"])[:_LONGEST] or "the file"
    match fault["type"]:
        case "extra_forbidden":
            return f"unknown key {place}"
        case "missing":
            return f"{place}: this key is missing"
        case "too_short":
            return f"{place}: this list is empty"
        case _:
            return f"{place}: {fault['msg'][:_LONGEST]}"
