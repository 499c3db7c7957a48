"""Parquet and feather (Arrow IPC) tables, genes × profiles or profiles × genes, through pyarrow.

Both formats store column after column. Some columns of all rows are therefore read at once: whole
profiles if rows are genes, or whole genes if rows are profiles.
"""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import dropwhile
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import ipc, parquet

from genebench.errors import UserError, unknown
from genebench.formats.base import BLOCK, Content, GeneReader, Reader, float_type
from genebench.formats.delimited import (
    INDEX_NAMES,
    annotates_genes,
    are_row_numbers,
    check_skipped,
    number_rows,
)
from genebench.formats.files import as_text, check_size, id_index, unique_ids
from genebench.formats.flat import file_changed, stamp_of
from genebench.formats.text import by_gene

_TABLE_ROWS, _TABLE_BYTES = 256, 64 << 20
"""Fewest rows, and fewest bytes of values, that are packed in one call.

Each call makes a part of the file that describes all its columns. Many small parts are slow to
read.
"""

_READ_BYTES = 2 << 20
"""Bytes of values that are unpacked at once. pyarrow takes some six times as much meanwhile."""

_UNSOUND = (pa.ArrowException, OSError, OverflowError, SystemError, ValueError)
"""The exceptions of pyarrow for a damaged file. Names that are no UTF-8 are a ValueError."""

_ID_NAMES = frozenset({"", "id", "ids", "index", "rid", "unnamed: 0"})
"""Names, in lower case, of columns of whole numbers that hold ids, beside those of annotations."""


class _Columns(Protocol):
    """An opened file of columns."""

    schema: Any

    def count_rows(self) -> int:
        """Return the number of rows, as the file states it."""

    def read(self, columns: list[int]) -> list[Any]:
        """Return some columns, all rows, by their positions in the schema."""


