"""Sample-wise lasso: each profile as a sparse mixture of training profiles."""

from __future__ import annotations

from genebench import hookimpl
from genebench.specs import MethodSpec, Needs, Param
from genebench_samplewise.references import MANCUSO_2020

genebench_contract = 1

# Measured on two busy processors: 0.8 GB for 473 profiles of 8,530 genes. At the published size,
# 3.7 GB of data, 1.5 GB. Processor seconds there, with reading: 0.5 for each validation profile (24
# settings), and 0.09 for each predicted profile. That is 1,000 s for two validation sets of 1,000
# profiles, and 1,200 s for both test sets.
NEEDS = Needs(
    cpus=2,
    gpus=0,
    memory=1536 << 20,
    memory_per_byte=0.35,
    seconds=900.0,
    seconds_per_gigabyte=900.0,
)


@hookimpl
def genebench_methods() -> list[MethodSpec]:
    """Return the sample-wise lasso of Mancuso et al. 2020."""
    return [
        MethodSpec(
            name="sample-lasso",
            title="Sample lasso",
            summary="each profile as a sparse mixture of the training profiles near it",
            code="genebench_samplewise.method:SampleLasso",
            reference="Mancuso et al. 2020, NAR 48:e125 (SampleLASSO)",
            bibtex=MANCUSO_2020,
            needs={"paper": NEEDS},
            work="min(train, neighbours) * landmarks * (2400 * penalties * "
            "min(validation, 2 * validation_profiles) + 5000 * test)",
            params=(
                Param(
                    name="neighbours", default=2000, minimum=1, presets={"small": 1000},
                    help="nearest training profiles that may have a weight (all if fewer)",
                ),
                Param(
                    name="intercept", default="choose", choices=("choose", "yes", "no"),
                    help="whether each profile has a constant of its own, which is added to its "
                    "targets too (choose: by validation MAE)",
                ),
                Param(
                    name="penalties", default=12, minimum=1, maximum=1000,
                    help="number of penalties on the logarithmic path",
                ),
                Param(
                    name="penalty_max", default=0.5, minimum=1e-6, maximum=1e6,
                    help="largest penalty, as a share of the number of landmarks",
                ),
                Param(
                    name="penalty_min", default=0.01, minimum=1e-6, maximum=1e6,
                    help="smallest penalty, as a share of the number of landmarks",
                ),
                Param(
                    name="validation_profiles", default=1000, minimum=0,
                    presets={"tiny": 200, "small": 500},
                    help="profiles of the validation set that the choice uses, drawn with a fixed "
                    "seed (0: all)",
                ),
                Param(
                    name="gap", default=1e-6, minimum=1e-12, maximum=0.1,
                    help="duality gap at which a profile is done, as a share of its sum of squares",
                ),
                Param(
                    name="iterations", default=100, minimum=1, maximum=100_000,
                    help="most rounds of a profile for one penalty",
                ),
            ),
        ),
    ]  # fmt: skip
