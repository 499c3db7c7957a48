"""What all code in a process shares: the global generators, and torch's settings."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from genebench.job import seed_everything

Surroundings = dict[str, Any]
"""What is shared, by name; values compare by ``==``."""


@dataclass
class Traces:
    """What a piece of code has changed for everybody else, by name."""

    generators: list[str] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)


@contextmanager
def traced(traces: Traces, seed: int) -> Iterator[None]:
    """Seed everything as a job does, note what the code inside changes, and put it right again."""
    before = _generators(), _settings()
    own = random.getstate(), np.random.get_state()  # noqa: NPY002  methods may use it
    threads = torch.get_rng_state() if (torch := _torch()) else None
    seed_everything(seed)
    seeded = _generators()
    try:
        yield
    finally:
        settings = before[1] or _fresh()
        traces.generators += _changed(seeded, _generators())
        traces.settings += _changed(settings, _settings())
        random.setstate(own[0])
        np.random.set_state(own[1])  # noqa: NPY002
        if torch:
            torch.set_rng_state(threads)
        if settings:
            _restore(settings)


@contextmanager
def settings_kept() -> Iterator[None]:
    """Put torch's settings right again, whatever the code inside does to them."""
    before = _settings()
    try:
        yield
    finally:
        if settings := before or _fresh():
            _restore(settings)


def _changed(before: Surroundings, after: Surroundings) -> list[str]:
    return [name for name, value in before.items() if after[name] != value]


def _generators() -> Surroundings:
    name, keys, *position = np.random.get_state()  # noqa: NPY002
    found: Surroundings = {
        "random": random.getstate(),
        "numpy.random": (name, np.asarray(keys).tobytes(), *position),
    }
    if torch := _torch():
        found["torch"] = torch.get_rng_state().numpy().tobytes()
    return found


def _settings() -> Surroundings:
    torch = _torch()
    if not torch:
        return {}
    return {
        "default dtype": torch.get_default_dtype(),
        "number of threads": torch.get_num_threads(),
        "gradients": torch.is_grad_enabled(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "precision of float32 products": torch.get_float32_matmul_precision(),
    }


def _fresh() -> Surroundings:
    """Settings as they are when torch has just been imported, by the very code that is watched."""
    torch = _torch()
    if not torch:
        return {}
    return _settings() | {
        "default dtype": torch.float32,
        "gradients": True,
        "deterministic algorithms": False,
        "precision of float32 products": "highest",
    }


def _restore(settings: Surroundings) -> None:
    torch = _torch()
    torch.set_default_dtype(settings["default dtype"])
    torch.set_num_threads(settings["number of threads"])
    torch.set_grad_enabled(settings["gradients"])
    torch.use_deterministic_algorithms(settings["deterministic algorithms"])
    torch.set_float32_matmul_precision(settings["precision of float32 products"])


def _torch() -> Any:
    """Torch, where somebody has imported it: only then does it have a state."""
    return sys.modules.get("torch")
