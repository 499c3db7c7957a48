"""Kernel ridge regression, exact or with Nyström centres."""

from __future__ import annotations

from genebench import hookimpl
from genebench.specs import MethodSpec, Needs, Param
from genebench_kernel.references import RASMUSSEN_2006, WILLIAMS_2001

genebench_contract = 1

# Memory follows the largest kernel matrix, 50 exact_max² bytes, and the coefficients of a model for
# each protocol, 8 exact_max bytes a target. Measured: 0.8 GB for 473 profiles of 8,530 genes. The
# rest is arithmetic (README): the landmarks are 0.1 of the data. Time is that of a shared machine.
NEEDS = Needs(
    cpus=2, memory=7 << 30, memory_per_byte=0.2, seconds=3600.0, seconds_per_gigabyte=1800.0
)
SMALL_NEEDS = Needs(
    cpus=2, memory=2 << 30, memory_per_byte=0.5, seconds=900.0, seconds_per_gigabyte=600.0
)

PARAMS = (
    Param(
        name="kernel", default="cauchy",
        choices=("cauchy", "imq", "laplace", "rbf", "linear-cauchy"),
        help="function of the squared distance (imq: inverse multiquadric). linear-cauchy is the "
        "sum of a linear kernel and Cauchy's",
    ),
    Param(
        name="linear_weight", default=0.1, minimum=0, maximum=1e6,
        help="mean diagonal of the linear part of linear-cauchy, where that of Cauchy's is 1",
    ),
    Param(
        name="width_min", default=0.5, minimum=1e-6, maximum=1e6,
        help="smallest width of the logarithmic grid, in units of the median squared distance of "
        "training profiles",
    ),
    Param(
        name="width_max", default=16.0, minimum=1e-6, maximum=1e6,
        help="largest width of the logarithmic grid",
    ),
    Param(
        name="widths", default=6, minimum=1, maximum=100, presets={"tiny": 2},
        help="number of widths on the grid (1: the middle of the bounds)",
    ),
    Param(
        name="lambda_min", default=1e-3, minimum=1e-12, maximum=1e12,
        help="smallest λ of the logarithmic grid, in units of the kernel's mean diagonal, so that "
        "one grid serves any number of profiles",
    ),
    Param(
        name="lambda_max", default=10.0, minimum=1e-12, maximum=1e12,
        help="largest λ of the logarithmic grid",
    ),
    Param(
        name="lambdas", default=13, minimum=1, maximum=1000, presets={"tiny": 5},
        help="number of λ values on the grid (1: the middle of the bounds)",
    ),
    Param(
        name="choose", default="validation", choices=("validation", "loo"),
        help="choose width and λ on the validation set, or by leaving out training profiles",
    ),
    Param(
        name="criterion", default="mae", choices=("mae", "mae-cc"),
        help="choose by the MAE of the validation set, or by MAE − ½ CC, its mean concordance of "
        "genes",
    ),
    Param(
        name="scale_max", default=1.0, minimum=1, maximum=3,
        help="largest factor of predicted differences from the training mean: 1, 1.1, … are tried "
        "with each width and λ",
    ),
    Param(
        name="profile_weights", default=0.0, minimum=0, maximum=4,
        help="exponent of each training profile's relative error by a fit without it. The power is "
        "the profile's factor of λ (0: all 1)",
    ),
    Param(
        name="exact_max", default=10_000, minimum=2, maximum=1_000_000,
        presets={"tiny": 200, "small": 4_000},
        help="the largest number of profiles that are fitted exactly. More are fitted with as many "
        "Nyström centres",
    ),
    Param(
        name="centres", default=0, minimum=0, maximum=1_000_000,
        help="number of Nyström centres, for any number of profiles (0: follow exact_max)",
    ),
    Param(
        name="sampling", default="uniform", choices=("uniform", "leverage"),
        help="chances of profiles to be centres: equal, or by ridge leverage scores",
    ),
    Param(
        name="bag_groups", default=0, minimum=0, maximum=1000,
        help="number of models whose mean predicts, each fitted on a random half of the groups "
        "(0: one model, fitted on all)",
    ),
)  # fmt: skip


@hookimpl
def genebench_methods() -> list[MethodSpec]:
    """Return kernel ridge."""
    return [
        MethodSpec(
            name="kernel-ridge",
            title="Kernel ridge",
            summary="kernel ridge, width and λ chosen by validation MAE",
            code="genebench_kernel.method:KernelRidge",
            reference="Rasmussen & Williams 2006, Eq. 2.25; Williams & Seeger 2001 (Nyström)",
            bibtex=f"{RASMUSSEN_2006}\n\n{WILLIAMS_2001}",
            params=PARAMS,
            stochastic=True,
            devices=("cpu", "cuda"),
            needs={"small": SMALL_NEEDS, "paper": NEEDS},
            # A decomposition for each width, and for more profiles than exact_max the products with
            # as many centres. 5 s on u133, 877 s at the published size.
            work="widths * 300 * min(train, exact_max, 2000) ** 3 + 20 * min(train, exact_max) ** 3"
            " + 4 * min(train, exact_max) * targets * (train + 3 * lambdas * validation)",
        )
    ]
