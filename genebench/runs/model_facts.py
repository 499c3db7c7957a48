"""Facts that a fitted model states about itself, checked before they enter a record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from genebench._util.text import encodable
from genebench.method import Model
from genebench.methods.predictions import plain
from genebench.results import limits
from genebench.results.panels import GENE_MODEL

Item = TypeVar("Item")


class BadModelError(Exception):
    """A fit returned no model, or a model states a fact about itself that cannot be recorded."""


class ModelFacts(NamedTuple):
    """The attributes of a :class:`genebench.Model`, in plain Python types."""

    choices: dict[str, Any]
    """Name → value that the validation set decided: λ, k, the epoch."""
    notes: tuple[str, ...]
    """Remarks that a reader of the result should see."""
    curves: dict[str, dict[str, tuple[float, ...]]]
    """Name → column → numbers. Columns of one curve have the same length."""
    n_parameters: int | None
    """How many numbers were learnt, or None."""
    vectors: dict[str, NDArray[Any]]
    """Name of a vector in the record → one number for each target."""


def model_facts(model: Model, n_targets: int) -> ModelFacts:
    """Return the facts that a model states about itself, cut to the limits of a record.

    A note says what was cut, so that a talkative method loses no result.

    Args:
        model: a fitted model.
        n_targets: the number of target genes.

    Raises:
        BadModelError: a choice, a curve, the number of parameters or a value per target is
            malformed.
    """
    remarks: list[str] = []
    return ModelFacts(
        choices=_choices(model, remarks),
        curves=_curves(model, remarks),
        n_parameters=_n_parameters(model),
        vectors=_vectors(model, n_targets, remarks),
        # Last, because the remarks follow the notes.
        notes=(*_notes(model, remarks), *remarks),
    )


def _notes(model: Model, remarks: list[str]) -> list[str]:
    """Return the first notes, each cut to a line."""
    notes = list(model.notes)
    most = limits.METHOD_NOTES
    if len(notes) > most:
        remarks.append(f"{len(notes):,} notes were given. The first {most} are kept.")
    return [limits.cut(encodable(note), limits.LINE_LETTERS) for note in notes[:most]]


def _choices(model: Model, remarks: list[str]) -> dict[str, Any]:
    first = _first(model.choices, limits.ENTRIES, "choices", remarks)
    return {name: _choice(name, value, remarks) for name, value in first.items()}


def _choice(name: str, value: Any, remarks: list[str]) -> Any:
    """Return a choice as a record can hold it: a plain value, or a tuple of these."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if not isinstance(value, list | tuple):
        return _plain_choice(value)
    if any(isinstance(item, list | tuple | np.ndarray) for item in value):
        raise BadModelError(f"choice {name}: a list in a list. Give a list of single values.")
    if len(value) > limits.ENTRIES:
        remarks.append(
            f"choice {name}: {len(value):,} values were given. The first {limits.ENTRIES} are kept."
        )
    return tuple(map(_plain_choice, value[: limits.ENTRIES]))


def _plain_choice(value: Any) -> Any:
    value = plain(value)
    return limits.cut(encodable(value), limits.LINE_LETTERS) if isinstance(value, str) else value


def _curves(model: Model, remarks: list[str]) -> dict[str, dict[str, tuple[float, ...]]]:
    """Return the curves that have at least one point."""
    curves = {}
    for name, columns in _first(model.curves, limits.CURVES, "curves", remarks).items():
        kept = _first(columns, limits.CURVES, f"columns of curve {name}", remarks)
        lengths = {len(values) for values in kept.values()}
        if len(lengths) > 1:
            raise BadModelError(f"curve {name}: its columns are not of one length")
        # A training that stops before its first epoch has an empty curve: nothing to show.
        if points := max(lengths, default=0):
            curves[name] = _thinned(name, kept, points, remarks)
    numbers = sum(len(values) for columns in curves.values() for values in columns.values())
    while numbers > limits.CURVE_NUMBERS:
        name, columns = curves.popitem()
        remarks.append(f"curve {name} was left out: the curves before it are as long as is kept.")
        numbers -= sum(map(len, columns.values()))
    return curves


def _thinned(
    name: str, columns: Mapping[str, Sequence[float]], points: int, remarks: list[str]
) -> dict[str, tuple[float, ...]]:
    """Return the columns of a curve, at evenly spaced points if there are too many."""
    positions: Sequence[int] = range(points)
    if points > limits.POINTS:
        remarks.append(
            f"curve {name}: of {points:,} points, {limits.POINTS:,} evenly spaced ones are kept."
        )
        positions = np.linspace(0, points - 1, limits.POINTS).round().astype(int).tolist()
    return {
        column: tuple(float(values[position]) for position in positions)
        for column, values in columns.items()
    }


def _first(table: Mapping[str, Item], most: int, what: str, remarks: list[str]) -> dict[str, Item]:
    """Return the first entries of a table whose names can be shown."""
    texts = {encodable(name): value for name, value in table.items()}
    kept = {
        name: value
        for name, value in texts.items()
        if len(name) <= limits.NAME_LETTERS and name.isprintable()
    }
    if len(kept) < len(table):
        remarks.append(
            f"{len(table) - len(kept):,} of the {what} were left out: their names have more than "
            f"{limits.NAME_LETTERS} letters, or letters that cannot be printed."
        )
    if len(kept) > most:
        remarks.append(f"{len(kept):,} {what} were given. The first {most} are kept.")
    return dict(islice(kept.items(), most))


def _n_parameters(model: Model) -> int | None:
    number = plain(model.n_parameters)
    # type(), not isinstance(): True is an int, but not a number of parameters.
    if number is not None and (type(number) is not int or number < 0):
        raise BadModelError(f"n_parameters: {number!r} is not a number of parameters")
    return number


def _vectors(model: Model, n_targets: int, remarks: list[str]) -> dict[str, NDArray[Any]]:
    per_target = _first(model.per_target, limits.CURVES, "values per target", remarks)
    vectors = {f"{GENE_MODEL}{name}": np.asarray(values) for name, values in per_target.items()}
    for name, values in vectors.items():
        # Kinds of numpy: boolean, signed, unsigned, floating. No objects: they need pickle.
        if values.shape != (n_targets,) or values.dtype.kind not in "biuf":
            raise BadModelError(f"{name}: {values.shape} is not one number for each target")
    return {name: values.astype(_portable(values.dtype)) for name, values in vectors.items()}


def _portable(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return a type that every machine reads: float128 is not, nor is the other byte order."""
    odd = dtype.kind == "f" and dtype.itemsize not in {4, 8}
    return np.dtype(np.float64) if odd else dtype.newbyteorder("=")
