"""Cache files derived from a dataset.

Each ends with a fingerprint of its inputs and the SHA-256 checksum of everything before it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from genebench._util.files import atomic_write
from genebench._util.npy import Hashed

_SHA256_BYTES = hashlib.sha256().digest_size
_TRAILER_BYTES = 2 * _SHA256_BYTES
_CHUNK_BYTES = 1 << 20


@contextmanager
def write_checked(path: Path, fingerprint: bytes) -> Iterator[Hashed]:
    """Write a cache file atomically, and end it with its fingerprint and checksum.

    Args:
        path: the file.
        fingerprint: a SHA-256 of the inputs, 32 bytes.

    Raises:
        OSError: the file cannot be written.
    """
    with atomic_write(path) as file, Hashed(file) as stream:
        yield stream
        stream.write(fingerprint)
        # Past the hashing stream: the checksum covers all bytes before it, not itself.
        file.write(bytes.fromhex(stream.sha256))


def has_fingerprint(path: Path, fingerprint: bytes, length: int) -> bool:
    """Return whether a file has ``length`` bytes of content, derived from these inputs.

    Only the end of the file is read, because mapped matrices are too large to hash on every open.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        stream.seek(length)
        # One byte more than a trailer has, so that a longer file is noticed.
        trailer = stream.read(_TRAILER_BYTES + 1)
        return len(trailer) == _TRAILER_BYTES and trailer.startswith(fingerprint)


def read_checked(path: Path, fingerprint: bytes) -> bytes | None:
    """Return the content of a cache file, or None if it is gone, changed, or of other inputs."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    data, checksum = content[:-_SHA256_BYTES], content[-_SHA256_BYTES:]
    sound = data.endswith(fingerprint) and hashlib.sha256(data).digest() == checksum
    return data[: -len(fingerprint)] if sound else None


def is_sound(path: Path) -> bool:
    """Return whether a whole cache file matches its checksum, for any inputs.

    The file is read in chunks.

    Raises:
        OSError: the file cannot be read.
    """
    sha256, last = hashlib.sha256(), b""
    with path.open("rb") as stream:
        while data := stream.read(_CHUNK_BYTES):
            # The last 32 bytes read so far may be the checksum: they are held back.
            sha256.update((last + data)[:-_SHA256_BYTES])
            last = (last + data)[-_SHA256_BYTES:]
    return last == sha256.digest()
