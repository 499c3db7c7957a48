"""The one interface through which expression enters, whatever the file format."""

from __future__ import annotations

import io
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench._util.files import full_disk
from genebench.errors import UserError
from genebench.formats.flat import Flat

Orientation = Literal["genes", "profiles"]
"""What the rows of a table are."""


class Rows(NamedTuple):
    """Profiles × genes, not picked yet from all that the file has of those profiles.

    Attributes:
        values: profiles × any genes.
        columns: where in ``values`` each gene is that was asked for.
    """

    values: NDArray[np.floating]
    columns: NDArray[np.intp]

    @classmethod
    def of(cls, block: NDArray[np.floating]) -> Rows:
        """A block that was picked: profiles × the genes that were asked for."""
        return cls(block, np.arange(block.shape[1]))

    def pick(self) -> NDArray[np.floating]:
        """Profiles × the genes that were asked for."""
        return self.values.take(self.columns, axis=1)


class Piece(NamedTuple):
    """Consecutive profiles that are still to be fetched.

    Attributes:
        start, stop: which profiles.
        fetch: gives their rows, as often as it is called. They are there until the same thread
            fetches others.
    """

    start: int
    stop: int
    fetch: Callable[[], Rows]


BLOCK = 1024
"""Profiles per block unless the caller says otherwise."""

IN_MEMORY = 512 << 20
"""Bytes that are held in memory to turn genes × profiles; more go through a temporary file."""

_SINGLE, _DOUBLE = np.dtype(np.float32).itemsize, np.dtype(np.float64).itemsize


class Reader(ABC):
    """A matrix of expression, opened: its ids are known, its values not yet read.

    Attributes:
        source: what to call this matrix in messages, usually the file's path.
        gene_ids: one id per gene (or probe), in file order; unique.
        profiles: table of profiles, indexed by unique profile id in file order, with the columns
            that the file itself carries about them (none for most formats).
        turn: how the user has the columns of the file taken for genes.
    """

    source: str
    gene_ids: pd.Index
    profiles: pd.DataFrame
    _missing = -np.inf
    turn: str = (
        "this format says itself which axis is genes, so convert the file to TSV (genebench data "
        'convert), name that and write orientation = "profiles"'
    )

    @abstractmethod
    def blocks(self, genes: NDArray[np.intp], size: int = BLOCK) -> Iterator[NDArray[np.floating]]:
        """Yield blocks of at most ``size`` profiles × ``len(genes)``, in file order of profiles.

        ``genes`` are positions in ``gene_ids``, in any order; columns come in that order. Values
        keep the precision of the source (float32 or float64).

        Raises:
            UserError: a value cannot be read, is missing, NaN or infinite (row and column named).
        """

    def read(
        self, genes: NDArray[np.intp], size: int = BLOCK
    ) -> Generator[NDArray[np.floating], None, None]:
        """:meth:`blocks`, held to what they promise: compiled code takes them on trust.

        Raises:
            UserError: as for :meth:`blocks`; or a block has another shape, as a plugin's might.
        """
        done = 0
        for block in self.blocks(genes, size):
            done += len(block)
            if block.shape != (min(len(block), size), len(genes)) or done > len(self.profiles):
                raise self._broken(f"a block of shape {block.shape}")
            yield np.asarray(block, float_type(block.dtype))
        if done != len(self.profiles):
            raise self._broken(f"{done} of {len(self.profiles)} profiles")

    @contextmanager
    def pieces(self, genes: NDArray[np.intp], size: int = BLOCK) -> Iterator[Iterator[Piece]]:
        """What :meth:`read` gives, in order, each to be fetched by a call, in any thread.

        None may be fetched after the context has ended. Of a matrix that lies flat in its file, a
        fetch reads the values; otherwise this iterator does, and a fetch hands them over.

        Raises:
            UserError: as for :meth:`read`, here or by a fetch.
        """
        # What a subclass makes of the values, it makes in blocks: then it has them by blocks.
        flat = self._flat() if "_flat" in vars(type(self)) else None
        if flat is None:
            with closing(self.read(genes, size)) as blocks:
                yield _fetched(blocks)
            return
        with flat.open() as file:

            def fetch(start: int, stop: int) -> Rows:
                rows = Rows(file.read(start, stop), genes)
                if not self._is_sound(rows.values):
                    self.check_finite(rows.pick(), start, genes)
                return rows

            def pieces() -> Iterator[Piece]:
                for start in range(0, flat.shape[0], size):
                    stop = min(start + size, flat.shape[0])
                    yield Piece(start, stop, partial(fetch, start, stop))

            yield pieces()

    def _flat(self) -> Flat | None:
        """Where the values lie in their file, if they lie there row after row of profiles.

        It counts for the very class that defines it, and for none that is derived from that.
        """
        return None

    def _is_sound(self, values: NDArray[np.floating]) -> bool:
        # A NaN is their minimum: where the extremes are sound, so is all between them.
        lowest, highest = values.min(initial=np.inf), values.max(initial=-np.inf)
        return bool(lowest > self._missing and highest < np.inf)

    def _broken(self, gave: str) -> UserError:
        return self.fault(f"its reader gave {gave}, which it must not; tell who wrote the format")

    def transposed(self) -> Reader:
        """The same file read as profiles × genes, where it is a table that could be either.

        Raises:
            UserError: the format itself says which axis is genes.
        """
        raise self.fault(f"orientation is for TSV, CSV, parquet and feather; {Reader.turn}")

    def check_finite(
        self, block: NDArray[np.floating], start: int, genes: NDArray[np.intp]
    ) -> None:
        """Refuse a block, from profile ``start`` on, that holds a NaN or an infinite value."""
        self.refuse(~np.isfinite(block), block, start, genes)

    def refuse(
        self,
        bad: NDArray[np.bool_],
        block: NDArray[np.floating],
        start: int,
        genes: NDArray[np.intp],
    ) -> None:
        """Raise UserError for the first value of a block that is marked as bad."""
        if bad.any():
            row, column = np.argwhere(bad)[0]
            raise self.fault(
                f"profile {self.profiles.index[start + row]!r}, gene "
                f"{self.gene_ids[genes[column]]!r} is {block[row, column]:g}: missing, or not "
                "finite; fill it in, or leave that profile or gene out"
            )

    def fault(self, message: str) -> UserError:
        """An error about this source."""
        return UserError(f"{self.source}: {message}")


