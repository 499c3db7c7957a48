"""Gradient boosting of trees, on principal components of the targets."""

from __future__ import annotations

from genebench import hookimpl
from genebench.specs import MethodSpec, Needs, Param
from genebench_boosting.references import KE_2017

genebench_contract = 1

# Measured on one processor of a shared machine: 0.45 GB and 133 s for 378 profiles of 8,530 genes
# under preset small. At the published size the landmarks take 0.1 GB as bins and 0.3 GB as numbers.
# The time there is an estimate: trees × profiles × landmarks.
NEEDS = Needs(
    cpus=2,
    gpus=0,
    memory=1536 << 20,
    memory_per_byte=0.5,
    seconds=1200.0,
    seconds_per_gigabyte=7200.0,
)


@hookimpl
def genebench_methods() -> list[MethodSpec]:
    """Return gradient boosting by LightGBM."""
    return [
        MethodSpec(
            name="boosting",
            title="Boosting",
            summary="boosted trees for each principal component of the targets",
            code="genebench_boosting.method:Boosting",
            reference="Ke et al. 2017, LightGBM",
            bibtex=KE_2017,
            stochastic=True,
            needs={"paper": NEEDS},
            # What a tree costs in any case outweighs the profiles of small data.
            work="components * rounds * (1.2e9 + 200 * train * landmarks * landmark_share)",
            params=(
                Param(
                    name="components", default=100, minimum=1, maximum=5000,
                    help="principal components of the targets that are predicted",
                    presets={"tiny": 10, "small": 50},
                ),
                Param(
                    name="rounds", default=500, minimum=1, maximum=100_000,
                    help="most trees of a component (fewer are chosen by validation MAE)",
                    presets={"tiny": 30, "small": 200},
                ),
                Param(
                    name="rate", default=0.05, minimum=1e-6, maximum=1.0,
                    help="share of each tree's prediction that is added",
                    presets={"tiny": 0.2, "small": 0.1},
                ),
                Param(
                    name="leaves", default=31, minimum=2, maximum=10_000,
                    help="most leaves of a tree", presets={"small": 7},
                ),
                Param(
                    name="leaf_profiles", default=20, minimum=1,
                    help="fewest training profiles of a leaf", presets={"small": 5},
                ),
                Param(
                    name="landmark_share", default=0.2, minimum=0.001, maximum=1.0,
                    help="share of the landmarks that each tree may split by, drawn by the seed",
                ),
                Param(
                    name="bins", default=63, minimum=2, maximum=255,
                    help="values of a landmark that trees tell apart",
                ),
            ),
        )
    ]  # fmt: skip
