"""Linear regression of targets on landmarks: LSR, LSR-L1, LSR-L2 and reduced-rank ridge."""

from __future__ import annotations

from genebench import hookimpl
from genebench.specs import Device, MethodSpec, Needs, Param
from genebench_linear.references import MUKHERJEE_2011, WANG_2018

genebench_contract = 1

DEVICES: tuple[Device, ...] = ("cpu", "cuda")
PER_GENE = Param(
    name="per_gene", default=False,
    help="choose a λ for each target gene, not one for all as published",
)  # fmt: skip

# Measured on two processors without a GPU: 0.6 GB (LSR-L1: 0.8 GB) for 378 profiles of 8,530 genes,
# and at the published size, 3.7 GB of data, 1.2 GB (LSR-L1: 1.4 GB). There, reading the data takes
# most of the time: 24 s for LSR, 61 s for LSR-L2, 110 s for LSR-L1. A network disk may be far
# slower. LSR-L1's path also takes two minutes for few profiles of many genes, on one processor.
# Reduced rank was measured on one processor: 0.9 GB, and 8.2 to 9.5 s for 473 profiles of 8,530
# genes. It was not run at the published size.
NEEDS = Needs(
    cpus=2, memory=1536 << 20, memory_per_byte=0.15, seconds=600.0, seconds_per_gigabyte=60.0
)
L1_NEEDS = Needs(
    cpus=2, memory=1536 << 20, memory_per_byte=0.15, seconds=900.0, seconds_per_gigabyte=120.0
)

# Operations, from the times of u133 and of the published size in benchmarks/README.md: products in
# float64, which count twice, a decomposition that is limited by memory, and reading.
MOMENTS = "4 * train * landmarks * (landmarks + targets)"
SPECTRUM = f"{MOMENTS} + 200 * landmarks ** 3 + 4 * landmarks ** 2 * targets"


@hookimpl
def genebench_methods() -> list[MethodSpec]:
    """Return the linear baselines of Wang et al. 2018, and reduced-rank ridge."""
    return [
        MethodSpec(
            name="lsr",
            title="LSR",
            summary="least squares (the minimum-norm solution if under-determined)",
            code="genebench_linear.method:LSR",
            devices=DEVICES,
            reference="Wang et al. 2018, Eq. 8",
            bibtex=WANG_2018,
            needs={"paper": NEEDS},
            work=SPECTRUM,
        ),
        MethodSpec(
            name="lsr-l2",
            title="LSR-L2",
            summary="ridge regression, λ chosen by validation MAE",
            code="genebench_linear.method:LSRL2",
            devices=DEVICES,
            reference="Wang et al. 2018, Eq. 9, where λ is scikit-learn's Ridge alpha",
            bibtex=WANG_2018,
            needs={"paper": NEEDS},
            work=f"{SPECTRUM} + 3.5 * lambdas * validation * landmarks * targets",
            params=(
                # Four λ for each power of ten.
                Param(
                    name="lambda_min", default=0.1, minimum=1e-12,
                    help="smallest λ of the logarithmic grid",
                ),
                Param(
                    name="lambda_max", default=1e6, minimum=1e-12,
                    help="largest λ of the logarithmic grid",
                ),
                Param(
                    name="lambdas", default=29, minimum=1, maximum=1000,
                    help="number of λ values on the grid",
                ),
                PER_GENE,
            ),
        ),
        MethodSpec(
            name="lsr-l1",
            title="LSR-L1",
            summary="lasso, λ chosen by validation MAE on a path from λ_max down",
            code="genebench_linear.l1:LSRL1",
            devices=DEVICES,
            reference="Wang et al. 2018, Eq. 10, where λ is 2·n·alpha of scikit-learn's Lasso",
            bibtex=WANG_2018,
            needs={"paper": L1_NEEDS},
            # Few profiles take as long as many: weights, not profiles, are searched for.
            work=f"{MOMENTS} + 250 * lambdas * landmarks ** 2 * targets",
            params=(
                Param(
                    name="lambdas", default=16, minimum=2, maximum=1000,
                    help="number of λ values on the path",
                ),
                Param(
                    name="lambda_min", default=1e-4, minimum=1e-8, maximum=0.99,
                    help="smallest λ of the path, as a share of λ_max, where all weights are zero",
                ),
                Param(
                    name="patience", default=3, minimum=0,
                    help="end the path after this many λ in a row that were better on no "
                    "validation set (0: go down to lambda_min)",
                ),
                Param(
                    name="gap", default=1e-4, minimum=1e-12, maximum=0.1,
                    help="duality gap at which a gene is done, as a share of its sum of squares",
                ),
                Param(
                    name="iterations", default=1000, minimum=10,
                    help="most iterations of a gene for one λ, rounded down to tens",
                ),
                PER_GENE,
            ),
        ),
        MethodSpec(
            name="reduced-rank",
            title="Reduced rank",
            summary="ridge regression of limited rank, λ and rank chosen by validation MAE",
            code="genebench_linear.reduced_rank:ReducedRank",
            devices=DEVICES,
            reference="Mukherjee & Zhu 2011, reduced-rank ridge regression",
            bibtex=MUKHERJEE_2011,
            needs={"paper": NEEDS},
            work=f"{SPECTRUM} + lambdas * (50 * landmarks ** 3 + 2 * ranks * validation * "
            "landmarks * targets)",
            params=(
                # Two λ for each power of ten.
                Param(
                    name="lambda_min", default=1.0, minimum=1e-12,
                    help="smallest λ of the logarithmic grid",
                ),
                Param(
                    name="lambda_max", default=1e6, minimum=1e-12,
                    help="largest λ of the logarithmic grid",
                ),
                Param(
                    name="lambdas", default=13, minimum=1, maximum=1000,
                    help="number of λ values on the grid",
                ),
                Param(
                    name="ranks", default=24, minimum=1, maximum=1000,
                    help="number of ranks to try for each λ, from 1 to the largest",
                ),
            ),
        ),
    ]  # fmt: skip