class ColumnarReader(Reader):
    """A table with one row per gene: an index or column of text with their ids, and numbers.

    The ids are the index that pandas stored, unless it only numbers the rows, or else the first
    column of text, or else a column of whole numbers with a name such as ``entrez_id``. Other
    columns annotate genes if they are named in
    :data:`~genebench.formats.delimited.ANNOTATIONS` and hold text, or lead the columns of numbers.
    An index of pandas is no profile. Nor are whole numbers before the ids that all differ. All
    other columns are profiles, which must hold numbers.

    Memory: one block, and some columns of all rows.

    Args:
        path: the file.
        id_column: the name of the column of ids, if it is another one.
        skip_columns: the names of columns that are neither ids nor values.

    Raises:
        UserError: the file is damaged, there is no such column, it has no column of ids or of
            numbers, or a column holds nothing or what neither values nor a profile table can be.
    """

    transpose_remedy = 'Write orientation = "profiles".'

    def __init__(
        self, path: Path, *, id_column: str | None = None, skip_columns: Sequence[str] = ()
    ) -> None:
        self.source = str(path)
        self._path, self._stamp = path, stamp_of(path)
        self._kind = "parquet" if path.name.lower().endswith(".parquet") else "feather"
        try:
            with pa.OSFile(self.source) as stream:
                file = self._open(stream)
                self._length = file.count_rows()
                names = [str(name) for name in file.schema.names]
                # A parquet file describes each column in 5 kB, so only this is held of it.
                self._types, self._index = file.schema.types, _stored_index(file.schema)
        except _UNSOUND as error:
            raise self.fault(
                f"not a sound {self._kind} file ({error}). Write it again, or give its name the "
                "ending of its format."
            ) from None
        claimed = self._length * len(names) * np.dtype(np.float32).itemsize
        check_size(self.source, claimed, path.stat().st_size)
        for name in (*skip_columns, *(() if id_column is None else (id_column,))):
            if name not in names:
                raise self.fault(str(unknown("column", name, names)))
        self._names = names
        ids = self._id_column() if id_column is None else names.index(id_column)
        self.id_column = names[ids]
        others = [place for place, name in enumerate(names) if name not in set(skip_columns)]
        numeric = [
            place
            for place in others
            if place != ids and _is_number(self._type(place)) and not self._is_index(place, ids)
        ]
        # Leading numbers named start, end or length describe genes. Later ones are profiles.
        self.numbers = list(dropwhile(lambda place: annotates_genes(names[place]), numeric))
        self.texts = [
            place for place in others if place != ids and not _is_number(self._type(place))
        ]
        check_skipped(self.source, self.id_column, skip_columns, len(self.numbers))
        if self.texts and not self.numbers:
            raise self._no_values(self.texts[0])
        used = {ids, *self.numbers}
        self.skipped = tuple(name for place, name in enumerate(names) if place not in used)
        self.gene_ids = id_index(self.source, "gene", map(str, *self.read_columns([ids])))
        profiles = [names[place] for place in self.numbers]
        self.profiles = pd.DataFrame(index=id_index(self.source, "profile", profiles))

    def check(self) -> None:
        """Refuse columns of text that are no annotations of genes: they would be lost profiles."""
        super().check()
        for place in self.texts:
            described = _is_described(self._type(place))
            if not (described and annotates_genes(self._names[place])):
                raise self._no_values(place)

    def blocks(self, genes: NDArray[np.intp], size: int = BLOCK) -> Iterator[NDArray[np.floating]]:
        """Yield blocks of at most ``size`` profiles × ``len(genes)``, float32 or float64."""
        n_genes, dtype = len(genes), self.float_type(self.numbers)
        # More profiles than are asked for are read at once, if they are few: each read has a cost.
        block, filled = np.empty((min(size, len(self.numbers)), n_genes), dtype), 0
        start = 0
        for columns in self.columns(self.numbers):
            done = 0
            while done < len(columns):
                taken = min(len(block) - filled, len(columns) - done)
                columns[done : done + taken].take(
                    genes, axis=1, out=block[filled : filled + taken], mode="clip"
                )
                filled, done = filled + taken, done + taken
                if filled == len(block):
                    self.check_finite(block, start, genes)
                    yield block
                    start += len(block)
                    block = np.empty((min(size, len(self.numbers) - start), n_genes), dtype)
                    filled = 0

    def transposed(self) -> Reader:
        """Return a reader of the same file with one row per profile.

        Its columns of text, truth values and dates become columns of the profile table. So do those
        of other types, as text, so that no gene is lost. Empty columns are genes without values.
        """
        empty = {place for place in self.texts if pa.types.is_null(self._type(place))}
        described = [place for place in self.texts if place not in empty]
        names = [self._names[place] for place in described]
        unique = unique_ids(self.source, "column", names) if names else pd.Index([])
        columns, read = {}, self.read_columns(described)
        for name, place, values in zip(unique, described, read, strict=True):
            known = _is_described(self._type(place))
            columns[name] = values if known else [str(value) for value in values]
        self.numbers = sorted([*self.numbers, *empty])
        return _TransposedColumns(self, pd.DataFrame(columns, index=self.gene_ids))

    def name_of(self, place: int) -> str:
        """Return the name of the column in a place."""
        return self._names[place]

    def float_type(self, places: Sequence[int]) -> np.dtype[np.floating]:
        """Return the type that holds some columns of numbers: float32 or float64."""
        return float_type(*{_number_type(self._type(place)) for place in places})

    def columns(self, places: Sequence[int]) -> Iterator[NDArray[np.floating]]:
        """Yield some columns of numbers × all rows, as many at a time as :data:`_READ_BYTES` hold.

        A missing value becomes NaN.
        """
        dtype = self.float_type(places)
        step = max(1, _READ_BYTES // max(1, self._length * dtype.itemsize))
        with self._opened() as file:
            for start in range(0, len(places), step):
                some = list(places[start : start + step])
                read = file.read(some)
                values = np.empty((len(some), self._length), dtype)
                for row, column in zip(values, read, strict=True):
                    row[:] = _numbers(column)
                del read, column
                # pyarrow asks for room for a whole batch, uses a part of it, and keeps all parts.
                pa.default_memory_pool().release_unused()
                yield values

    def read_columns(self, places: Sequence[int]) -> Iterator[list[Any]]:
        """Yield the values of some columns. A missing one becomes the empty text."""
        with self._opened() as file:
            for place in places:
                [column] = file.read([place])
                yield ["" if value is None else value for value in column.to_pylist()]

    def _open(self, stream: Any) -> _Columns:
        return _Parquet(stream) if self._kind == "parquet" else _Feather(stream)

    @contextmanager
    def _opened(self) -> Iterator[_Columns]:
        """Open the file until the context ends.

        Raises:
            UserError: it cannot be read, is damaged, or has changed since it was first opened.
        """
        try:
            if stamp_of(self._path) != self._stamp:
                raise file_changed(self._path)
            with pa.OSFile(self.source) as stream:
                yield self._open(stream)
        except _UNSOUND as error:
            raise self.fault(
                f"the file cannot be read ({error}). It is damaged or cut short: write it again."
            ) from None

    def _id_column(self) -> int:
        """Return the place of the ids."""
        names, stored = self._names, self._index
        texts = [place for place in range(len(names)) if _is_text(self._type(place))]
        if stored in names:
            place = names.index(stored)
            if place in texts or not texts or not self._numbers_rows(place):
                return place
        if texts:
            return texts[0]
        for place, name in enumerate(names):
            named = name.lower() in _ID_NAMES or annotates_genes(name)
            if named and pa.types.is_integer(self._type(place)):
                return place
        raise self.fault(
            "the table has no column of text, so no ids. Write them as its first column."
        )

    def _numbers_rows(self, place: int) -> bool:
        """Return whether a column numbers the rows. That of a filtered table has gaps."""
        [values] = self.read_columns([place])
        unnamed = self._names[place].lower() in INDEX_NAMES
        return are_row_numbers(values) or (unnamed and number_rows(values))

    def _is_index(self, place: int, ids: int) -> bool:
        """Return whether a column of numbers is the index of pandas, and not that of the ids."""
        if self._index in {self._names[place], self._names[ids]}:
            return self._names[place] == self._index
        if place or not ids or not pa.types.is_integer(self._type(place)):
            return False
        return self._numbers_rows(place) or (ids == 1 and number_rows(*self.read_columns([place])))

    def _type(self, place: int) -> Any:
        """Return the type of a column. That of its values, if it is categorical."""
        kind = self._types[place]
        return kind.value_type if pa.types.is_dictionary(kind) else kind

    def _no_values(self, place: int) -> UserError:
        """Return the error for a column that neither holds values nor describes rows."""
        kind, name = self._types[place], self._names[place]
        if pa.types.is_null(kind):
            return self.fault(
                f"column {name!r} holds no value at all (type {kind}). Fill it in, or leave it out."
            )
        return self.fault(
            f"column {name!r} is of type {kind}, not numbers. Store it as numbers, or leave it out."
        )


def _stored_index(schema: Any) -> str:
    """Return the name of the index that pandas stored, or "" if there is none of one column."""
    try:
        [name] = schema.pandas_metadata["index_columns"]
    except (KeyError, TypeError, ValueError):  # none, several, or no sound JSON
        return ""
    return name if isinstance(name, str) else ""


class _TransposedColumns(GeneReader):
    """A table whose rows are profiles and whose columns of numbers are genes."""

    transpose_remedy = 'Write orientation = "genes".'

    def __init__(self, table: ColumnarReader, profiles: pd.DataFrame) -> None:
        self.source = table.source
        self.id_column = table.id_column
        names = [table.name_of(place) for place in table.numbers]
        described = {*profiles, *names}
        self.skipped = tuple(name for name in table.skipped if name not in described)
        self.gene_ids = pd.Index(names, dtype="str")
        self.profiles = profiles
        self._table = table

    def gene_blocks(self, genes: NDArray[np.intp]) -> Iterator[NDArray[np.floating]]:
        """Yield the values of some genes (ascending positions) × all profiles, a few at a time."""
        yield from self._table.columns([self._table.numbers[gene] for gene in genes])
        # The descriptions of all columns are freed, as many small pieces, which glibc would keep.
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:  # other C libraries have no such function
            trim(0)

    def blocks(self, genes: NDArray[np.intp], size: int = BLOCK) -> Iterator[NDArray[np.floating]]:
        """Yield blocks of at most ``size`` profiles × ``len(genes)``, float32 or float64."""
        for number, block in enumerate(super().blocks(genes, size)):
            self.check_finite(block, number * size, genes)
            yield block


class _Parquet:
    """An opened parquet file."""

    def __init__(self, stream: Any) -> None:
        self._file = parquet.ParquetFile(stream)
        self.schema = self._file.schema_arrow

        # Names repeat, and of those that do the file gives all columns.
        self._names, self._repeats = self.schema.names, list[int]()
        seen: Counter[str] = Counter()
        for name in self._names:
            self._repeats.append(seen[name])
            seen[name] += 1

    def count_rows(self) -> int:
        """Return the number of rows, as the file states it."""
        return int(self._file.metadata.num_rows)

    def read(self, columns: list[int]) -> list[Any]:
        """Return some columns, all rows, by their positions in the schema.

        pyarrow takes ``a`` for ``a.b``, too, as if that were a part of it.
        """
        names = sorted({self._names[column] for column in columns})
        table = self._file.read(columns=names, use_threads=False)
        table.validate(full=True)
        places: dict[str, list[int]] = {}
        for place, name in enumerate(table.column_names):
            places.setdefault(name, []).append(place)
        return [
            table.column(places[self._names[column]][self._repeats[column]]) for column in columns
        ]


class _Feather:
    """An opened Arrow IPC file."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.schema = ipc.open_file(stream).schema

    def count_rows(self) -> int:
        """Return the number of rows, as the file states it."""
        # Each batch states its own. Numbers are unpacked sooner than texts.
        columns = range(len(self.schema.names))
        numbers = (column for column in columns if _is_number(self.schema.field(column).type))
        file = self._open([next(numbers, 0)])
        return sum(file.get_batch(number).num_rows for number in range(file.num_record_batches))

    def read(self, columns: list[int]) -> list[Any]:
        """Return some columns, all rows, by their positions in the schema."""
        table = self._open(columns).read_all()
        # pyarrow believes the offsets of texts in a file, and would read beside them.
        table.validate(full=True)
        places = {column: place for place, column in enumerate(sorted(set(columns)))}
        return [table.column(places[column]) for column in columns]

    def _open(self, columns: list[int]) -> Any:
        options = ipc.IpcReadOptions(included_fields=sorted(set(columns)), use_threads=False)
        return ipc.open_file(self._stream, options=options)


def write_parquet(path: Path, content: Content) -> None:
    """Write genes × profiles with a column ``id``. Gene annotations follow it."""
    _write(path, content, lambda schema: parquet.ParquetWriter(path, schema))


def write_feather(path: Path, content: Content) -> None:
    """Write genes × profiles with a column ``id``. Gene annotations follow it."""
    options = ipc.IpcWriteOptions(compression="lz4")
    _write(path, content, lambda schema: ipc.new_file(path, schema, options=options))


def _write(path: Path, content: Content, open_writer: Callable[[Any], Any]) -> None:
    names = [name for name in content.genes if annotates_genes(str(name))]
    texts = {name: as_text(content.genes[name]) for name in names}
    columns = {"id": content.genes.index.tolist(), **texts}
    with by_gene(content, path.parent) as (dtype, rows):
        fields = [(str(name), pa.string()) for name in columns]
        fields += [(str(name), pa.from_numpy_dtype(dtype)) for name in content.profiles.index]
        schema = pa.schema(fields)
        with open_writer(schema) as writer:
            size = max(_TABLE_ROWS, _TABLE_BYTES // (len(content.profiles) * dtype.itemsize))
            for start in range(0, len(content.genes), size):
                stop = min(start + size, len(content.genes))
                values = np.array([next(rows) for _ in range(start, stop)])
                described = [pa.array(column[start:stop]) for column in columns.values()]
                measured = [pa.array(column) for column in np.ascontiguousarray(values.T)]
                writer.write_table(pa.table([*described, *measured], schema=schema))


def _is_text(kind: Any) -> bool:
    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _is_number(kind: Any) -> bool:
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def _is_described(kind: Any) -> bool:
    """Return whether values of a type can describe a profile."""
    types = pa.types
    return (
        _is_text(kind) or types.is_boolean(kind) or types.is_date(kind) or types.is_timestamp(kind)
    )


def _number_type(kind: Any) -> np.dtype[Any]:
    """Return the type of numpy that holds numbers of a type of Arrow."""
    if pa.types.is_decimal(kind) or pa.types.is_null(kind):
        return np.dtype(np.float64)
    stored: np.dtype[Any] = np.dtype(kind.to_pandas_dtype())
    return stored


def _numbers(column: Any) -> NDArray[Any]:
    """Return a column of numbers as an array, with NaN for what is missing."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_null(column.type):
        column = column.cast(pa.float64())
    if pa.types.is_decimal(column.type):
        # The cast to float64 is off in the last digit. The parser of texts rounds correctly.
        column = column.cast(pa.string()).cast(pa.float64())
    values: NDArray[Any] = column.to_numpy()
    return values
