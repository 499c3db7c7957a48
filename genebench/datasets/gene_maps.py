"""Gene maps by role: those that the user names, or else the published ones, once fetched."""

from __future__ import annotations

from pathlib import Path

from genebench.data.home import home
from genebench.datasets.sources import find
from genebench.errors import UserError


def find_map(role: str, given: Path | None) -> Path:
    """Return the file of the map of a role, ``landmarks`` or ``targets``.

    Args:
        role: the role. The published map has its name among the sources.
        given: the file that the user names, if any.

    Raises:
        UserError: none is named, and the published map was not fetched.
    """
    path = home() / "downloads" / find(role).file if given is None else given
    if given is None and not path.exists():
        raise UserError(
            f"{path}: the published map of the {role} is not here. Run genebench data fetch "
            f"{role}, or name another map with --{role}."
        )
    return path
