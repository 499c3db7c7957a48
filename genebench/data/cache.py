"""Files that vouch for themselves: what was worked out from a dataset, and is kept with it.

Each ends in a seal: a stamp of what it was worked out from, and the sha256 of all before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from genebench._util.files import atomic_write
from genebench._util.npy import Hashed

_DIGEST = hashlib.sha256().digest_size
_SEAL = 2 * _DIGEST
_AT_ONCE = 1 << 20


@contextmanager
def sealed_write(path: Path, stamp: bytes) -> Iterator[Hashed]:
    """:func:`atomic_write` of a file that ends in a seal; ``stamp`` is a sha256."""
    with atomic_write(path) as file, Hashed(file) as stream:
        yield stream
        stream.write(stamp)
        file.write(bytes.fromhex(stream.sha256))


def bears(path: Path, stamp: bytes, length: int) -> bool:
    """Whether a file holds ``length`` bytes, worked out from what has that stamp; none is read."""
    with path.open("rb") as stream:
        stream.seek(length)
        seal = stream.read(_SEAL + 1)
        return len(seal) == _SEAL and seal.startswith(stamp)


def read_sealed(path: Path, stamp: bytes) -> bytes | None:
    """What a file holds; none where it was changed, or worked out from something else."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    data, digest = content[:-_DIGEST], content[-_DIGEST:]
    sound = data.endswith(stamp) and hashlib.sha256(data).digest() == digest
    return data[: -len(stamp)] if sound else None


def is_sound(path: Path) -> bool:
    """Whether a file is as it was written, whatever it was worked out from; all of it is read."""
    digest, last = hashlib.sha256(), b""
    try:
        with path.open("rb") as stream:
            while data := stream.read(_AT_ONCE):
                digest.update((last + data)[:-_DIGEST])
                last = (last + data)[-_DIGEST:]
    except OSError:
        return False
    return last == digest.digest()
