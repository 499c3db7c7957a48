"""Messages over the pipes between the pool and its workers: a length, then that many bytes.

With the length, a message that cannot be read leaves the pipe in order for the next one.
"""

from __future__ import annotations

import pickle
from typing import IO, Any

_LENGTH_BYTES = 8


def send(stream: IO[bytes], message: bytes) -> None:
    """Write a message to a pipe."""
    stream.write(len(message).to_bytes(_LENGTH_BYTES, "big") + message)
    stream.flush()


def receive(stream: IO[bytes]) -> bytes:
    """Read a message from a pipe.

    Raises:
        EOFError: the other end was closed.
    """
    length = stream.read(_LENGTH_BYTES)
    message = stream.read(int.from_bytes(length, "big"))
    if len(length) < _LENGTH_BYTES or len(message) < int.from_bytes(length, "big"):
        raise EOFError
    return message


def pack(content: object) -> bytes:
    """Return an object as bytes.

    Raises:
        Exception: the object cannot be pickled.
    """
    return pickle.dumps(content)


def unpack(message: bytes) -> Any:
    """Return the object of a message.

    Raises:
        Exception: the object cannot be built again from its bytes.
    """
    # Loading a pickle can run any code. That is no risk here, because each pipe is private to a
    # process and the child that it started itself: the sender can run any code anyway. No pickle
    # is ever written to a file or read from one. JSON could not carry functions.
    return pickle.loads(message)  # noqa: S301
