"""The choice of records by dataset, protocol and method."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from genebench.errors import unknown
from genebench.specs import ALL

if TYPE_CHECKING:
    from genebench.results.record import Record

Names = str | Iterable[str] | None
"""Names, comma-separated or as a sequence. None and ``all`` stand for no filter."""


@dataclass(frozen=True)
class Selection:
    """Filters of records.

    Attributes:
        dataset, protocols, methods: names to keep.
        trials: True to keep trials as well: records of tuning, scored on a validation set.
    """

    dataset: Names = None
    protocols: Names = None
    methods: Names = None
    trials: bool = False

    def of(self, records: Iterable[Record]) -> list[Record]:
        """Return the chosen records, in their order.

        Raises:
            UserError: a name occurs in none of the records that the filters before it left.
        """
        chosen = [record for record in records if self.trials or not record.identity.is_trial]
        chosen = _named(chosen, "dataset", self.dataset, lambda record: record.dataset)
        chosen = _named(chosen, "protocol", self.protocols, lambda r: r.identity.protocol)
        return _named(chosen, "method", self.methods, lambda record: record.identity.method)


def _named(
    records: list[Record], kind: str, names: Names, name_of: Callable[[Record], str]
) -> list[Record]:
    """Return the records of these names, each of which must occur."""
    if names is None or (isinstance(names, str) and names.strip() == ALL):
        return records
    wanted = [name.strip() for name in (names.split(",") if isinstance(names, str) else names)]
    present = {name_of(record) for record in records}
    for name in wanted:
        if name not in present:
            raise unknown(f"{kind} among these results", name, present)
    return [record for record in records if name_of(record) in wanted]
