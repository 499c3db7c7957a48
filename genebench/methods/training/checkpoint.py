"""A checkpoint: one file of tensors with what goes with them as JSON in its header.

It is written under a name of its own and then renamed, so a process killed at any moment leaves the
checkpoint before, and of two processes at the same job the last to write leaves its own, whole.
Safetensors hold numbers and text alone; nothing is unpickled.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from genebench._util.files import make_readable, sweep
from genebench.errors import describe, some
from genebench.methods.training.errors import CheckpointError

CHECKPOINT_FORMAT = "1"
"""Version of what the loop puts into a checkpoint."""


class Checkpoint:
    """The checkpoint of one run, which ``identity`` tells from any other."""

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        self.path = folder / "training.safetensors"
        # As JSON returns it, so that what is read compares equal.
        self._identity = json.loads(json.dumps({**identity, "format": CHECKPOINT_FORMAT}))

    def write(self, tensors: Mapping[str, torch.Tensor], course: Mapping[str, Any]) -> None:
        """Replace the checkpoint.

        Raises:
            OSError: it cannot be written; the one before is intact.
        """
        header = {"identity": json.dumps(self._identity), "course": json.dumps(course)}
        sweep(self.path.parent, ".*.tmp")
        with _temporary(self.path.parent) as temporary:
            try:
                save_file(dict(tensors), temporary, header)
            except SafetensorError as error:
                raise OSError(str(error)) from error
            with temporary.open("rb+") as stream:
                os.fsync(stream.fileno())
            make_readable(temporary)
            temporary.replace(self.path)

    def read(self, device: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
        """Tensors and the course of training so far; None when there is no checkpoint.

        Raises:
            CheckpointError: it is damaged, or another run's.
        """
        try:
            with safe_open(self.path, "pt", device=device) as stored:
                header = stored.metadata() or {}
                self._check(json.loads(header["identity"]))
                tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
            return tensors, json.loads(header["course"])
        except FileNotFoundError:
            return None
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"damaged checkpoint ({describe(error)})") from error

    def _check(self, found: Mapping[str, Any]) -> None:
        names = {*found, *self._identity}
        other = sorted(name for name in names if found.get(name) != self._identity.get(name))
        if other:
            raise CheckpointError(f"checkpoint of another run (other {some(other)})")


@contextmanager
def _temporary(folder: Path) -> Iterator[Path]:
    """A file that nobody else writes, removed at the end unless it was renamed."""
    handle, name = tempfile.mkstemp(prefix=".training.", suffix=".tmp", dir=folder)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
