"""Energy of the GPU that a job is assigned, read from the counter of the GPU itself.

NVML counts the energy of a whole GPU. So nothing is read where that is not the energy of this job:
several GPUs that cannot be told apart, a part of a GPU (MIG), or another process on it. Nothing is
ever estimated.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

COUNTER_METHOD = "nvmlDeviceGetTotalEnergyConsumption, difference"
"""How energy is measured, for the record."""

_MILLIJOULES = 1000.0
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_ORDER = "CUDA_DEVICE_ORDER"


class EnergyCounter:
    """The energy counter of one GPU.

    Args:
        nvml: the module ``pynvml``, which is initialised.
        handle: the GPU, as NVML names it.
    """

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml = nvml
        self._handle = handle

    def read(self) -> float | None:
        """Return the joules since the driver was loaded.

        The result is None if the GPU does not count, or if another process computes on it.
        """
        nvml = self._nvml
        try:
            if not all(_is_ours(each.pid) for each in self._processes()):
                return None
            return float(nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)) / _MILLIJOULES
        except nvml.NVMLError:
            return None

    def _processes(self) -> list[Any]:
        return list(self._nvml.nvmlDeviceGetComputeRunningProcesses(self._handle))


def energy_counter(device: str) -> EnergyCounter | None:
    """Return the counter of the GPU that a job is assigned, or None if none can be read.

    Args:
        device: the device of the job. Only ``cuda`` has a counter.
    """
    if device != "cuda":
        return None
    try:
        # Imported by name, because it is an extra.
        nvml = import_module("pynvml")
    except ImportError:
        return None
    try:
        nvml.nvmlInit()
        handle = _assigned(nvml, os.environ)
        if handle is None or _is_divided(nvml, handle):
            return None
    except nvml.NVMLError:
        return None
    counter = EnergyCounter(nvml, handle)
    return counter if counter.read() is not None else None


def _assigned(nvml: Any, environment: Mapping[str, str]) -> Any:
    """Return the GPU that CUDA takes for its first one, or None if that is not certain."""
    number = int(nvml.nvmlDeviceGetCount())
    visible = environment.get(_VISIBLE)
    if visible is None:
        visible = "0"
    first = visible.split(",")[0].strip()
    if first.startswith("GPU-"):
        handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(number)]
        # CUDA accepts the beginning of an identifier, if no other one begins like that.
        meant = [each for each in handles if _text(nvml.nvmlDeviceGetUUID(each)).startswith(first)]
        return meant[0] if len(meant) == 1 else None
    if not (first.isascii() and first.isdecimal() and int(first) < number):
        return None
    # By default CUDA counts the fastest GPU first, and NVML counts by the bus.
    if number > 1 and environment.get(_ORDER) != "PCI_BUS_ID":
        return None
    return nvml.nvmlDeviceGetHandleByIndex(int(first))


def _is_divided(nvml: Any, handle: Any) -> bool:
    """Return whether a GPU is divided into instances (MIG), whose energy nothing counts."""
    try:
        current, _ = nvml.nvmlDeviceGetMigMode(handle)
    except nvml.NVMLError:
        # GPUs that cannot be divided do not know the question.
        return False
    return bool(current)


def _text(value: str | bytes) -> str:
    """Return a text of NVML, which older versions give as bytes."""
    return value.decode() if isinstance(value, bytes) else value


def _is_ours(process: int) -> bool:
    """Return whether a process is this one, or was started by it, or has started it."""
    return os.getpid() in _lineage(process) or process in _lineage(os.getpid())


def _lineage(process: int) -> list[int]:
    """Return a process and those that it descends from, as far as the system shows them."""
    found = []
    while process > 1 and process not in found:
        found.append(process)
        try:
            status = Path(f"/proc/{process}/stat").read_text(errors="replace")
            # The name of the program may hold spaces and brackets. The parent is the second
            # field after it.
            process = int(status.rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            break
    return found
