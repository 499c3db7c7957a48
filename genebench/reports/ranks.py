"""The report of ranks: scores, with the place of each method by a test between methods."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from genebench.analysis.grouping import by_preset, in_order
from genebench.reports.report import Section
from genebench.reports.scores import ScoresReport, ScoreTables

_COLUMNS = (
    "dataset", "protocol", "data", "preset", "metric", "method", "control", "mean", "low", "high",
    "rank", "tied_with", "seeds", "seed_low", "seed_high", "profiles", "groups",
    "rank_low", "rank_high", "difference", "difference_low", "difference_high", "p", "beats_mean",
)  # fmt: skip


class RanksReport(ScoresReport):
    """Scores with ranks that admit ties, by a paired wild bootstrap over test profiles."""

    def sections(self) -> Iterator[Section]:
        """Yield a section for each dataset, protocol, digest of the data and preset."""
        for tables in self._tables():
            yield tables.section()

    def values(self) -> pd.DataFrame:
        """Return one row per section, metric and method, on all targets.

        Columns are those of :class:`genebench.analysis.rank.Standing`. ``tied_with`` names the
        methods that cannot be told apart from this one, separated by commas.
        """
        rows = []
        for tables in self._tables():
            first = tables.records[0]
            for metric, standings in tables.standings.items():
                for standing in standings:
                    columns = {name: getattr(standing, name, None) for name in _COLUMNS}
                    rows.append(
                        columns
                        | {
                            "dataset": first.dataset,
                            "protocol": first.identity.protocol,
                            "data": first.identity.data,
                            "preset": tables.preset or first.preset,
                            "metric": metric,
                            "method": standing.variant.label,
                            "control": standing.variant.control,
                            "tied_with": ",".join(other.label for other in standing.tied_with),
                        }
                    )
        table = pd.DataFrame(rows, columns=list(_COLUMNS))
        # Controls have no rank, and platforms without groups no number of them.
        numbers = ("rank", "groups", "rank_low", "rank_high")
        return table.astype(dict.fromkeys(numbers, "Int64") | {"beats_mean": "boolean"})

    def _tables(self) -> Iterator[ScoreTables]:
        for group in in_order(self.records, self.registry):
            # A table of scores has room for every preset, but methods compete within one.
            parts = by_preset(group, self.registry)
            for preset, records in parts.items():
                yield ScoreTables(records, self, preset if len(parts) > 1 else "", ranked=True)
