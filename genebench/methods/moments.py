"""Moments of the training profiles: one streaming pass, shared by the closed-form methods.

Everything is summed in float64: float32 input loses nothing but what it had lost before, also where
landmarks outnumber profiles and the scatter has directions of exactly no variance. Expression is
centred by the mean that it is standardised by, and the products are scaled afterwards: per profile
there is a subtraction and a matrix product, on the CPU or on a GPU.

Moments are kept with the dataset, and found again by every method and every protocol that trains
on the same profiles in the same units.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genebench._util.progress import Progress, silent
from genebench.data.cache import read_checked, write_checked
from genebench.data.profiles import Profiles

if TYPE_CHECKING:
    import torch

VERSION = 2
"""Raised when the same profiles would give other moments."""

PROFILES_PER_BLOCK = 2048
PROFILES_IN_CACHE = 128
"""Centred and squared together, while a processor's cache holds them."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Counts, means and centred products of landmarks X and targets Y over training profiles.

    Attributes:
        n: number of profiles.
        x_mean, y_mean: means, one per landmark and per target.
        xx: ``Σ (x − x̄)(x − x̄)ᵀ``, landmarks × landmarks.
        xy: ``Σ (x − x̄)(y − ȳ)ᵀ``, landmarks × targets.
        yy: ``Σ (y − ȳ)²``, one per target.
    """

    n: int
    x_mean: Array
    y_mean: Array
    xx: Array
    xy: Array
    yy: Array


def moments(train: Profiles, progress: Progress = silent, *, device: str = "cpu") -> Moments:
    """Moments of standardised profiles, from the dataset's cache or by one pass over them.

    Args:
        train: the training profiles.
        progress: told after each block.
        device: ``cpu`` or ``cuda``; both give the same to some 1e-12.
    """
    path, fingerprint = train.cached(f"moments-{VERSION}"), train.fingerprint
    found = path and _kept(path, fingerprint)
    if not found:
        found = _Pass(train, device).run(progress)
        _keep(path, found, fingerprint)
    return found


class _Pass:
    """The sums over blocks of profiles, on a device.

    A column of ones beside the landmarks makes the sums a row of the products. One matrix takes
    every block: memory that is asked for anew is slow to come.
    """

    def __init__(self, train: Profiles, device: str) -> None:
        import torch

        self._train = train
        self._device = torch.device(device)
        self._centre = self._on_device(train.standardiser.mean).double()
        self._left = 1 + len(train.landmark_genes)
        n_columns = self._left + len(train.target_genes)
        self._values = self._zeros(min(len(train), PROFILES_PER_BLOCK), n_columns)
        self._values[:, 0] = 1
        self._products = self._zeros(self._left, n_columns)
        self._squares = self._zeros(len(train.target_genes))

    def run(self, progress: Progress) -> Moments:
        """Add up all blocks."""
        done = 0
        for block in self._train.level_blocks(PROFILES_PER_BLOCK):
            self._add(self._on_device(block))
            done += len(block)
            progress(done, len(self._train), "training moments")
        return self._standardised()

    def _add(self, block: torch.Tensor) -> None:
        import torch

        values = self._values[: len(block)]
        for start in range(0, len(block), PROFILES_IN_CACHE):
            rows = slice(start, start + PROFILES_IN_CACHE)
            torch.sub(block[rows], self._centre, out=values[rows, 1:])
            self._squares += values[rows, self._left :].square().sum(0)
        self._products.addmm_(values[:, : self._left].T, values)

    def _standardised(self) -> Moments:
        n, p = len(self._train), self._left - 1
        scale = self._train.standardiser.scale
        found, squares = self._products.cpu().numpy(), self._squares.cpu().numpy()
        mean = found[0, 1:] / n
        products = (found[1:, 1:] - n * np.outer(mean[:p], mean)) * np.outer(scale[:p], scale)
        return Moments(
            n=n,
            x_mean=(mean * scale)[:p],
            y_mean=(mean * scale)[p:],
            # Rounding must not make the scatter asymmetric, nor a variance negative.
            xx=(products[:, :p] + products[:, :p].T) / 2,
            xy=products[:, p:],
            yy=np.maximum((squares - n * mean[p:] ** 2) * scale[p:] ** 2, 0.0),
        )

    def _on_device(self, values: NDArray[np.floating]) -> torch.Tensor:
        import torch

        return torch.from_numpy(values).to(self._device)

    def _zeros(self, *shape: int) -> torch.Tensor:
        import torch

        return torch.zeros(*shape, dtype=torch.float64, device=self._device)


def _kept(path: Path, fingerprint: bytes) -> Moments | None:
    """Moments that were kept; none when a byte of them, or of what they are of, was changed."""
    from safetensors.numpy import load

    data = read_checked(path, fingerprint)
    if data is None:
        return None
    tensors = load(data)
    return Moments(int(tensors.pop("n")[0]), **tensors)


def _keep(path: Path | None, found: Moments, fingerprint: bytes) -> None:
    """Keep moments, unless there is nowhere to, or the dataset belongs to somebody else."""
    from safetensors.numpy import save

    if path is None:
        return
    tensors = {item.name: np.ascontiguousarray(getattr(found, item.name)) for item in fields(found)}
    data = save(tensors | {"n": np.array([found.n])})
    try:
        path.parent.mkdir(exist_ok=True)
        with write_checked(path, fingerprint) as stream:
            stream.write(data)
    except OSError:
        return
