"""Claims: files in the results folder that say which process runs a job now."""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter

from genebench._util.hashing import KEY
from genebench.results.untrusted import read_file

_LOST_SECONDS = 90.0
"""Seconds without a heartbeat after which a job counts as lost."""
_CLAIM_BYTES = 16 << 10
"""Most bytes of a claim's file."""
_FILE = re.compile(rf"({KEY.pattern})\.(\d{{1,9}})\.claim")


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A process that runs a job, and how far it is."""

    key: str = ""
    """Key of the job."""
    host: str
    """Machine of the process."""
    pid: int
    """Number of the process."""
    started: str
    """When the job was started (UTC, ISO 8601)."""
    label: str = ""
    """Name of the job in messages."""
    device: str = ""
    """Device that the method runs on. Empty if it is not known yet."""
    done: int = 0
    """Steps done."""
    total: int = 1
    """Steps in all."""
    message: str = ""
    """Description of the present step."""
    age_seconds: float = 0.0
    """Seconds since the last heartbeat."""

    @property
    def is_stale(self) -> bool:
        """Return whether the process is lost: it has no heartbeat any more."""
        return self.age_seconds > _LOST_SECONDS


_ADAPTER = TypeAdapter(Claim)


def claims(results: Path) -> list[Claim]:
    """Return the claims to jobs of a results folder: for each job, that of the last generation."""
    folder, last = results / ".jobs", dict[str, int]()
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    for match in filter(None, map(_FILE.fullmatch, names)):
        last[match[1]] = max(last.get(match[1], 0), int(match[2]))
    found = []
    for key, generation in sorted(last.items()):
        with suppress(OSError, ValueError), tempfile.TemporaryFile(dir=folder) as new:
            path = folder / f"{key}.{generation}.claim"
            claim = _ADAPTER.validate_json(read_file(path, _CLAIM_BYTES))
            age = os.fstat(new.fileno()).st_mtime - path.stat().st_mtime
            found.append(replace(claim, key=key, age_seconds=max(age, 0.0)))
    return found
