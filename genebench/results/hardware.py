"""The class of hardware that a record's times were measured on."""

from __future__ import annotations

from typing import NamedTuple

from genebench.errors import counted
from genebench.results.record import Provenance


class Hardware(NamedTuple):
    """A class of machines whose times compare.

    Attributes:
        processor: its model.
        cpus: how many processors the job could use.
        accelerator: the GPU in use, empty on the CPU.
    """

    processor: str
    cpus: int
    accelerator: str

    def __str__(self) -> str:
        """Return it for a reader."""
        gpu = f", {self.accelerator}" if self.accelerator else ""
        return f"{self.processor}, {counted(self.cpus, 'core')}{gpu}"


def hardware_of(provenance: Provenance) -> Hardware | None:
    """Return the hardware of a record, or None if the model of the processor is unknown."""
    if not provenance.processor:
        return None
    return Hardware(provenance.processor, provenance.cpus, provenance.accelerator)
