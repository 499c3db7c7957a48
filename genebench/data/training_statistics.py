"""Mean and deviation of each gene over training profiles, kept in a cache file."""

from __future__ import annotations

import hashlib
from contextlib import suppress

import numpy as np

from genebench.data.cache import read_checked, write_checked
from genebench.data.profiles import Profiles
from genebench.data.standardisation import Floats, GeneSums, gene_statistics

_PROFILES_AT_ONCE = 128
"""Profiles that are summed at once. 128 profiles of the published genes are 11 MB in float64."""


def training_statistics(train: Profiles) -> tuple[Floats, Floats]:
    """Return mean and deviation (ddof 0) of the expression of each gene, landmarks then targets.

    Expression is in the quantiles of the profiles' standardiser.
    """
    fingerprint = hashlib.sha256(train.fingerprint)
    for reference in train.standardiser.quantiles or ():
        fingerprint.update(reference.tobytes())
    path = train.cached("statistics")
    content = path and read_checked(path, fingerprint.digest())
    if content:
        # A copy, because torch warns of arrays that it cannot write to.
        mean, std = np.frombuffer(content).reshape(2, -1).copy()
        return mean, std
    sums = GeneSums.none(len(train.standardiser.mean))
    for block in train.expression_blocks(_PROFILES_AT_ONCE):
        sums = sums + GeneSums.of(block)
    mean, std = gene_statistics(sums)
    if path:
        # A dataset shared between users may be read-only. The next process computes them again.
        with suppress(OSError):
            path.parent.mkdir(exist_ok=True)
            with write_checked(path, fingerprint.digest()) as stream:
                stream.write(mean.tobytes() + std.tobytes())
    return mean, std