def _fetched(blocks: Iterable[NDArray[np.floating]]) -> Iterator[Piece]:
    start = 0
    for block in blocks:
        stop = start + len(block)
        yield Piece(start, stop, partial(Rows.of, block))
        start = stop


class GeneReader(Reader):
    """A file that holds gene after gene: read once, and turned by way of a spool.

    Memory: a few genes of all profiles, and one block; beyond :data:`IN_MEMORY` bytes the spool is
    a temporary file.
    """

    @abstractmethod
    def gene_blocks(self, genes: NDArray[np.intp]) -> Iterator[NDArray[np.floating]]:
        """Yield the values of some genes (ascending positions) × all profiles, a few at a time."""

    def blocks(self, genes: NDArray[np.intp], size: int = BLOCK) -> Iterator[NDArray[np.floating]]:
        """Yield blocks of at most ``size`` profiles × ``len(genes)``."""
        rows, columns = np.unique(genes, return_inverse=True)
        with _spool(len(rows) * len(self.profiles) * _DOUBLE) as spool:
            dtype = self._fill(spool, rows, size)
            spool.seek(0)
            for start in range(0, len(self.profiles), size):
                width = min(size, len(self.profiles) - start)
                data = spool.read(len(rows) * width * dtype.itemsize)
                tile = np.frombuffer(data, dtype).reshape(len(rows), width)
                yield np.ascontiguousarray(tile[columns].T)

    def _fill(self, spool: IO[bytes], rows: NDArray[np.intp], size: int) -> np.dtype[np.floating]:
        """Write tiles of genes × at most ``size`` profiles, in the order they are read back."""
        dtype: np.dtype[np.floating] = np.dtype(np.float64)
        at = 0
        for values in self.gene_blocks(rows):
            dtype = values.dtype
            for start in range(0, len(self.profiles), size):
                tile = np.ascontiguousarray(values[:, start : start + size])
                spool.seek((len(rows) * start + at * tile.shape[1]) * dtype.itemsize)
                spool.write(tile.data)
            at += len(values)
        return dtype


@contextmanager
def _spool(size: int) -> Iterator[IO[bytes]]:
    """Room for ``size`` bytes, in memory or in the system's temporary folder."""
    if size <= IN_MEMORY:
        yield io.BytesIO()
        return
    where = Path(tempfile.gettempdir())
    with full_disk(where, "set TMPDIR to another folder"), tempfile.TemporaryFile() as file:
        yield file


def float_type(*stored: np.dtype[Any]) -> np.dtype[np.floating]:
    """The type that holds stored numbers without loss: float32 where it can, else float64."""
    return np.dtype(
        np.float64 if np.result_type(np.float32, *stored).itemsize > _SINGLE else np.float32
    )


@dataclass(frozen=True)
class Content:
    """What a writer is given.

    Attributes:
        genes: table of genes, indexed by id.
        profiles: table of profiles, indexed by id.
        blocks: each call yields the values from the first profile on, in blocks of profiles ×
            genes, all float32 or all float64.
    """

    genes: pd.DataFrame
    profiles: pd.DataFrame
    blocks: Callable[[], Iterator[NDArray[np.floating]]]

    @property
    def shape(self) -> tuple[int, int]:
        """Profiles × genes."""
        return len(self.profiles), len(self.genes)

    def read(self) -> tuple[np.dtype[np.floating], Iterator[NDArray[np.floating]]]:
        """The type of the values, float32 or float64, and the blocks."""
        blocks = self.blocks()
        first = next(blocks)
        dtype = float_type(first.dtype)
        return dtype, (block.astype(dtype, copy=False) for block in chain([first], blocks))
