"""The loop's parameters, declared once; a method puts in its own defaults and presets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from genebench.specs import Param, Value

_LOOP = (
    Param(
        name="epochs", default=200, minimum=1,
        help="passes over the training profiles",
    ),
    Param(
        name="batch", default=200, minimum=1,
        help="profiles in a mini-batch; the last one of an epoch may be shorter",
    ),
    Param(
        name="patience", default=0, minimum=0,
        help="stop after this many epochs without a better validation MAE; 0: never",
    ),
    Param(
        name="minutes", default=0.0, minimum=0.0,
        help="stop at the end of the epoch in which this many minutes are up; 0: never",
    ),
    Param(
        name="precision", default="float32", choices=("float32", "bfloat16"),
        help="of matrix products; weights are kept in float32",
    ),
    Param(
        name="storage", default="auto", choices=("auto", "resident", "streamed"),
        help="profiles held on the device, or read batch by batch; auto: held where they fit",
    ),
)  # fmt: skip


def training_params(**own: Value | Mapping[str, Value]) -> tuple[Param, ...]:
    """The parameters that every method trained by :mod:`genebench.methods.training.loop` has.

    Args:
        own: name → the method's own default, or preset → value, where ``paper`` is the default:
            ``training_params(batch=100, epochs={"small": 20, "paper": 500})``.

    Raises:
        TypeError: a name that the loop has no parameter for.
    """
    strangers = set(own) - {param.name for param in _LOOP}
    if strangers:
        raise TypeError(f"the loop has no parameter {', '.join(sorted(strangers))}")
    return tuple(_with(param, own.get(param.name, {})) for param in _LOOP)


def _with(param: Param, own: Value | Mapping[str, Value]) -> Param:
    values = dict(own) if isinstance(own, Mapping) else {"paper": own}
    return replace(param, default=values.pop("paper", param.default), presets=values)
