"""Parameters of the training loop, declared once. Each method sets other defaults and presets."""

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
        help="profiles in a mini-batch, except for the last one of an epoch",
    ),
    Param(
        name="patience", default=0, minimum=0,
        help="stop after this many epochs without a better validation MAE (0: never)",
    ),
    Param(
        name="minutes", default=0.0, minimum=0.0,
        help="stop after the epoch in which this many minutes are up (0: never)",
    ),
    Param(
        name="precision", default="float32", choices=("float32", "bfloat16", "auto"),
        help="type of numbers in matrix products (weights are always float32). auto: bfloat16 "
        "where the processor is fast at it and the first step is near float32's, so results then "
        "depend on the machine, and the record says which it was",
    ),
    Param(
        name="storage", default="auto", choices=("auto", "resident", "streamed"),
        help="hold profiles on the device, or read them by batch (auto: hold them if they fit)",
    ),
)  # fmt: skip


def training_params(**defaults: Value | Mapping[str, Value]) -> tuple[Param, ...]:
    """Return the parameters of every method trained by :mod:`genebench.methods.training.loop`.

    Args:
        defaults: name → the default of the method, or preset → value, where ``paper`` is the
            default: ``training_params(batch=100, epochs={"small": 20, "paper": 500})``.

    Raises:
        TypeError: the loop has no parameter of that name.
    """
    extra = set(defaults) - {param.name for param in _LOOP}
    if extra:
        raise TypeError(f"the loop has no parameter {', '.join(sorted(extra))}")
    params = []
    for param in _LOOP:
        default = defaults.get(param.name, {})
        values = dict(default) if isinstance(default, Mapping) else {"paper": default}
        default = values.pop("paper", param.default)
        params.append(replace(param, default=default, presets=values))
    return tuple(params)
