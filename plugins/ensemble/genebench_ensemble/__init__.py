"""Ensembles of other methods: their mean, or non-negative stacking."""

from __future__ import annotations

from genebench import hookimpl
from genebench.specs import MethodSpec, Needs, Param
from genebench_ensemble.references import BREIMAN_1996

genebench_contract = 1

NEEDS = Needs(
    cpus=2, memory=4 << 30, memory_per_byte=1.0, seconds=600.0, seconds_per_gigabyte=600.0
)


@hookimpl
def genebench_methods() -> list[MethodSpec]:
    """Return the ensemble."""
    return [
        MethodSpec(
            name="ensemble",
            title="Ensemble",
            summary="weighted sum of the predictions of other methods with saved models",
            code="genebench_ensemble.method:Ensemble",
            reference="Breiman 1996, Stacked regressions, with non-negative weights",
            bibtex=BREIMAN_1996,
            members="members",
            params=(
                Param(
                    name="members", default="",
                    help="comma-separated methods to combine, such as lsr-l2,knn-ge",
                ),
                Param(
                    name="weights", default="mean", choices=("mean", "stack"),
                    help="mean (equal weights) or stack (non-negative weights with the smallest "
                    "validation MAE)",
                ),
            ),
            devices=("cpu", "cuda"),
            needs={"paper": NEEDS},
            # Members predict. A kernel or a wide network takes longest.
            work="20 * (validation + test) * landmarks * targets",
        )
    ]  # fmt: skip
