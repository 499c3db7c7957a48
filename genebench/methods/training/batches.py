"""Profiles as tensors: held on the device if they fit, else streamed to it.

Both give the same batches to the bit.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch

from genebench.data.profiles import Profiles

Batch = tuple[torch.Tensor, torch.Tensor]
"""Landmarks and targets, profiles × genes, float32, on the device."""

BATCHES_AHEAD = 4
"""Batches that a stream reads in advance. The number bounds the memory."""
_MEMORY_SHARE = 0.5
"""Share of the device's memory that profiles may take. The networks need the rest."""
_FLOAT32_BYTES = 4


class Source(Protocol):
    """Source of batches of profiles."""

    def __len__(self) -> int: ...

    def batches(self, rows: torch.Tensor, size: int) -> Iterator[Batch]:
        """Yield the profiles at ``rows``, in that order, at most ``size`` at a time."""
        ...


class Resident:
    """Source that holds all profiles on the device."""

    def __init__(self, profiles: Profiles, device: str) -> None:
        n = len(profiles)
        self._x = torch.empty(n, len(profiles.landmark_genes), device=device)
        self._y = torch.empty(n, len(profiles.target_genes), device=device)
        start = 0
        for block in profiles.blocks():
            rows = slice(start, start + len(block.landmarks))
            self._x[rows] = torch.from_numpy(block.landmarks)
            self._y[rows] = torch.from_numpy(block.targets)
            start = rows.stop

    def __len__(self) -> int:
        return len(self._x)

    def batches(self, rows: torch.Tensor, size: int) -> Iterator[Batch]:
        """Yield batches, gathered on the device."""
        for batch in rows.to(self._x.device).split(size):  # type: ignore[no-untyped-call]
            yield self._x.index_select(0, batch), self._y.index_select(0, batch)


class Streamed:
    """Source that reads profiles from disk, a few batches ahead, in a thread.

    Targets stay on disk. Landmarks are a tenth of the values, and are held in the host's memory.
    """

    def __init__(self, profiles: Profiles, device: str) -> None:
        self._profiles = profiles
        self._landmarks = profiles.landmarks
        self._device = device

    def __len__(self) -> int:
        return len(self._profiles)

    def batches(self, rows: torch.Tensor, size: int) -> Iterator[Batch]:
        """Yield batches, read in advance."""
        waiting: deque[Future[Batch]] = deque()
        # One thread: the disk is the limit, and batches must come in order.
        with ThreadPoolExecutor(max_workers=1) as reader:
            for batch in rows.split(size):  # type: ignore[no-untyped-call]
                waiting.append(reader.submit(self._read, batch))
                if len(waiting) > BATCHES_AHEAD:
                    yield self._send(waiting.popleft().result())
            while waiting:
                yield self._send(waiting.popleft().result())

    def _read(self, rows: torch.Tensor) -> Batch:
        positions = rows.numpy()
        x, y = np.asarray(self._landmarks[positions]), self._profiles.target_rows(positions)
        return torch.from_numpy(x), torch.from_numpy(y)

    def _send(self, batch: Batch) -> Batch:
        # Sent by the caller's thread, which has the device's context and stream.
        return batch[0].to(self._device), batch[1].to(self._device)


def sources(profiles: Sequence[Profiles], device: str, storage: str) -> list[Source]:
    """Return one source for each set of profiles.

    Args:
        profiles: training and validation profiles.
        device: ``cpu`` or ``cuda``.
        storage: ``resident``, ``streamed``, or ``auto``, which is resident if all of them fit.
    """
    if storage == "auto":
        n_values = sum(
            len(each) * (len(each.landmark_genes) + len(each.target_genes)) for each in profiles
        )
        fits = n_values * _FLOAT32_BYTES <= _MEMORY_SHARE * _memory(device)
        storage = "resident" if fits else "streamed"
    kind = Resident if storage == "resident" else Streamed
    return [kind(each, device) for each in profiles]


def _memory(device: str) -> int:
    """Return the bytes of the device's memory: free memory on CUDA, all memory on the CPU.

    The system gives back the page cache when memory is needed, so free memory says too little.
    """
    if device == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
