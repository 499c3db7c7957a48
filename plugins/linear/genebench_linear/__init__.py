"""Linear regression of targets on landmarks: LSR and LSR-L2."""

from __future__ import annotations

from genebench import hookimpl
from genebench.specs import MethodSpec, Param

genebench_contract = 1


@hookimpl
def genebench_methods() -> list[MethodSpec]:
    """The linear baselines of the GGAN paper."""
    return [
        MethodSpec(
            name="lsr",
            title="LSR",
            summary="least squares; the minimum-norm solution where it is under-determined",
            code="genebench_linear.method:LSR",
            reference="Wang et al. 2018, Eq. 8",
        ),
        MethodSpec(
            name="lsr-l2",
            title="LSR-L2",
            summary="ridge regression; one λ for all genes, chosen by selection MAE",
            code="genebench_linear.method:LSRL2",
            reference="Wang et al. 2018, Eq. 9; λ is scikit-learn's Ridge alpha",
            params=(
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
            ),
        ),
    ]  # fmt: skip
