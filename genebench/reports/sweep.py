"""The report of sweeps: every grid of parameters that the records hold."""

from __future__ import annotations

from collections.abc import Iterator

from genebench.analysis.grouping import in_order
from genebench.analysis.sweep import grids_in
from genebench.errors import UserError
from genebench.reports.grids import GridReport
from genebench.reports.layout import Layout
from genebench.specs import PRESETS


class SweepReport(GridReport):
    """Grids of the parameters that differ among the records of a method."""

    def check(self) -> None:
        """Refuse records in which no parameter was varied."""
        super().check()
        if next(self.layouts(), None) is None:
            raise UserError(
                "No method was run with several values of a parameter. "
                "Run some with genebench sweep."
            )

    def layouts(self) -> Iterator[Layout]:
        """Yield a layout for each dataset, protocol, digest of the data and preset."""
        for group in in_order(self.tested(), self.registry):
            for preset in PRESETS:
                grids = grids_in(record for record in group if record.preset == preset)
                if grids:
                    yield self.layout("sweep", preset, group, grids)
