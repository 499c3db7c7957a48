"""Linear regression of targets on landmarks: LSR, LSR-L1 and LSR-L2."""

from __future__ import annotations

from genebench import hookimpl
from genebench.specs import Device, MethodSpec, Param

genebench_contract = 1

DEVICES: tuple[Device, ...] = ("cpu", "cuda")
PER_GENE = Param(
    name="per_gene", default=False,
    help="choose a λ for each target gene, not one for all as published",
)  # fmt: skip


@hookimpl
def genebench_methods() -> list[MethodSpec]:
    """Return the linear baselines of Wang et al. 2018."""
    return [
        MethodSpec(
            name="lsr",
            title="LSR",
            summary="least squares (the minimum-norm solution if under-determined)",
            code="genebench_linear.method:LSR",
            devices=DEVICES,
            reference="Wang et al. 2018, Eq. 8",
        ),
        MethodSpec(
            name="lsr-l2",
            title="LSR-L2",
            summary="ridge regression, λ chosen by validation MAE",
            code="genebench_linear.method:LSRL2",
            devices=DEVICES,
            reference="Wang et al. 2018, Eq. 9, where λ is scikit-learn's Ridge alpha",
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
    ]  # fmt: skip
