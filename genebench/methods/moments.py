"""Moments of the training profiles, from one streaming pass, for the closed-form methods.

All sums are in float64. No digit of the float32 input is lost, even if landmarks outnumber profiles
and the scatter matrix is singular. Expression is centred by its mean, and products are scaled by
the standard deviations afterwards. Each profile thus costs a subtraction and a matrix product.

Moments are cached with the dataset. Every method and protocol that trains on the same profiles by
the same statistics reads the same file.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genebench._util.progress import Progress, silent
from genebench.data.cache import read_checked, write_checked
from genebench.data.profiles import Profiles

if TYPE_CHECKING:
    import torch

VERSION = 2
"""Version of the computation, part of the file name. It rises when results would change."""

DERIVED = "moments"
"""Name by which a sealed process asks for moments."""

PROFILES_PER_BLOCK = 2048
PROFILES_IN_CACHE = 128
"""Profiles that are centred and then squared while a processor's cache holds them."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Count, means and centred products of landmarks x and targets y over training profiles.

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
    """Return the moments of standardised profiles, from the cache or by one pass over them.

    Args:
        train: the training profiles.
        progress: called after each block.
        device: ``cpu`` or ``cuda``. Their results agree to about 1e-12.
    """
    if train.ask:
        return _of_tensors(train.ask(DERIVED))
    path, fingerprint = train.cached(f"moments-{VERSION}"), train.fingerprint
    result = path and _read(path, fingerprint)
    if not result:
        result = MomentSums(train, device).run(progress)
        if path:
            _write(path, result, fingerprint)
    return result


class MomentSums:
    """Sums over blocks of profiles, on a device.

    The matrix of a block has the columns [1, landmarks, targets]. With the column of ones, one
    product of the first two parts with all three gives sums and products together. The matrix is
    used for every block, because allocating memory anew for each one is slow.
    """

    def __init__(self, train: Profiles, device: str) -> None:
        import torch

        self._train = train
        self._device = torch.device(device)
        self._centre = self._on_device(train.standardiser.mean).double()
        self._n_left = 1 + len(train.landmark_genes)
        n_columns = self._n_left + len(train.target_genes)
        self._values = self._zeros(min(len(train), PROFILES_PER_BLOCK), n_columns)
        self._values[:, 0] = 1
        self._products = self._zeros(self._n_left, n_columns)
        self._squares = self._zeros(len(train.target_genes))

    def run(self, progress: Progress) -> Moments:
        """Add all blocks, and return the moments of the standardised profiles."""
        done = 0
        for block in self._train.expression_blocks(PROFILES_PER_BLOCK):
            self._add(self._on_device(block))
            done += len(block)
            progress(done, len(self._train), "training moments")
        return self._standardised()

    def _add(self, block: torch.Tensor) -> None:
        import torch

        values = self._values[: len(block)]
        for start in range(0, len(block), PROFILES_IN_CACHE):
            rows = slice(start, start + PROFILES_IN_CACHE)
            # float32 minus float64 is float64: centring adds no rounding error.
            torch.sub(block[rows], self._centre, out=values[rows, 1:])
            self._squares += values[rows, self._n_left :].square().sum(0)
        # float64: float32 products cannot show which directions of under-determined data have no
        # variance (docs/decisions/0009-float64-moments.md).
        self._products.addmm_(values[:, : self._n_left].T, values)

    def _standardised(self) -> Moments:
        n, p = len(self._train), self._n_left - 1
        scale = self._train.standardiser.factors
        sums, squares = self._products.cpu().numpy(), self._squares.cpu().numpy()
        # The platform's mean need not be that of these profiles. Subtract the remaining mean:
        # Σ (x − x̄)(y − ȳ) = Σ xy − n x̄ȳ, which loses few digits because x̄ and ȳ are small.
        mean = sums[0, 1:] / n
        products = (sums[1:, 1:] - n * np.outer(mean[:p], mean)) * np.outer(scale[:p], scale)
        return Moments(
            n=n,
            x_mean=(mean * scale)[:p],
            y_mean=(mean * scale)[p:],
            # Rounding can make the scatter asymmetric, or a variance negative.
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


def _read(path: Path, fingerprint: bytes) -> Moments | None:
    """Return cached moments, or None if a byte of the file or of the dataset has changed."""
    from safetensors.numpy import load

    data = read_checked(path, fingerprint)
    if data is None:
        return None
    return _of_tensors(load(data))


def tensors_of(result: Moments) -> dict[str, NDArray[Any]]:
    """Return moments as arrays by name, to be stored or sent."""
    tensors = {
        item.name: np.ascontiguousarray(getattr(result, item.name)) for item in fields(result)
    }
    return tensors | {"n": np.array([result.n])}


def _of_tensors(tensors: dict[str, NDArray[Any]]) -> Moments:
    return Moments(int(tensors.pop("n")[0]), **tensors)


def _write(path: Path, result: Moments, fingerprint: bytes) -> None:
    """Cache moments, unless the dataset's folder cannot be written."""
    from safetensors.numpy import save

    data = save(tensors_of(result))
    try:
        path.parent.mkdir(exist_ok=True)
        with write_checked(path, fingerprint) as stream:
            stream.write(data)
    except OSError:
        # A dataset shared between users may be read-only. The next run computes them again.
        return
