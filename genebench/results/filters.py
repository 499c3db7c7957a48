"""The one filter of records."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from genebench.errors import unknown
from genebench.specs import ALL

if TYPE_CHECKING:
    from genebench.results.record import Record, Status

Names = str | Iterable[str] | None
"""Names, comma-separated or as a sequence. None and ``all`` stand for no filter."""


@dataclass(frozen=True)
class RecordFilter:
    """Conditions on records. A record is kept if it meets all of them.

    Attributes:
        dataset, protocols, methods: names to keep. The name of a protocol with folds stands for all
            of its folds.
        status: ``done``, ``failed`` or ``not applicable``.
        trials: True for trials of tuning only, False for all other records.
        metric: a metric that the record has a score of.
        panel: the panel of that score. It counts only with ``metric``.
    """

    dataset: Names = None
    protocols: Names = None
    methods: Names = None
    status: Status | None = None
    trials: bool | None = None
    metric: str | None = None
    panel: str = "all"

    def apply(self, records: Iterable[Record]) -> list[Record]:
        """Return the records that meet every condition, in their order.

        Raises:
            UserError: a name occurs in none of the records that the conditions before it left.
        """
        kept = [
            record
            for record in records
            if (self.status is None or record.status == self.status)
            and (self.trials is None or record.identity.is_trial == self.trials)
            and (self.metric is None or self.panel in record.scores.get(self.metric, {}))
        ]
        kept = _named(kept, "dataset", self.dataset, lambda record: {record.dataset})
        kept = _named(
            kept,
            "protocol",
            self.protocols,
            lambda record: {record.identity.protocol, record.identity.family},
        )
        return _named(kept, "method", self.methods, lambda record: {record.identity.method})


def _named(
    records: list[Record], kind: str, names: Names, names_of: Callable[[Record], set[str]]
) -> list[Record]:
    """Return the records of these names, each of which must occur."""
    if names is None or (isinstance(names, str) and names.strip() == ALL):
        return records
    wanted = [name.strip() for name in (names.split(",") if isinstance(names, str) else names)]
    present = {name for record in records for name in names_of(record)}
    for name in wanted:
        if name not in present:
            raise unknown(f"{kind} among these results", name, present)
    return [record for record in records if not names_of(record).isdisjoint(wanted)]
