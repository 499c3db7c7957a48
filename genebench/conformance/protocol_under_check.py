"""The subject of the checks for protocols: a protocol, its folds, and a dataset.

Run as a module, it prints the digest of a protocol, for a check of another process.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property

from genebench._util.hashing import checksum_of
from genebench.data.splits import outcome
from genebench.data.store import Dataset
from genebench.datasets.library import open_dataset
from genebench.errors import UserError
from genebench.plugins.registry import registry
from genebench.runs.plan import each_fold, split_digests
from genebench.specs import ProtocolSpec, sized_name


class ProtocolSubject:
    """A protocol under check, on a dataset.

    Attributes:
        spec: the protocol.
        dataset_name, preset: the dataset, and its size where it has several.
    """

    def __init__(self, protocol: str, *, dataset: str = "sim", preset: str | None = None) -> None:
        """Find an installed protocol.

        Raises:
            UserError: there is no such protocol or dataset, or it is one fold of a protocol.
        """
        self.spec: ProtocolSpec = registry().protocols.get(protocol)
        if self.spec.test.fold:
            base, size = sized_name(protocol)
            family = base.rpartition(".")[0] + (f"-n{size}" if size else "")
            raise UserError(
                f"{protocol} is one fold of {family}, and the rules are about all folds together. "
                f"Check {family}."
            )
        self.dataset_name, self.preset = dataset, preset
        if dataset in registry().datasets.specs and not preset:
            self.preset = next(iter(registry().datasets.get(dataset).presets), None)

    def __str__(self) -> str:
        return self.spec.name

    def __repr__(self) -> str:
        return f"<ProtocolSubject {self} on {self.dataset_name}>"

    @property
    def home(self) -> ProtocolSubject:
        """The subject itself: its checks use the user's data folder, where the dataset is."""
        return self

    def active(self) -> AbstractContextManager[None]:
        """Change nothing. The checks of methods work in a data folder of their own."""
        return nullcontext()

    def open(self) -> Dataset:
        """Return the dataset, opened anew, so that no split is remembered."""
        return open_dataset(self.dataset_name, registry().datasets, self.preset)

    @cached_property
    def dataset(self) -> Dataset:
        """The dataset, opened once."""
        return self.open()

    @cached_property
    def folds(self) -> list[ProtocolSpec]:
        """The protocols of all folds, or the protocol itself if it has none.

        Raises:
            UserError: the dataset lacks a platform or a column, or has too few groups.
        """
        return each_fold(self.spec, self.dataset, registry())

    def digest(self) -> str:
        """Return a digest of the profiles of every part of every fold, and of all split digests."""
        dataset = self.open()
        return checksum_of(
            [
                [
                    fold.name,
                    [outcome(dataset.rows(part)) for part in fold.parts],
                    split_digests(fold, dataset, registry()),
                ]
                for fold in each_fold(self.spec, dataset, registry())
            ]
        )

    def arguments(self) -> Iterator[str]:
        """Yield the arguments of this module that describe the subject."""
        yield from (self.spec.name, self.dataset_name, self.preset or "")


if __name__ == "__main__":
    _name, _dataset, _preset = sys.argv[1:]
    sys.stdout.write(ProtocolSubject(_name, dataset=_dataset, preset=_preset or None).digest())
