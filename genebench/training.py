"""Training by gradient. Plugins may rely on this import path.

The code is in :mod:`genebench.methods.training`. Names are imported on first use. A plugin
declares its parameters with :func:`training_params`, and listing it must not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genebench.methods.training.adam import adam_in_one_pass
    from genebench.methods.training.errors import DivergedError, OutOfMemoryError
    from genebench.methods.training.learner import Learner, generator
    from genebench.methods.training.loop import Trained, train
    from genebench.methods.training.noise import bernoulli
    from genebench.methods.training.params import training_params
    from genebench.methods.training.precision import DTYPES, Weight, product

__all__ = [
    "DTYPES",
    "DivergedError",
    "Learner",
    "OutOfMemoryError",
    "Trained",
    "Weight",
    "adam_in_one_pass",
    "bernoulli",
    "generator",
    "product",
    "train",
    "training_params",
]

_MODULES = {
    "DTYPES": "precision",
    "DivergedError": "errors",
    "Learner": "learner",
    "OutOfMemoryError": "errors",
    "Trained": "loop",
    "Weight": "precision",
    "adam_in_one_pass": "adam",
    "bernoulli": "noise",
    "generator": "learner",
    "product": "precision",
    "train": "loop",
    "training_params": "params",
}


def __getattr__(name: str) -> Any:
    """Import a public name from the module that holds it."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"genebench.methods.training.{_MODULES[name]}"), name)
