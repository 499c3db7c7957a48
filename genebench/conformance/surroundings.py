"""What all code in a process shares: the global generators, and settings of numpy and torch."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from genebench.runs.execute import seed_everything


class _Shared(NamedTuple):
    """Something that a process has one of."""

    read: Callable[[], Any]
    write: Callable[[Any], object]
    fresh: Any = None
    """What it is when torch has just been imported; None where that depends."""


_Values = dict[str, Any]
"""What was read, by name."""


@dataclass
class Traces:
    """What a piece of code has changed for everybody else, by name."""

    generators: list[str] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)


@contextmanager
def traced(traces: Traces, seed: int) -> Iterator[None]:
    """Seed everything as a job does, note what the code inside changes, and put it right again."""
    own = _read(_generators())
    with settings_kept(traces):
        seed_everything(seed)
        seeded = _read(_generators())
        try:
            yield
        finally:
            traces.generators += _changed(seeded, _read(_generators()))
            _write(_generators(), own)


@contextmanager
def settings_kept(traces: Traces | None = None) -> Iterator[None]:
    """Put settings right again, whatever the code inside does to them; note what it did."""
    before = _read(_settings())
    try:
        yield
    finally:
        # Torch may have been imported by the very code that is watched.
        fresh = {name: one.fresh for name, one in _settings().items() if one.fresh is not None}
        settings = fresh | before
        changed = _changed(settings, _read(_settings()))
        _write(_settings(), {name: settings[name] for name in changed})
        if traces:
            traces.settings += changed


def _read(shared: dict[str, _Shared]) -> _Values:
    return {name: one.read() for name, one in shared.items()}


def _write(shared: dict[str, _Shared], values: _Values) -> None:
    for name, value in values.items():
        shared[name].write(value)


def _changed(before: _Values, after: _Values) -> list[str]:
    return [name for name, value in before.items() if not _same(after[name], value)]


def _same(one: Any, other: Any) -> bool:
    """Whether states are the same, arrays and tensors in them too."""
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool((one == other).all() if hasattr(one, "shape") else one == other)


def _generators() -> dict[str, _Shared]:
    found = {
        "random": _Shared(random.getstate, random.setstate),
        "numpy.random": _Shared(np.random.get_state, np.random.set_state),
    }
    if torch := _torch():
        found["torch"] = _Shared(torch.get_rng_state, torch.set_rng_state)
        # Whoever asks before it is in use starts CUDA.
        if torch.cuda.is_initialized():
            cuda = torch.cuda
            found["torch.cuda"] = _Shared(cuda.get_rng_state_all, cuda.set_rng_state_all)
    return found


def _settings() -> dict[str, _Shared]:
    found = {"floating-point errors of numpy": _Shared(np.geterr, lambda how: np.seterr(**how))}
    if torch := _torch():
        found |= _settings_of(torch)
    return found


def _settings_of(torch: Any) -> dict[str, _Shared]:
    cudnn = torch.backends.cudnn
    return {
        "default dtype of torch": _Shared(
            torch.get_default_dtype, torch.set_default_dtype, torch.float32
        ),
        "default device of torch": _Shared(
            torch.get_default_device,
            # With no default, torch need not look at every call.
            lambda device: torch.set_default_device(None if device.type == "cpu" else device),
            torch.device("cpu"),
        ),
        "number of threads of torch": _Shared(torch.get_num_threads, torch.set_num_threads),
        "gradients of torch": _Shared(torch.is_grad_enabled, torch.set_grad_enabled, fresh=True),
        "deterministic algorithms of torch": _Shared(
            torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms,
            fresh=False,
        ),
        "precision of float32 products of torch": _Shared(
            torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "highest"
        ),
        "cudnn.deterministic": _attribute(cudnn, "deterministic", fresh=False),
        "cudnn.benchmark": _attribute(cudnn, "benchmark", fresh=False),
    }  # fmt: skip


def _attribute(owner: Any, name: str, *, fresh: Any) -> _Shared:
    return _Shared(lambda: getattr(owner, name), lambda value: setattr(owner, name, value), fresh)


def _torch() -> Any:
    """Torch, where somebody has imported it: only then does it have a state."""
    return sys.modules.get("torch")
