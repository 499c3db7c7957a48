"""The report of ranks: scores, with the place of each method by a test between methods."""

from __future__ import annotations

from collections.abc import Iterator

from genebench.reports.grouping import by_preset, in_order
from genebench.reports.report import Section
from genebench.reports.scores import ScoresReport, ScoreTables


class RanksReport(ScoresReport):
    """Scores with ranks that admit ties, by a paired wild bootstrap over test profiles."""

    def sections(self) -> Iterator[Section]:
        """Yield a section for each dataset, protocol, digest of the data and preset."""
        for group in in_order(self.records, self.registry):
            # A table of scores has room for every preset, but methods compete within one.
            parts = by_preset(group, self.registry)
            for preset, records in parts.items():
                name = preset if len(parts) > 1 else ""
                yield ScoreTables(records, self, name, ranked=True).section()
