"""Metrics, as hooks: one value per gene, or per profile."""

from __future__ import annotations

from genebench.hookspecs import CONTRACT, hookimpl
from genebench.specs import MetricSpec

genebench_contract = CONTRACT

STANDARDISED = "standard deviations of the gene"


@hookimpl
def genebench_metrics() -> list[MetricSpec]:
    """The two published metrics."""
    return [
        MetricSpec(
            name="mae",
            title="MAE",
            summary="mean absolute error over test profiles (Wang et al. 2018, Eq. 11)",
            code="genebench.metrics.gene:mean_absolute_error",
            unit=STANDARDISED,
            direction="lower",
            best=0.0,
        ),
        MetricSpec(
            name="cc",
            title="CC",
            summary="Lin's concordance correlation over test profiles (Wang et al. 2018, Eq. 12)",
            code="genebench.metrics.gene:concordance_correlation",
            unit="dimensionless",
            direction="higher",
            best=1.0,
        ),
    ]
