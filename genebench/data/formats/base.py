"""The one interface through which expression enters, whatever the file format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

BLOCK = 1024
"""Profiles per block unless the caller says otherwise."""


class Reader(ABC):
    """A matrix of expression, opened: its ids are known, its values not yet read.

    Attributes:
        source: what to call this matrix in messages, usually the file's path.
        gene_ids: one id per gene (or probe), in file order; unique.
        profiles: table of profiles, indexed by unique profile id in file order, with the columns
            that the file itself carries about them (none for most formats).
    """

    source: str
    gene_ids: pd.Index
    profiles: pd.DataFrame

    @abstractmethod
    def blocks(self, genes: NDArray[np.intp], size: int = BLOCK) -> Iterator[NDArray[np.floating]]:
        """Yield blocks of at most ``size`` profiles × ``len(genes)``, in file order of profiles.

        ``genes`` are positions in ``gene_ids``, in any order; columns come in that order. Values
        keep the precision of the source (float32 or float64).

        Raises:
            UserError: a value cannot be read, is missing, NaN or infinite (row and column named).
        """


@dataclass(frozen=True)
class Content:
    """What a writer is given.

    Attributes:
        genes: table of genes, indexed by id.
        profiles: table of profiles, indexed by id.
        blocks: each call yields the values from the first profile on, in blocks of profiles ×
            genes, float32.
    """

    genes: pd.DataFrame
    profiles: pd.DataFrame
    blocks: Callable[[], Iterator[NDArray[np.float32]]]
