"""The reader of all files that a stranger may have written.

Only regular files are read, and links to them. The size is checked before the content is read, and
the header of an array before its values. Callers name the file and the remedy.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import sys
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from genebench._util.files import (
    NO_HANDLES,
    NO_PERMISSION,
    RAISE_LIMIT,
    open_regular,
    reason_of,
)
from genebench.errors import UserError, describe
from genebench.results.limits import ENTRIES_BYTES, ID_LETTERS, LINE_LETTERS, NAME_LETTERS, cut

_HEADER_START = 10
"""Bytes before the header of an array in version 1.0 of the format: magic, version, length."""

_HEADER_BYTES = 256
"""Bytes that hold the whole header of a plain array. numpy pads headers to multiples of 64."""

_PLAIN = re.compile(
    rb"\x93NUMPY\x01\x00(..)\{'descr': '([<|](?:b1|[iu][1248]|f[248]|U[1-9]\d{0,3}))', "
    rb"'fortran_order': False, 'shape': \((\d{1,10}),(?: (\d{1,10}))?\), \} *\n",
    re.DOTALL,
)
"""The header that numpy writes for numbers or texts, in one dimension or two."""

_VECTOR_NAME_LETTERS = NAME_LETTERS + 40
"""Letters of the name of a vector: a prefix, a name of a plugin and a panel."""

_FIRST_SURROGATE, _LAST_SURROGATE = 0xD800, 0xDFFF
"""Codes that are no characters. A text that holds one cannot be written to a file."""


@contextmanager
def as_user_error(path: Path, fault: str, remedy: str) -> Iterator[None]:
    """Turn any exception of the block into a UserError, because damaged files may raise anything.

    Args:
        path: the file that is read.
        fault: the fault, such as "cannot be read as vectors".
        remedy: a sentence for the user, for a file that is not what it should be. One that the
            system does not open gets another.

    Raises:
        UserError: the block raised an exception.
        FileNotFoundError, NotADirectoryError: there is no such file, which callers may expect.
    """
    try:
        yield
    except (UserError, FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        reason = cut(reason_of(error) or describe(error), LINE_LETTERS)
        if error.errno in NO_HANDLES:
            remedy = RAISE_LIMIT
        elif error.errno in NO_PERMISSION:
            remedy = "Check the file's permissions."
        raise UserError(f"{path}: {fault} ({reason}). {remedy}") from error
    except Exception as error:
        raise UserError(
            f"{path}: {fault} ({cut(describe(error), LINE_LETTERS)}). {remedy}"
        ) from error


def open_limited(path: Path, most: int) -> io.BufferedReader:
    """Open a regular file for reading.

    Raises:
        OSError: there is no such file, it is not a regular one, or it has more than ``most`` bytes.
    """
    stream = open_regular(path)
    if (size := os.fstat(stream.fileno()).st_size) > most:
        stream.close()
        raise _too_large(size, most)
    return stream


def read_file(path: Path, most: int) -> bytes:
    """Return the content of a regular file.

    Raises:
        OSError: there is no such file, it is not a regular one, or it has more than ``most`` bytes.
    """
    with open_limited(path, most) as stream:
        size = os.fstat(stream.fileno()).st_size
        content = stream.read(size + 1)
    # The file may grow meanwhile, and files of /proc have more bytes than their size says.
    if len(content) > size:
        raise OSError(0, "its size changes while it is read")
    return content


def digest_of(path: Path, most: int) -> str:
    """Return the SHA-256 digest of a regular file, in hexadecimal.

    Raises:
        OSError: there is no such file, it is not a regular one, or it has more than ``most`` bytes.
    """
    with open_limited(path, most) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _too_large(size: int, most: int) -> OSError:
    return OSError(0, f"{size:,} bytes are more than any such file has ({most:,})")


def read_document(path: Path, most: int) -> dict[str, Any]:
    """Return the JSON document of a file.

    Raises:
        OSError: as in :func:`read_file`.
        ValueError: the file holds no document.
    """
    return document_of(read_file(path, most))


def document_of(content: bytes) -> dict[str, Any]:
    """Return a JSON document from its text.

    Raises:
        ValueError: the text is not JSON, is nested too deeply, or is no table of keys.
    """
    try:
        document = json.loads(content)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(document, dict):
        raise ValueError("it is no table of keys")  # noqa: TRY004  a fault of the file
    return document


def open_zip(stream: IO[bytes]) -> zipfile.ZipFile:
    """Open a zip file, once the size of its table of contents is checked.

    zipfile makes an object of 500 bytes for each entry, and an entry of a file has 50 bytes.

    Raises:
        ValueError: the table is too large.
        zipfile.BadZipFile, …: the file is damaged.
    """
    guarded = _Guarded(stream)
    archive = zipfile.ZipFile(guarded)
    guarded.most = None
    return archive


class _Guarded(io.RawIOBase):
    """A stream whose reads are limited while zipfile reads the table of contents, in one piece."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.most: int | None = ENTRIES_BYTES

    def read(self, size: int = -1, /) -> bytes:
        if self.most is None:
            return self._stream.read(size)
        content = self._stream.read(self.most + 1 if size < 0 else min(size, self.most + 1))
        if len(content) > self.most:
            raise ValueError(f"its table of contents has more than {self.most:,} bytes")
        return content

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


