"""The shared state of a process: random generators, settings of numpy and torch, and functions."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import is_
from typing import Any, NamedTuple

import numpy as np

from genebench._util.seeds import seed_everything


class _Shared(NamedTuple):
    """A state that a process has once.

    Attributes:
        read: returns the state.
        write: sets the state.
        fresh: the state right after the import of torch, or None if that depends on the machine.
    """

    read: Callable[[], Any]
    write: Callable[[Any], object]
    fresh: Any = None


_States = dict[str, Any]
"""Name → state."""


@dataclass
class Traces:
    """The names of generators, settings and functions that a piece of code changed for all."""

    generators: list[str] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)


@contextmanager
def traced(traces: Traces, seed: int) -> Iterator[None]:
    """Seed everything as a job does, record the changes by the block, and undo them."""
    before, functions = _read(_generators()), _functions()
    with settings_kept(traces):
        seed_everything(seed)
        seeded = _read(_generators())
        try:
            yield
        finally:
            traces.generators += _changed(seeded, _read(_generators()))
            _write(_generators(), before)
            traces.functions += _restored(functions)


@contextmanager
def settings_kept(traces: Traces | None = None) -> Iterator[None]:
    """Record the changes of settings by the block, and undo them."""
    before = _read(_settings())
    try:
        yield
    finally:
        # The block may have imported torch. Then torch's settings before it are the fresh ones.
        fresh = {name: item.fresh for name, item in _settings().items() if item.fresh is not None}
        settings = fresh | before
        changed = _changed(settings, _read(_settings()))
        _write(_settings(), {name: settings[name] for name in changed})
        if traces:
            traces.settings += changed


_Functions = list[tuple[Any, dict[str, Any]]]
"""Modules and classes, each with all that its names stood for."""


def _functions() -> _Functions:
    """Return what has been imported of genebench and numpy: modules and classes."""
    modules = [
        module
        for name, module in list(sys.modules.items())
        if name in ("numpy", "numpy.linalg") or name.startswith("genebench.")
    ]
    classes = {
        item
        for module in modules
        for item in list(vars(module).values())
        if isinstance(item, type) and item.__module__ == module.__name__
    }
    return [(owner, dict(vars(owner))) for owner in (*modules, *classes)]


def _restored(functions: _Functions) -> list[str]:
    """Put back the functions and classes that were replaced, and return their names."""
    replaced = [
        (owner, name, value)
        for owner, before in functions
        # Most are as before. By identity, because a stand-in may claim to be equal.
        if not _identical(vars(owner), before)
        for name, value in before.items()
        if (callable(value) or isinstance(value, property)) and vars(owner).get(name) is not value
    ]
    for owner, name, value in replaced:
        setattr(owner, name, value)
    return [f"{owner.__name__}.{name}" for owner, name, _ in replaced]


def _identical(after: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Return whether two tables of names hold the same objects in the same order."""
    return list(after) == list(before) and all(map(is_, after.values(), before.values()))


def _read(shared: dict[str, _Shared]) -> _States:
    return {name: item.read() for name, item in shared.items()}


def _write(shared: dict[str, _Shared], values: _States) -> None:
    for name, value in values.items():
        shared[name].write(value)


def _changed(before: _States, after: _States) -> list[str]:
    return [name for name, value in before.items() if not _same(after[name], value)]


def _same(first: Any, second: Any) -> bool:
    """Return whether two states are equal, including arrays and tensors in them."""
    if isinstance(first, tuple | list):
        return len(first) == len(second) and all(map(_same, first, second))
    equal = first == second
    return bool(equal.all() if hasattr(first, "shape") else equal)


def _generators() -> dict[str, _Shared]:
    generators = {
        "random": _Shared(random.getstate, random.setstate),
        "numpy.random": _Shared(np.random.get_state, np.random.set_state),
    }
    if torch := _torch():
        generators["torch"] = _Shared(torch.get_rng_state, torch.set_rng_state)
        # Reading the state of an unused GPU would start CUDA.
        if torch.cuda.is_initialized():
            cuda = torch.cuda
            generators["torch.cuda"] = _Shared(cuda.get_rng_state_all, cuda.set_rng_state_all)
    return generators


def _settings() -> dict[str, _Shared]:
    settings = {"floating-point errors of numpy": _Shared(np.geterr, lambda how: np.seterr(**how))}
    if torch := _torch():
        settings |= _settings_of(torch)
    return settings


def _settings_of(torch: Any) -> dict[str, _Shared]:
    cudnn = torch.backends.cudnn
    return {
        "default dtype of torch": _Shared(
            torch.get_default_dtype, torch.set_default_dtype, torch.float32
        ),
        "default device of torch": _Shared(
            torch.get_default_device,
            # With a default device, even the CPU, torch intercepts every call.
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
    """Return torch if it has been imported. Otherwise it has no state."""
    return sys.modules.get("torch")
