"""The built-in metrics, declared through the hook: one value per gene, or per profile."""

from __future__ import annotations

from typing import Any

from genebench.hookspecs import CONTRACT, hookimpl
from genebench.specs import MetricSpec

genebench_contract = CONTRACT

STANDARD_DEVIATIONS = "standard deviations of the gene"
NO_UNIT = "dimensionless"

_AGREEMENT = "genebench.metrics.agreement"
_INFLUENCE = "genebench.metrics.influence"
_RECALL = "genebench.metrics.recall"


@hookimpl
def genebench_metrics() -> list[MetricSpec]:
    """Return the two published metrics, others of the field, and all of them per profile."""
    return [
        _error(
            name="mae",
            title="MAE",
            summary="mean absolute error over test profiles (Wang et al. 2018, Eq. 11)",
            code=f"{_AGREEMENT}:absolute_errors",
            form="terms",
        ),
        _agreement(
            name="cc",
            title="CC",
            summary="Lin's concordance correlation over test profiles (Wang et al. 2018, Eq. 12)",
            code=f"{_AGREEMENT}:concordance_terms",
            form="terms",
        ),
        _error(
            name="rmse",
            title="RMSE",
            summary="root mean squared error over test profiles",
            code=f"{_INFLUENCE}:root_mean_squared_error_terms",
            form="terms",
        ),
        _agreement(
            name="pearson",
            title="Pearson",
            summary="Pearson's correlation over test profiles",
            code=f"{_INFLUENCE}:pearson_terms",
            form="terms",
        ),
        _agreement(
            name="spearman",
            title="Spearman",
            summary="Spearman's rank correlation over test profiles",
            code=f"{_INFLUENCE}:spearman_terms",
            form="terms",
            costly=True,
        ),
        _agreement(
            name="r2",
            title="R²",
            summary="share of the gene's variance over test profiles that is explained",
            code=f"{_INFLUENCE}:determination_terms",
            form="terms",
        ),
        _agreement(
            name="recall",
            title="recall",
            summary="share of other genes that a gene's prediction is less correlated with than "
            "with the gene itself (Subramanian et al. 2017)",
            code=f"{_RECALL}:gene_recall",
            form="whole",
            costly=True,
        ),
        _error(
            name="profile-mae",
            title="MAE of profiles",
            summary="mean absolute error over target genes",
            code=f"{_AGREEMENT}:profile_mean_absolute_error",
            axis="profile",
        ),
        _agreement(
            name="profile-cc",
            title="CC of profiles",
            summary="Lin's concordance correlation over target genes",
            code=f"{_AGREEMENT}:profile_concordance_correlation",
            axis="profile",
        ),
        _error(
            name="profile-rmse",
            title="RMSE of profiles",
            summary="root mean squared error over target genes",
            code=f"{_AGREEMENT}:profile_root_mean_squared_error",
            axis="profile",
        ),
        _agreement(
            name="profile-pearson",
            title="Pearson of profiles",
            summary="Pearson's correlation over target genes",
            code=f"{_AGREEMENT}:profile_pearson_correlation",
            axis="profile",
        ),
        _agreement(
            name="profile-spearman",
            title="Spearman of profiles",
            summary="Spearman's rank correlation over target genes",
            code=f"{_AGREEMENT}:profile_spearman_correlation",
            axis="profile",
            costly=True,
        ),
        _agreement(
            name="profile-r2",
            title="R² of profiles",
            summary="share of the profile's variance over target genes that is explained",
            code=f"{_AGREEMENT}:profile_determination",
            axis="profile",
        ),
        _agreement(
            name="profile-recall",
            title="recall of profiles",
            summary="share of other profiles that a profile's prediction is less correlated with "
            "than with the profile itself (after Subramanian et al. 2017)",
            code=f"{_RECALL}:profile_recall",
            axis="profile",
            form="whole",
            costly=True,
        ),
    ]


def _error(**declared: Any) -> MetricSpec:
    """Return the spec of an error: in units of the data, 0 is best."""
    return MetricSpec(unit=STANDARD_DEVIATIONS, direction="lower", best=0.0, **declared)


def _agreement(**declared: Any) -> MetricSpec:
    """Return the spec of a measure of agreement: without unit, 1 is best."""
    return MetricSpec(unit=NO_UNIT, direction="higher", best=1.0, **declared)
