"""Messages between a job's process and the process that scores it: JSON, and arrays as raw bytes.

A message is the length of its header (4 bytes), the header, and the bytes of its arrays one after
another. The header is JSON: the content, and name, type and shape of each array. No pickle is ever
loaded. The other side may send anything, so sizes are limited before memory is allocated.
"""

from __future__ import annotations

import json
import math
import re
import socket
import struct
from collections.abc import Mapping
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LENGTH = struct.Struct(">I")
MAX_HEADER_BYTES = 256 << 20
"""Default limit of a header: profile tables of published size take about 10 MB."""
MAX_ARRAY_BYTES = 64 << 30
"""Default limit of all arrays of a message: the largest published network has 2.1 GB."""
_DTYPE = re.compile(r"[<|][biuf][1248]")
_MAX_DIMENSIONS = 8
_MAX_VALUES = 1 << 48
"""Limit of the product of an array's lengths. numpy refuses more, even for an array without values.
"""
_BUFFER_BYTES = 4 << 20
"""Size of a socket's buffer: with the usual 208 kB, each side often waits for the other."""

Arrays = Mapping[str, NDArray[Any]]


class BrokenMessageError(Exception):
    """The other side sent what is no message, or one beyond the limits."""


class Channel:
    """One end of a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            connection.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
        # Threads of a method may report progress at the same time.
        self._lock = Lock()

    def send(self, content: Mapping[str, Any], arrays: Arrays | None = None) -> None:
        """Send a message.

        Raises:
            OSError: the other side is gone.
            TypeError, ValueError: the content is no JSON, or an array holds no numbers.
        """
        parts = {name: np.ascontiguousarray(part) for name, part in (arrays or {}).items()}
        for name, part in parts.items():
            if not _DTYPE.fullmatch(part.dtype.str):
                raise ValueError(f"{name} holds {part.dtype}, not numbers")
        described = [[name, part.dtype.str, part.shape] for name, part in parts.items()]
        header = json.dumps({"content": content, "arrays": described}).encode()
        with self._lock:
            self._connection.sendall(_LENGTH.pack(len(header)) + header)
            for part in parts.values():
                if part.nbytes:
                    self._connection.sendall(part.reshape(-1).view(np.uint8).data)

    def receive(
        self, limit: int = MAX_ARRAY_BYTES, header_limit: int = MAX_HEADER_BYTES
    ) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return the content and the arrays of the next message.

        Args:
            limit: bytes that its arrays may have.
            header_limit: bytes that its header may have. Parsed, it takes up to 30 times as many.

        Raises:
            EOFError: the other side is gone.
            BrokenMessageError: this is no message, or one beyond the limits.
        """
        (length,) = _LENGTH.unpack(self._read(bytearray(_LENGTH.size)))
        if length > header_limit:
            raise BrokenMessageError(f"a header of {length:,} bytes")
        try:
            header = json.loads(bytes(self._read(bytearray(length))))
            content, described = header["content"], header["arrays"]
            shapes = [(str(name), *_checked(dtype, shape)) for name, dtype, shape in described]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise BrokenMessageError(f"a header that is no message ({error})") from error
        if not isinstance(content, dict):
            raise BrokenMessageError("a message without content")
        size = sum(dtype.itemsize * math.prod(shape) for _, dtype, shape in shapes)
        if size > limit:
            raise BrokenMessageError(f"arrays of {size:,} bytes, where {limit:,} are allowed")
        arrays = {}
        for name, dtype, shape in shapes:
            arrays[name] = np.empty(shape, dtype)
            if arrays[name].nbytes:
                self._read(arrays[name].reshape(-1).view(np.uint8).data)
        return content, arrays

    def close(self) -> None:
        """Close this end. The other side notices."""
        self._connection.close()

    def _read(self, buffer: bytearray | memoryview) -> bytearray | memoryview:
        """Fill a buffer."""
        view, done = memoryview(buffer), 0
        while done < len(view):
            try:
                received = self._connection.recv_into(view[done:])
            except ConnectionError:
                received = 0
            if not received:
                raise EOFError
            done += received
        return buffer


def _checked(dtype: Any, shape: Any) -> tuple[np.dtype[Any], tuple[int, ...]]:
    if not isinstance(dtype, str) or not _DTYPE.fullmatch(dtype):
        raise ValueError("an array of another type")
    if (
        len(shape) > _MAX_DIMENSIONS
        or not all(type(length) is int and length >= 0 for length in shape)
        or math.prod(length or 1 for length in shape) > _MAX_VALUES
    ):
        raise ValueError("an array of another shape")
    return np.dtype(dtype), tuple(shape)