def read_arrays(
    archive: zipfile.ZipFile, most: int, names: Collection[str] | None = None
) -> dict[str, NDArray[Any]]:
    """Return the vectors of an ``.npz`` file by name: all of them, or those of ``names``.

    Args:
        archive: the file.
        most: bytes that all vectors together may unpack to.
        names: vectors to read. The others are not unpacked.

    Raises:
        ValueError: they unpack to more, or one is no plain vector of numbers or texts.
        zipfile.BadZipFile, …: the file is damaged.
    """
    entries = archive.infolist()
    if (size := sum(entry.file_size for entry in entries)) > most:
        raise ValueError(f"{size:,} bytes of vectors are more than any record has ({most:,})")
    arrays = {}
    for entry in entries:
        name = entry.filename.removesuffix(".npy")
        if len(name) > _VECTOR_NAME_LETTERS or not name.isprintable():
            raise ValueError(f"the name {cut(name, 40)!r} is no name of a vector")
        if name in arrays:
            raise ValueError(f"vector {name} is there twice")
        if names is None or name in names:
            # zipfile unpacks no more than the size that was checked.
            arrays[name] = _vector(name, archive.read(entry))
    return arrays


def _vector(name: str, content: bytes) -> NDArray[Any]:
    """Return the vector that a ``.npy`` file holds.

    numpy parses a header as a Python literal. That is slow, and no header of a stranger is safe
    with it: some name types that raise, and others sizes that no memory holds.
    """
    dtype, shape, start = _header(content)
    if len(shape) != 1:
        raise ValueError(f"{name} is no vector: its shape is {shape}")
    if len(content) != start + shape[0] * dtype.itemsize:
        raise ValueError(f"{name} has not as many bytes as its header says")
    # The copy makes the array writable, as numpy's reader does.
    vector = np.frombuffer(content, dtype, offset=start).copy()
    if dtype.kind == "U" and not _is_text(vector):
        raise ValueError(f"{name} holds letters that are no text")
    return vector


def _header(content: bytes) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """Return the type and the shape of an array, and the position of its first value.

    Raises:
        ValueError: it is not plain, or its texts are too long.
    """
    plain = _PLAIN.match(content[:_HEADER_BYTES])
    if plain is None or plain.end() != _HEADER_START + int.from_bytes(plain[1], "little"):
        raise ValueError("an array is not one of numbers, of true and false, or of texts")
    dtype = np.dtype(plain[2].decode())
    if dtype.kind == "U" and dtype.itemsize > ID_LETTERS * 4:
        raise ValueError(f"an array has texts of more than {ID_LETTERS:,} letters")
    shape = tuple(int(length) for length in plain.groups()[2:] if length)
    return dtype, shape, plain.end()


def _is_text(vector: NDArray[np.str_]) -> bool:
    """Return whether all letters are characters of Unicode that can be written to a file."""
    codes = vector.view(np.uint32)
    surrogates = (codes >= _FIRST_SURROGATE) & (codes <= _LAST_SURROGATE)
    return not (surrogates.any() or (codes > sys.maxunicode).any())


def map_matrix(path: Path, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return a matrix of float32 in a ``.npy`` file as a memory map.

    Raises:
        OSError: there is no such file, or it is not a regular one.
        ValueError: it holds another type or shape.
    """
    with open_regular(path) as stream:
        dtype, found, start = _header(stream.read(_HEADER_BYTES))
        if (dtype, found) != (np.dtype("<f4"), shape):
            raise ValueError(f"it holds {dtype} of shape {found}, not float32 of {shape}")
        if os.fstat(stream.fileno()).st_size != start + 4 * shape[0] * shape[1]:
            raise ValueError("it has not as many bytes as its header says")
        return np.memmap(stream, np.dtype("<f4"), "r", start, shape)
