"""Reports: tables and figures made from stored results. The built-in ones register by hook."""

from __future__ import annotations

from genebench.hookspecs import CONTRACT, hookimpl
from genebench.specs import ReportSpec

genebench_contract = CONTRACT


@hookimpl
def genebench_reports() -> list[ReportSpec]:
    """Return the built-in reports, the default of ``genebench report`` first."""
    return [
        ReportSpec(
            name="scores",
            title="Scores",
            summary="mean ± std of each metric, and what each method cost",
            code="genebench.reports.scores:ScoresReport",
        ),
        ReportSpec(
            name="summary",
            title="Summary",
            summary="one line for each method, and a verdict in words, as genebench run prints",
            code="genebench.reports.summary:SummaryReport",
        ),
        ReportSpec(
            name="ranks",
            title="Ranks",
            summary="scores with ranks by a test between methods, with ties",
            code="genebench.reports.ranks:RanksReport",
        ),
        ReportSpec(
            name="folds",
            title="Folds",
            summary="scores of each fold of a protocol with folds",
            code="genebench.reports.folds:FoldsReport",
        ),
        ReportSpec(
            name="scaled",
            title="Scaled scores",
            summary="scores between the train mean (0) and the twin ceiling (1)",
            code="genebench.reports.scaled:ScaledReport",
        ),
        ReportSpec(
            name="leaks",
            title="Leaks",
            summary="difference between a protocol and its variants, per method",
            code="genebench.reports.leaks:LeaksReport",
        ),
        ReportSpec(
            name="curve",
            title="Curve",
            summary="how λ, k or an epoch was chosen, such as curve path or curve learning",
            code="genebench.reports.curve:CurveReport",
            argument="curve",
            figures=True,
        ),
        ReportSpec(
            name="suite",
            title="Suite",
            summary="the layout of a suite: a file, or a shipped one such as table1",
            code="genebench.reports.suite:SuiteReport",
            argument="suite",
            figures=True,
        ),
        ReportSpec(
            name="sizes",
            title="Training sizes",
            summary="learning curves: scores by number of training profiles",
            code="genebench.reports.sizes:SizesReport",
            figures=True,
        ),
        ReportSpec(
            name="cost",
            title="Cost",
            summary="scores beside seconds and memory, and the methods that no other beats",
            code="genebench.reports.cost:CostReport",
            figures=True,
        ),
        ReportSpec(
            name="sweep",
            title="Sweep",
            summary="grids of the parameters that were varied",
            code="genebench.reports.sweep:SweepReport",
            figures=True,
        ),
    ]
