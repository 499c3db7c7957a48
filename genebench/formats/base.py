"""The interface of readers and writers, which all file formats share."""

from __future__ import annotations

import io
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench._util.files import full_disk
from genebench.errors import UserError
from genebench.formats.files import unique_ids
from genebench.formats.flat import Flat

Orientation = Literal["genes", "profiles"]
"""The meaning of the rows of a table."""


class Rows(NamedTuple):
    """Profiles as a file stores them, with the columns of the requested genes.

    The genes are not copied out yet. Code that averages probes reads each value from its column,
    which saves one copy of the block.

    Attributes:
        values: profiles × all genes that the file stores.
        columns: the column in ``values`` of each requested gene.
    """

    values: NDArray[np.floating]
    columns: NDArray[np.intp]

    @classmethod
    def of(cls, block: NDArray[np.floating]) -> Rows:
        """Return the rows of a block that holds exactly the requested genes, in their order."""
        return cls(block, np.arange(block.shape[1]))

    def pick(self) -> NDArray[np.floating]:
        """Return profiles × requested genes."""
        return self.values.take(self.columns, axis=1)


class Piece(NamedTuple):
    """Consecutive profiles of a matrix, with a function that reads them.

    Attributes:
        start: the position of the first profile.
        stop: the position after the last profile.
        fetch: returns the rows. It may be called several times and in any thread. The rows are
            valid until the same thread fetches another piece.
    """

    start: int
    stop: int
    fetch: Callable[[], Rows]


BLOCK = 1024
"""Profiles per block unless the caller asks for another number."""

IN_MEMORY_BYTES = 64 << 20
"""Most bytes held in memory to transpose genes × profiles. More go through a temporary file.

A block of the published 22,268 probes has 91 MB in float32.
"""

MISSING = -666.0
"""The code of GCTX and GCT for a value that was not measured. No format may hold it as a value."""

MISSING_REMEDY = (
    'Fill it in, or leave that profile or gene out. In a manifest with recipe = "dgex", '
    'missing_values = "drop-gene" or "drop-profile" does so.'
)
"""The remedy for a missing value, for all who read a matrix: few of them read a manifest."""

_GENES_AT_ONCE = 64
"""Genes that are transposed at once: a band of a block that fits into a processor's cache."""

_SINGLE_BYTES, _DOUBLE_BYTES = np.dtype(np.float32).itemsize, np.dtype(np.float64).itemsize


