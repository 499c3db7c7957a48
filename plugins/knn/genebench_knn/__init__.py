"""Nearest neighbours: among landmark genes (KNN-GE) and among training profiles (KNN)."""

from __future__ import annotations

from genebench import hookimpl
from genebench.specs import MethodSpec, Param

genebench_contract = 1

K_MAX = Param(
    name="k_max", default=50, minimum=1, maximum=1000,
    help="largest number of neighbours (k is chosen in 1 … k_max by validation MAE)",
)  # fmt: skip


@hookimpl
def genebench_methods() -> list[MethodSpec]:
    """Return both readings of the papers' nearest-neighbour baseline."""
    return [
        MethodSpec(
            name="knn-ge",
            title="KNN-GE",
            summary="mean of the k landmark genes nearest to the target over training profiles",
            code="genebench_knn.genes:KNNGE",
            reference="Chen et al. 2016, the method behind the published numbers",
            params=(K_MAX,),
            devices=("cpu", "cuda"),
        ),
        MethodSpec(
            name="knn",
            title="KNN",
            summary="mean of the k training profiles nearest in landmark expression",
            code="genebench_knn.profiles:KNN",
            reference="the text of Wang et al. 2018, §4.1.2",
            params=(K_MAX,),
            devices=("cpu", "cuda"),
        ),
    ]
