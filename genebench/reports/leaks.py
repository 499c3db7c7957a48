"""The report of leaks: how much each method owes to a leak of the published protocols."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from genebench.analysis.leaks import leaks
from genebench.errors import UserError, some
from genebench.reports.report import Report, Row, Section, Table
from genebench.reports.wording import could_have_cheated_notes, seal_levels
from genebench.results.record import Record
from genebench.specs import sized_name

_NOTES = (
    (
        "difference = variant − the protocol that it changes, mean over all targets and over the "
        "seeds that both have: the leak's worth"
    ),
    "strict: quantiles, means and deviations from the training profiles only",
    "geo-series: every series in one part only",
    (
        "geo-series: zero is a mean that includes the test series, so a method without an "
        "intercept gains. geo-series-strict takes that away"
    ),
    (
        "strict: MAE in the units of the training profiles, which is another scale. Compare the "
        "difference with that of train-mean"
    ),
)

_COLUMNS = ["label", "method", "mean_original", "mean_variant", "difference"]


class LeaksReport(Report):
    """Differences between a protocol and its variants, each of which closes one leak."""

    def check(self) -> None:
        """Refuse results without a method that was run under a protocol and its variant."""
        super().check()
        if not leaks(self.records, self.registry).empty:
            return
        present = {sized_name(record.identity.protocol)[0] for record in self.records}
        variants = [spec for spec in self.registry.protocols.specs.values() if spec.variant_of]
        if any({spec.name, spec.variant_of} <= present for spec in variants):
            raise UserError(
                "No method was run under a protocol and its variant with the same data, "
                "parameters, code, seed and number of training profiles. Run both with the same "
                "options."
            )
        names = some([f"{spec.variant_of} with {spec.name}" for spec in variants])
        raise UserError(f"No protocol was run beside its variant. Run {names}.")

    def sections(self) -> Iterator[Section]:
        """Yield a section for each dataset and preset, with a table for each variant and metric."""
        for (dataset, data, preset), part in self.values().groupby(
            ["dataset", "data", "preset"], sort=False
        ):
            tables = [
                self._table(rows, str(original), str(variant), str(metric))
                for (original, variant, metric), rows in part.groupby(
                    ["original", "variant", "metric"], sort=False
                )
            ]
            rows = list(self._by_method(str(data)))
            yield Section(
                f"leaks · {dataset} · preset {preset} · data {data}",
                tuple(tables),
                notes=tuple(could_have_cheated_notes(rows)),
                details=(*_NOTES, *seal_levels(rows)),
            )

    def values(self) -> pd.DataFrame:
        """Return one row per preset, method with its parameters, metric and variant."""
        return self.of_metrics(leaks(self.records, self.registry))

    def _by_method(self, data: str) -> Iterator[tuple[str, list[Record]]]:
        records = [record for record in self.records if record.identity.data == data]
        for name in dict.fromkeys(record.identity.method for record in records):
            yield name, [record for record in records if record.identity.method == name]

    def _table(self, rows: pd.DataFrame, original: str, variant: str, metric: str) -> Table:
        spec = self.registry.metrics.specs.get(metric)
        return Table(
            title=f"{spec.title if spec else metric}: {original} → {variant}",
            columns=("method", original, variant, "difference"),
            rows=tuple(self._row(*row) for row in rows[_COLUMNS].itertuples(index=False)),
        )

    def _row(
        self, label: str, method: str, original: float, variant: float, difference: float
    ) -> Row:
        spec = self.registry.methods.specs.get(method)
        cells = (label, f"{original:.4f}", f"{variant:.4f}", f"{difference:+.4f}")
        return Row(cells, control=spec is not None and spec.control)
