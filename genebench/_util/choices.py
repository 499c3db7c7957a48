"""Remarks on values that were chosen from a grid."""

from __future__ import annotations

from collections.abc import Collection


def edge_note(name: str, chosen: object, values: Collection[object]) -> str:
    """Return a remark if a number at the end of its grid was chosen, or an empty text.

    A better value may then lie beyond the grid. Texts and switches have no order, and a single
    value was not chosen.

    Args:
        name: name of the parameter.
        chosen: the choice.
        values: the values that were tried.
    """
    # isinstance(True, int) holds, and a switch has no edge.
    numbers = {
        value for value in values if isinstance(value, int | float) and type(value) is not bool
    }
    if len(numbers) < 2 or chosen not in numbers or len(numbers) < len(set(values)):  # noqa: PLR2004
        return ""
    beyond = {min(numbers): "smaller", max(numbers): "larger"}.get(chosen)
    if not beyond:
        return ""
    return f"{name}={chosen:g} is at the edge of its grid. Try {beyond} values, too."
