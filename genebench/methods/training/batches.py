"""Profiles as tensors: held on the device where they fit, else streamed to it.

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

AHEAD = 4
"""Batches read before they are asked for, when streaming; bounds what is in memory."""
_SHARE = 0.5
"""Share of the device's memory that profiles may take; the rest is the networks'."""


class Source(Protocol):
    """Profiles to draw batches from."""

    def __len__(self) -> int: ...

    def batches(self, rows: torch.Tensor, size: int) -> Iterator[Batch]:
        """Yield the profiles at ``rows``, in that order, ``size`` at a time; the last has fewer."""
        ...


class Resident:
    """Profiles held on the device."""

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
        for some in rows.to(self._x.device).split(size):  # type: ignore[no-untyped-call]
            yield self._x.index_select(0, some), self._y.index_select(0, some)


class Streamed:
    """Profiles read when they are asked for, a few batches ahead, by a thread of their own.

    Targets stay on disk; landmarks, a tenth of the values, are held in the host's memory.
    """

    def __init__(self, profiles: Profiles, device: str) -> None:
        self._profiles = profiles
        self._landmarks = profiles.landmarks
        self._device = device

    def __len__(self) -> int:
        return len(self._profiles)

    def batches(self, rows: torch.Tensor, size: int) -> Iterator[Batch]:
        """Yield batches, read ahead."""
        waiting: deque[Future[Batch]] = deque()
        with ThreadPoolExecutor(max_workers=1) as reader:
            for some in rows.split(size):  # type: ignore[no-untyped-call]
                waiting.append(reader.submit(self._read, some))
                if len(waiting) > AHEAD:
                    yield self._send(waiting.popleft().result())
            while waiting:
                yield self._send(waiting.popleft().result())

    def _read(self, rows: torch.Tensor) -> Batch:
        at = rows.numpy()
        x, y = np.asarray(self._landmarks[at]), self._profiles.target_rows(at)
        return torch.from_numpy(x), torch.from_numpy(y)

    def _send(self, batch: Batch) -> Batch:
        return batch[0].to(self._device), batch[1].to(self._device)


def sources(profiles: Sequence[Profiles], device: str, storage: str) -> list[Source]:
    """One source for each set of profiles.

    Args:
        profiles: training and validation profiles.
        device: ``cpu`` or ``cuda``.
        storage: ``resident``, ``streamed``, or ``auto``: resident where all of them fit.
    """
    if storage == "auto":
        fits = sum(map(_size, profiles)) <= _SHARE * _memory(device)
        storage = "resident" if fits else "streamed"
    kind = Resident if storage == "resident" else Streamed
    return [kind(one, device) for one in profiles]


def _size(profiles: Profiles) -> int:
    """Bytes of all values as float32."""
    return len(profiles) * (len(profiles.landmark_genes) + len(profiles.target_genes)) * 4


def _memory(device: str) -> int:
    """Bytes of the device's memory: what is free on CUDA, all there is on the CPU."""
    if device == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
