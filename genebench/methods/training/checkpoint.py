"""Checkpoint of a training: one safetensors file, with the history as JSON in its header.

A checkpoint is written under a temporary name and then renamed. A process killed at any moment
leaves the previous checkpoint whole. Two processes with the same job do not mix: the last to rename
wins. Safetensors hold only numbers and text, so nothing is unpickled.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from genebench._util.files import make_readable, sweep, temporary_folder
from genebench.errors import describe, some
from genebench.methods.training.errors import CheckpointError

CHECKPOINT_FORMAT = "4"
"""Version of the content. It is part of the identity: a checkpoint of another version is not used.

2: the header's key is ``history``. 3: the header has the precision.
4: and the reason for it.
"""

Precision = tuple[str, tuple[str, ...]]
"""Precision of matrix products, and notes that give the reason for it."""


class Checkpoint:
    """The checkpoint of one run. Its ``identity`` distinguishes the run from all others."""

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        self.path = folder / "training.safetensors"
        # JSON turns tuples into lists. Both sides of a comparison must have passed through it.
        self._identity = json.loads(json.dumps({**identity, "format": CHECKPOINT_FORMAT}))

    def write(
        self, tensors: Mapping[str, torch.Tensor], history: Mapping[str, Any], precision: Precision
    ) -> None:
        """Replace the checkpoint.

        Args:
            tensors: name → values.
            history: what JSON can hold, returned by :meth:`read`.
            precision: precision of matrix products and its notes, returned by :meth:`precision`.

        Raises:
            OSError: it cannot be written. The previous checkpoint is intact.
        """
        header = {"identity": json.dumps(self._identity), "history": json.dumps(history)}
        header["precision"] = json.dumps(precision)
        folder = self.path.parent
        sweep(folder, ".*.tmp")
        # Not atomic_write: safetensors writes to a path, not to a stream.
        with temporary_folder(folder, ".training.") as inside:
            temporary = inside / self.path.name
            try:
                save_file(dict(tensors), temporary, header)
            except SafetensorError as error:
                raise OSError(str(error)) from error
            # Without this, a power failure after the rename could leave an empty file.
            with temporary.open("rb+") as stream:
                os.fsync(stream.fileno())
            make_readable(temporary)
            temporary.replace(self.path)

    def precision(self) -> Precision | None:
        """Return the precision of the run that wrote the checkpoint and its notes, or None.

        It is None as well if the checkpoint is damaged, or another run's: :meth:`read` raises then.
        """
        try:
            with safe_open(self.path, "pt") as stored:
                header = stored.metadata() or {}
                self._check(json.loads(header["identity"]))
                precision, notes = json.loads(header["precision"])
                return precision, tuple(notes)
        except (CheckpointError, SafetensorError, OSError, KeyError, TypeError, ValueError):
            return None

    def read(self, device: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
        """Return the tensors and the history, or None if there is no checkpoint.

        Raises:
            CheckpointError: it is damaged, or another run's.
        """
        try:
            with safe_open(self.path, "pt", device=device) as stored:
                header = stored.metadata() or {}
                self._check(json.loads(header["identity"]))
                tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
            return tensors, json.loads(header["history"])
        except FileNotFoundError:
            return None
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"damaged checkpoint ({describe(error)})") from error

    def _check(self, stored: Mapping[str, Any]) -> None:
        """Check the identity that is stored.

        Raises:
            CheckpointError: it differs.
        """
        names = {*stored, *self._identity}
        other = sorted(name for name in names if stored.get(name) != self._identity.get(name))
        if other:
            raise CheckpointError(f"checkpoint of another run (other {some(other)})")
