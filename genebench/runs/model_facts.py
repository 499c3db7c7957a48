"""Facts that a fitted model states about itself, checked before they enter a record."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genebench._util.text import encodable
from genebench.method import Model
from genebench.results.panels import GENE_MODEL


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
    """Return the facts that a model states about itself.

    Args:
        model: a fitted model.
        n_targets: the number of target genes.

    Raises:
        BadModelError: a curve, the number of parameters or a value per target is malformed.
    """
    return ModelFacts(
        choices={_text(name): _text(_plain(value)) for name, value in model.choices.items()},
        notes=tuple(map(_text, model.notes)),
        curves=_curves(model),
        n_parameters=_n_parameters(model),
        vectors=_vectors(model, n_targets),
    )


def _curves(model: Model) -> dict[str, dict[str, tuple[float, ...]]]:
    """Return the curves that have at least one point."""
    curves = {
        _text(name): {_text(column): tuple(map(float, values)) for column, values in curve.items()}
        for name, curve in model.curves.items()
    }
    for name, curve in curves.items():
        if len({len(values) for values in curve.values()}) > 1:
            raise BadModelError(f"curve {name}: its columns are not of one length")
    # A training that stops before its first epoch has an empty curve: nothing to show.
    return {name: curve for name, curve in curves.items() if any(curve.values())}


def _n_parameters(model: Model) -> int | None:
    number = _plain(model.n_parameters)
    # type(), not isinstance(): True is an int, but not a number of parameters.
    if number is not None and (type(number) is not int or number < 0):
        raise BadModelError(f"n_parameters: {number!r} is not a number of parameters")
    return number


def _vectors(model: Model, n_targets: int) -> dict[str, NDArray[Any]]:
    vectors = {
        f"{GENE_MODEL}{_text(name)}": np.asarray(values)
        for name, values in model.per_target.items()
    }
    for name, values in vectors.items():
        # Kinds of numpy: boolean, signed, unsigned, floating. No objects: they need pickle.
        if values.shape != (n_targets,) or values.dtype.kind not in "biuf":
            raise BadModelError(f"{name}: {values.shape} is not one number for each target")
    return vectors


def _text(value: Any) -> Any:
    """Return a text as one that a record can hold, anything else unchanged."""
    return encodable(value) if isinstance(value, str) else value


def _plain(value: Any) -> Any:
    """Return a numpy scalar as the Python value that it stands for, anything else unchanged."""
    return value.item() if isinstance(value, np.generic) else value
