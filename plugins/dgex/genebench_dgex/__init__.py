"""D-GEX (Chen et al. 2016): fully connected networks under squared error."""

from __future__ import annotations

from genebench import hookimpl
from genebench.specs import MethodSpec, Param
from genebench.training import training_params

genebench_contract = 1

PARAMS = (
    Param(
        name="layers", default=3, minimum=1, maximum=10,
        help="hidden layers", presets={"small": 1},
    ),
    Param(
        name="units", default=9000, minimum=1,
        help="units of each hidden layer", presets={"tiny": 200, "small": 3000},
    ),
    Param(
        name="dropout", default=0.1, minimum=0.0, maximum=0.95,
        help="share of hidden units zeroed in each step, never of landmarks",
    ),
    Param(
        name="lr", default=0.0, minimum=0.0, presets={"tiny": 2e-3, "small": 1e-4},
        help="learning rate at the start (0: 5e-4 for one hidden layer, 3e-4 for more)",
    ),
    Param(
        name="momentum", default=0.5, minimum=0.0, maximum=0.999,
        help="classical momentum",
    ),
    Param(
        name="halves", default=2, choices=(1, 2),
        help="networks, each for its share of the targets (2 as published, 1 trains faster)",
    ),
)  # fmt: skip


@hookimpl
def genebench_methods() -> list[MethodSpec]:
    """Return D-GEX."""
    return [
        MethodSpec(
            name="dgex",
            title="D-GEX",
            summary="two tanh networks under squared error, each for half of the targets",
            code="genebench_dgex.method:DGEX",
            reference="Chen et al. 2016, with details as in the authors' published code",
            params=(
                *PARAMS,
                *training_params(
                    epochs={"tiny": 40, "small": 80, "paper": 200},
                    batch={"tiny": 20, "small": 50, "paper": 200},
                ),
            ),
            stochastic=True,
            devices=("cpu", "cuda"),
        ),
    ]
