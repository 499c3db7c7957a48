"""Nearest neighbours: among landmark genes (KNN-GE) and among training profiles (KNN)."""

from __future__ import annotations

from genebench import hookimpl
from genebench.specs import MethodSpec, Needs, Param
from genebench_knn.references import CHEN_2016, WANG_2018

genebench_contract = 1

K_MAX = Param(
    name="k_max", default=50, minimum=1, maximum=1000,
    help="largest number of neighbours (k is chosen in 1 … k_max by validation MAE)",
)  # fmt: skip

# Measured on two processors without a GPU: 0.4 GB (KNN) and 0.7 GB (KNN-GE) for 378 profiles of
# 8,530 genes, and at the published size, 3.7 GB of data, 1.4 GB and 75 s (KNN), 1.4 GB and 25 s
# (KNN-GE). The time of KNN grows with the square of the profiles, so it has more to spare.
GENES_NEEDS = Needs(
    cpus=2, memory=1536 << 20, memory_per_byte=0.15, seconds=600.0, seconds_per_gigabyte=60.0
)
PROFILES_NEEDS = Needs(
    cpus=2, memory=1 << 30, memory_per_byte=0.35, seconds=600.0, seconds_per_gigabyte=200.0
)


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
            bibtex=CHEN_2016,
            params=(K_MAX,),
            devices=("cpu", "cuda"),
            needs={"paper": GENES_NEEDS},
            work="4 * train * landmarks * (landmarks + targets) + 30000 * landmarks * targets "
            "+ 600 * k_max * validation * targets",
        ),
        MethodSpec(
            name="knn",
            title="KNN",
            summary="mean of the k training profiles nearest in landmark expression",
            code="genebench_knn.profiles:KNN",
            reference="the text of Wang et al. 2018, §4.1.2",
            bibtex=WANG_2018,
            params=(K_MAX,),
            devices=("cpu", "cuda"),
            needs={"paper": PROFILES_NEEDS},
            work="(validation + test) * (2 * train * landmarks + 600 * k_max * targets)",
        ),
    ]