class Reader(ABC):
    """An opened matrix of expression. Its ids are loaded, its values are not.

    A subclass must set ``source``, ``gene_ids`` and ``profiles``, and implement :meth:`blocks`.

    Attributes:
        source: the name of this matrix in messages, usually the file's path.
        gene_ids: one id per gene (or probe), in file order. An id may be empty or repeat: only
            rows that a gene map names must have an id of their own.
        profiles: table of profiles, indexed by unique profile id in file order. Its columns are
            what the file itself says about them (none for most formats).
        transpose_remedy: the sentence that tells a user how to read the columns as genes.
        id_column: the name of the column of a table that holds the ids, or None.
        skipped: names of the columns of a table that are neither ids nor values.
        keeps_missing: True to yield missing values as NaN, instead of refusing them.
        notes: sentences about what the reader left out of the file.
    """

    source: str
    gene_ids: pd.Index
    profiles: pd.DataFrame
    id_column: str | None = None
    skipped: tuple[str, ...] = ()
    keeps_missing: bool = False
    transpose_remedy: str = (
        "This format itself fixes which axis is genes. Convert the file to TSV (genebench data "
        'convert), name that file instead, and write orientation = "profiles".'
    )
    notes: tuple[str, ...] = ()

    @abstractmethod
    def blocks(self, genes: NDArray[np.intp], size: int = BLOCK) -> Iterator[NDArray[np.floating]]:
        """Yield blocks of at most ``size`` profiles × ``len(genes)``, in file order of profiles.

        ``genes`` are positions in ``gene_ids``, in any order. The columns come in that order.
        Values keep the precision of the source (float32 or float64).

        Raises:
            UserError: a value cannot be read, is missing, NaN or infinite (row and column named).
        """

    def check(self) -> None:
        """Refuse a matrix that cannot be used as it is oriented. Called once, when it is opened.

        Raises:
            UserError: profile ids are empty or repeat.
        """
        unique_ids(self.source, "profile", self.profiles.index)

    def flat(self) -> Flat | None:
        """Return the place of the values in the file, or None to have them read by blocks.

        A format whose file stores profile after profile, uncompressed, may override this. Several
        threads then read the file without calling :meth:`blocks`.

        The values in the file must be those of :meth:`blocks`. An inherited answer is ignored: a
        class that does not define this method itself is read by its blocks, which may change the
        values. A subclass that leaves the values as they are can define it and return
        ``super().flat()``.
        """
        return None

    def read(
        self, genes: NDArray[np.intp], size: int = BLOCK
    ) -> Generator[NDArray[np.floating], None, None]:
        """Yield :meth:`blocks` after checking their shapes.

        Compiled code reads the blocks without checking bounds, so a plugin's mistake must end
        here.

        Raises:
            UserError: as for :meth:`blocks`, or a block has another shape than promised.
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
        """Open the matrix and give its pieces of at most ``size`` profiles, in file order.

        A piece may be fetched in any thread, until the context ends. If the matrix is
        :meth:`flat`, the fetch reads the file. Otherwise the iterator reads, in the thread that
        advances it, and the fetch only returns the block.

        Raises:
            UserError: as for :meth:`read`, here or by a fetch.
        """
        # Inherited, the answer would be about the blocks of another class: a subclass that takes
        # logarithms in its blocks would be read without them, without any error.
        # Missing values are marked in a block, and a flat file cannot be written to.
        usable = "flat" in vars(type(self)) and not self.keeps_missing
        flat = self.flat() if usable else None
        if flat is None:
            with closing(self.read(genes, size)) as blocks:
                yield _loaded_pieces(blocks)
            return
        with flat.open() as file:

            def fetch(start: int, stop: int) -> Rows:
                rows = Rows(file.read(start, stop), genes)
                # All genes of the file are tested first, because that needs no copy. A fault in
                # a gene that is not requested is no error, so the requested ones decide.
                if not self.is_sound(rows.values):
                    self.check_finite(rows.pick(), start, genes)
                return rows

            def pieces() -> Iterator[Piece]:
                for start in range(0, flat.shape[0], size):
                    stop = min(start + size, flat.shape[0])
                    yield Piece(start, stop, partial(fetch, start, stop))

            yield pieces()

    def keep_missing(self) -> None:
        """Yield missing values as NaN from now on, instead of refusing them."""
        self.keeps_missing = True

    def is_sound(self, values: NDArray[np.floating]) -> bool:
        """Return True only if :meth:`check_finite` would refuse none of these values.

        It is a fast test of all genes of a flat matrix. A format that refuses further values
        overrides both methods.
        """
        # NaN propagates through min and max, and compares as false: two passes find all faults.
        lowest, highest = values.min(initial=np.inf), values.max(initial=-np.inf)
        return bool(lowest > MISSING and highest < np.inf)

    def transposed(self) -> Reader:
        """Return a reader of the same file as profiles × genes, if the format allows both.

        Raises:
            UserError: the format itself fixes which axis is genes.
        """
        raise self.fault(
            f"orientation is for TSV, CSV, parquet and feather. {Reader.transpose_remedy}"
        )

    def with_ids(self, kind: str) -> Reader:  # noqa: ARG002  overridden where files have several
        """Return a reader whose gene ids are of a kind, if the file itself has ids of several.

        Args:
            kind: ``ensembl``, ``symbol``, ``entrez`` or ``probe``.
        """
        return self

    def check_finite(
        self, block: NDArray[np.floating], start: int, genes: NDArray[np.intp]
    ) -> None:
        """Refuse a block of profiles × ``genes`` with a NaN, an infinite value or :data:`MISSING`.

        Args:
            block: profiles × ``genes``.
            start: the position of its first profile.
            genes: positions in ``gene_ids``.

        Raises:
            UserError: the first such value, with its profile and gene.
        """
        if not Reader.is_sound(self, block):
            self.refuse(~np.isfinite(block) | (block == MISSING), block, start, genes)

    def refuse(
        self,
        bad: NDArray[np.bool_],
        block: NDArray[np.floating],
        start: int,
        genes: NDArray[np.intp],
    ) -> None:
        """Raise UserError for the first value of a block that is marked in ``bad``, if any.

        If ``keeps_missing`` is set, those that are finite (codes for "missing") or NaN become NaN
        in the block, and only infinite ones are refused.
        """
        if self.keeps_missing:
            coded = bad & np.isfinite(block)
            if coded.any():
                block[coded] = np.nan
            bad = bad & np.isinf(block)
        if bad.any():
            row, column = np.argwhere(bad)[0]
            value = block[row, column]
            # No rule of a manifest leaves out infinite values.
            remedy = "Correct it." if np.isinf(value) else MISSING_REMEDY
            raise self.fault(
                f"profile {self.profiles.index[start + row]!r}, gene "
                f"{self.gene_ids[genes[column]]!r} is {value:g}: missing, or not finite. {remedy}"
            )

    def fault(self, message: str) -> UserError:
        """Return an error about this source."""
        return UserError(f"{self.source}: {message}")

    def _broken(self, result: str) -> UserError:
        return self.fault(
            f"the reader returned {result}, which the interface forbids. Report this to the author "
            "of the format."
        )


def _loaded_pieces(blocks: Iterable[NDArray[np.floating]]) -> Iterator[Piece]:
    start = 0
    for block in blocks:
        stop = start + len(block)
        yield Piece(start, stop, partial(Rows.of, block))
        start = stop


class GeneReader(Reader):
    """A reader of a file that stores gene after gene. The file is read once and transposed.

    Memory: a few genes of all profiles, and one block. The values wait in a spool, which is a
    temporary file beyond :data:`IN_MEMORY_BYTES`.
    """

    @abstractmethod
    def gene_blocks(self, genes: NDArray[np.intp]) -> Iterator[NDArray[np.floating]]:
        """Yield the values of some genes (ascending positions) × all profiles, a few at a time."""

    def blocks(self, genes: NDArray[np.intp], size: int = BLOCK) -> Iterator[NDArray[np.floating]]:
        """Yield blocks of at most ``size`` profiles × ``len(genes)``."""
        rows, columns = np.unique(genes, return_inverse=True)
        # The columns of the block that each gene of the spool fills, gene after gene.
        order = np.argsort(columns, kind="stable")
        ends = np.searchsorted(columns[order], np.arange(len(rows) + 1))
        # The type is unknown until the first values come, so the room is for the larger one.
        with _spool(len(rows) * len(self.profiles) * _DOUBLE_BYTES) as spool:
            dtype = self._fill(spool, rows, size)
            spool.seek(0)
            for start in range(0, len(self.profiles), size):
                width = min(size, len(self.profiles) - start)
                block = np.empty((width, len(genes)), dtype)
                # A few genes at a time: reading all of them first would double the memory.
                for first in range(0, len(rows), _GENES_AT_ONCE):
                    last = min(first + _GENES_AT_ONCE, len(rows))
                    data = spool.read((last - first) * width * dtype.itemsize)
                    tile = np.frombuffer(data, dtype).reshape(last - first, width)
                    filled = order[ends[first] : ends[last]]
                    block[:, filled] = tile[columns[filled] - first].T
                yield block

    def _fill(self, spool: IO[bytes], rows: NDArray[np.intp], size: int) -> np.dtype[np.floating]:
        """Write tiles of genes × at most ``size`` profiles, and return the type of the values.

        A tile holds all genes of one block of profiles, so that each block is later one
        sequential read.
        """
        dtype: np.dtype[np.floating] = np.dtype(np.float64)
        first_row = 0
        for values in self.gene_blocks(rows):
            dtype = values.dtype
            for start in range(0, len(self.profiles), size):
                tile = np.ascontiguousarray(values[:, start : start + size])
                spool.seek((len(rows) * start + first_row * tile.shape[1]) * dtype.itemsize)
                spool.write(tile.data)
            first_row += len(values)
        return dtype


@contextmanager
def _spool(n_bytes: int) -> Iterator[IO[bytes]]:
    """Open a scratch file of ``n_bytes``, in memory or in the system's temporary folder."""
    if n_bytes <= IN_MEMORY_BYTES:
        yield io.BytesIO()
        return
    folder = Path(tempfile.gettempdir())
    with full_disk(folder, "Set TMPDIR to another folder."), tempfile.TemporaryFile() as file:
        yield file


