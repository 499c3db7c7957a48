"""Keys: hashes of the canonical form of exactly the content that a result depends on."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from genebench._util.sources import effective

KEY_LENGTH = 24
"""Hexadecimal digits of a key: 96 bits, short enough for file names."""
KEY = re.compile(f"[0-9a-f]{{{KEY_LENGTH}}}")


def canonical(content: Any) -> str:
    """Return JSON with sorted keys and no spaces. Equal content gives equal text everywhere.

    Raises:
        ValueError: a number is not finite.
    """
    return json.dumps(
        content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )


def checksum_of(content: Any) -> str:
    """Return the SHA-256 of the canonical form of some content, in hexadecimal."""
    return hashlib.sha256(canonical(content).encode()).hexdigest()


def key_of(content: Any) -> str:
    """Return the key of some content: the first 24 digits of its checksum."""
    return checksum_of(content)[:KEY_LENGTH]


@cache
def code_digest(code: str) -> str:
    """Return a digest of the code behind an import string, without importing the module.

    It covers every ``.py`` file of the top-level package, so that editing a plugin in place
    changes its keys. Comments and docstrings have no part in it, as
    :func:`genebench._util.sources.effective` says. For a method of genebench itself it covers the
    method's module only. Otherwise an edit of a table's layout would change the keys of all its
    results.
    """
    module = code.partition(":")[0]
    package = module if module.startswith("genebench.") else module.partition(".")[0]
    sources = _sources(package)
    return digest_of_sources([(name, path.read_bytes()) for name, path in sources])


def digest_of_sources(sources: Sequence[tuple[str, bytes]]) -> str:
    """Return a digest of the effective part of a package's sources.

    Args:
        sources: name and content of each source.
    """
    digest = hashlib.sha256()
    contents = effective(content for _, content in sources)
    for (name, _), content in zip(sources, contents, strict=True):
        # The zero byte ends a name: "ab" + "c" must differ from "a" + "bc". The length ends the
        # content.
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def text_digest(package: str) -> str:
    """Return a digest of every letter of the sources of a package, comments included."""
    digest = hashlib.sha256()
    for name, path in _sources(package):
        digest.update(f"{name}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _sources(package: str) -> list[tuple[str, Path]]:
    """Return (name, path) of every source of a module or package, sorted. Empty if unknown."""
    spec = find_spec(package)
    if spec is None:
        return []
    if not spec.submodule_search_locations:
        return [(package, Path(spec.origin))] if spec.origin else []
    roots = [Path(location) for location in spec.submodule_search_locations]
    return sorted(
        (path.relative_to(root).as_posix(), path) for root in roots for path in root.rglob("*.py")
    )
