"""Parquet and feather (Arrow IPC) tables, genes × profiles or profiles × genes, through pyarrow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import dropwhile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import dataset, ipc, parquet

from genebench.errors import unknown
from genebench.formats.base import BLOCK, Content, GeneReader, Reader, float_type
from genebench.formats.delimited import annotates_genes, are_row_numbers
from genebench.formats.files import as_text, check_size, unique_ids
from genebench.formats.text import by_gene

_TABLE_ROWS = 256
"""Rows of a table that are unpacked or packed in one call."""


_UNSOUND = (pa.ArrowException, OSError, OverflowError, SystemError, ValueError)
"""The exceptions of pyarrow for a damaged file. Names that are no UTF-8 are a ValueError."""


class ColumnarReader(GeneReader):
    """A table with one row per gene: an index or column of text with their ids, and numbers.

    The ids are the index that pandas stored, unless it only numbers the rows, or else the first
    column of text. Other columns of text are skipped. Leading columns of numbers named like gene
    annotations are skipped, too.

    Args:
        path: the file.
        id_column: the name of the column of ids, if it is another one.
        skip_columns: the names of columns that are neither ids nor values.

    Raises:
        UserError: the file is damaged, has no column of ids or of numbers, no such column as was
            named, or ids repeat.
    """

    transpose_remedy = 'Write orientation = "profiles".'

    def __init__(
        self, path: Path, *, id_column: str | None = None, skip_columns: Sequence[str] = ()
    ) -> None:
        self.source = str(path)
        kind = "parquet" if path.name.lower().endswith(".parquet") else "feather"
        try:
            self._table: Any = dataset.dataset(self.source, format=kind)
            self._length = self._table.count_rows()
            names = self._table.schema.names
        except _UNSOUND as error:
            raise self.fault(
                f"not a sound {kind} file ({error}). Write it again, or give its name the ending "
                "of its format."
            ) from None
        columns = list(unique_ids(self.source, "column", names))
        for name in [*skip_columns, *([] if id_column is None else [id_column])]:
            if name not in columns:
                raise self.fault(f"{unknown('column', name, columns)}")
        columns = [name for name in columns if name not in skip_columns]
        self.id_column = self._id = id_column or self._id_column()
        numeric = [name for name in columns if name != self._id and self._holds(name, _is_number)]
        # pandas writes such a column first, if a table was read from a file that has one.
        if numeric and numeric[0] == names[0] and are_row_numbers(self._read_column(names[0])):
            del numeric[0]
        claimed = self._length * len(columns) * np.dtype(np.float32).itemsize
        check_size(self.source, claimed, path.stat().st_size)
        self.texts = [name for name in columns if name != self._id and self._holds(name, _is_text)]
        # Leading numbers named start, end or length describe genes. Later ones are profiles.
        self.numbers = list(dropwhile(annotates_genes, numeric))
        used = {self._id, *self.numbers}
        self.skipped = tuple(name for name in names if name not in used)
        self.gene_ids = unique_ids(self.source, "gene", map(str, self._read_column(self._id)))
        self.profiles = pd.DataFrame(index=unique_ids(self.source, "profile", self.numbers))

    def gene_blocks(self, genes: NDArray[np.intp]) -> Iterator[NDArray[np.floating]]:
        """Yield the values of some genes (ascending positions) × all profiles, a few at a time."""
        start = 0
        for rows in self.rows(self.numbers, _TABLE_ROWS):
            inside = genes[(genes >= start) & (genes < start + len(rows))]
            yield rows[inside - start]
            start += len(rows)

    def blocks(self, genes: NDArray[np.intp], size: int = BLOCK) -> Iterator[NDArray[np.floating]]:
        """Yield blocks of at most ``size`` profiles × ``len(genes)``, float32 or float64."""
        for number, block in enumerate(super().blocks(genes, size)):
            self.check_finite(block, number * size, genes)
            yield block

    def transposed(self) -> Reader:
        """Return a reader of the same file with one row per profile.

        Its columns of text become columns of the profile table.
        """
        columns = {name: self._read_column(name) for name in self.texts}
        return _TransposedColumns(self, pd.DataFrame(columns, index=self.gene_ids))

    def rows(self, columns: list[str], size: int) -> Iterator[NDArray[np.floating]]:
        """Yield some columns of numbers, at most ``size`` rows at a time, float32 or float64.

        A missing value becomes NaN. A column may be named more than once.
        """
        kinds = {self._table.schema.field(name).type.to_pandas_dtype() for name in columns}
        dtype = float_type(*map(np.dtype, kinds))
        for batch in self._batches(list(dict.fromkeys(columns)), size):
            block = np.empty((batch.num_rows, len(columns)), dtype)
            for position, name in enumerate(columns):
                block[:, position] = batch.column(name).to_numpy(zero_copy_only=False)
            yield block

    def _batches(self, columns: list[str], size: int) -> Iterator[Any]:
        try:
            for batch in self._table.to_batches(columns=columns, batch_size=size):
                # pyarrow believes the offsets of texts in a file, and would read beside them.
                batch.validate(full=True)
                yield batch
        except _UNSOUND as error:
            raise self.fault(
                f"the file cannot be read ({error}). It is damaged or cut short: write it again."
            ) from None

    def _read_column(self, name: str) -> list[Any]:
        values = [v for batch in self._batches([name], BLOCK) for v in batch.column(0).to_pylist()]
        return ["" if value is None else value for value in values]

    def _id_column(self) -> str:
        schema = self._table.schema
        stored = _stored_index(schema)
        texts = [str(name) for name in schema.names if self._holds(name, _is_text)]
        if stored in schema.names and not (
            texts and stored not in texts and are_row_numbers(self._read_column(stored))
        ):
            return stored
        if texts:
            return texts[0]
        raise self.fault(
            "the table has no column of text, so no ids. Write them as its first column."
        )

    def _holds(self, name: str, is_kind: Callable[[Any], bool]) -> bool:
        return is_kind(self._table.schema.field(name).type)


def _stored_index(schema: Any) -> str:
    """Return the name of the index that pandas stored, or "" if there is none of one column."""
    try:
        [name] = schema.pandas_metadata["index_columns"]
    except (KeyError, TypeError, ValueError):  # none, several, or no sound JSON
        return ""
    return name if isinstance(name, str) else ""


class _TransposedColumns(Reader):
    """A table whose rows are profiles and whose columns of numbers are genes."""

    transpose_remedy = 'Write orientation = "genes".'

    def __init__(self, table: ColumnarReader, profiles: pd.DataFrame) -> None:
        self.source = table.source
        self.id_column = table.id_column
        self.skipped = tuple(name for name in table.skipped if name not in profiles)
        self.gene_ids = pd.Index(table.numbers, dtype="str")
        self.profiles = profiles
        self._table = table

    def blocks(self, genes: NDArray[np.intp], size: int = BLOCK) -> Iterator[NDArray[np.floating]]:
        """Yield blocks of at most ``size`` profiles × ``len(genes)``, float32 or float64."""
        start = 0
        for block in self._table.rows(self.gene_ids[genes].tolist(), size):
            self.check_finite(block, start, genes)
            yield block
            start += len(block)


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
            for start in range(0, len(content.genes), _TABLE_ROWS):
                stop = min(start + _TABLE_ROWS, len(content.genes))
                values = np.array([next(rows) for _ in range(start, stop)])
                described = [pa.array(column[start:stop]) for column in columns.values()]
                measured = [pa.array(column) for column in np.ascontiguousarray(values.T)]
                writer.write_table(pa.table([*described, *measured], schema=schema))


def _is_text(kind: Any) -> bool:
    # A categorical column of pandas is stored as a dictionary of its texts.
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))
