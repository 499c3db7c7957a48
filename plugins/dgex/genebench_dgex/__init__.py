"""D-GEX (Chen et al. 2016): fully connected networks under squared error."""

from __future__ import annotations

from genebench import hookimpl
from genebench.specs import MethodSpec, Needs, Param
from genebench.training import training_params
from genebench_dgex.references import CHEN_2016

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

# The time grows with epochs × profiles × genes, and so with the data. Memory of the preset paper is
# mostly weights, momentum and the best epochs.
NEEDS = {
    # For a laptop. Measured: 0.33 GB and 0.4 s for 0.2 MB of data.
    "tiny": Needs(
        cpus=1, memory=1 << 30, memory_per_byte=2.0, seconds=300.0, seconds_per_gigabyte=3000.0
    ),
    # For few CPUs. Measured on one: 0.8 GB for 378 profiles of 8,530 genes, and 130 s for each
    # epoch and GB, with those and with simulated profiles.
    "small": Needs(
        cpus=2, memory=2 << 30, memory_per_byte=2.0, seconds=600.0, seconds_per_gigabyte=16000.0
    ),
    # For a GPU. Memory was measured on a CPU: 5.4 GB at 10,463 genes, without the data. On a GPU,
    # checkpoints pass through memory, too. The time on a GPU is calculated, not measured: 6 minutes
    # for 3.7 GB on an H200. Ten times as much is for older ones. A CPU takes days.
    "paper": Needs(
        cpus=4, memory=10 << 30, memory_per_byte=1.5, seconds=900.0, seconds_per_gigabyte=1000.0
    ),
}

# Forward and backward products, and the passes over weights and momentum of each step, which are
# limited by memory. 142 s on u133 with preset small.
WORK = (
    "epochs * (train * (6 + 900 / batch) + 2 * validation) * (halves * landmarks * units "
    "+ halves * (layers - 1) * units ** 2 + units * targets)"
)


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
            bibtex=CHEN_2016,
            params=(
                *PARAMS,
                *training_params(
                    epochs={"tiny": 40, "small": 80, "paper": 200},
                    batch={"tiny": 20, "small": 50, "paper": 200},
                ),
            ),
            stochastic=True,
            devices=("cpu", "cuda"),
            needs=NEEDS,
            work=WORK,
        ),
    ]