def float_type(*stored: np.dtype[Any]) -> np.dtype[np.floating]:
    """Return the type that holds stored numbers without loss: float32 if it can, else float64."""
    return np.dtype(
        np.float64 if np.result_type(np.float32, *stored).itemsize > _SINGLE_BYTES else np.float32
    )


@dataclass(frozen=True)
class Content:
    """The input of a writer.

    Attributes:
        genes: table of genes, indexed by id.
        profiles: table of profiles, indexed by id.
        blocks: each call yields all values from the first profile on. They come in blocks of
            profiles × genes, all float32 or all float64.
    """

    genes: pd.DataFrame
    profiles: pd.DataFrame
    blocks: Callable[[], Iterator[NDArray[np.floating]]]

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of profiles and of genes."""
        return len(self.profiles), len(self.genes)

    def checked(self) -> Content:
        """Return the same content, which raises UserError for a value that no format can hold.

        Such a value is :data:`MISSING`, which readers take for "not measured", or not finite.
        """

        def blocks() -> Iterator[NDArray[np.floating]]:
            start = 0
            for block in self.blocks():
                bad = ~np.isfinite(block) | (block == MISSING)
                if bad.any():
                    row, column = np.argwhere(bad)[0]
                    raise UserError(
                        f"profile {self.profiles.index[start + row]!r}, gene "
                        f"{self.genes.index[column]!r} is {block[row, column]:g}, which files of "
                        "expression hold for a missing value. Leave that profile or gene out."
                    )
                yield block
                start += len(block)

        return replace(self, blocks=blocks)

    def read(self) -> tuple[np.dtype[np.floating], Iterator[NDArray[np.floating]]]:
        """Return the type of the values, float32 or float64, and an iterator of the blocks."""
        blocks = self.blocks()
        first = next(blocks)
        dtype = float_type(first.dtype)
        return dtype, (block.astype(dtype, copy=False) for block in chain([first], blocks))
