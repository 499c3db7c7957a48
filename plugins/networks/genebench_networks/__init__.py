"""Further networks: packed ensembles (TabM), trainable activations (TAAF), towers."""

from __future__ import annotations

from genebench import hookimpl
from genebench.specs import MethodSpec, Needs, Param
from genebench.training import training_params
from genebench_networks.references import GORISHNIY_2025, KUNC_2020, KUNC_2021, WEN_2020

genebench_contract = 1

ENSEMBLE = (
    Param(
        name="networks", default=32, minimum=1, maximum=1024,
        help="networks that share weights. Predictions are averaged",
        presets={"tiny": 4, "small": 8},
    ),
    Param(
        name="layers", default=2, minimum=1, maximum=10,
        help="hidden layers", presets={"tiny": 1, "small": 1},
    ),
    Param(
        name="units", default=3000, minimum=1,
        help="units of each hidden layer", presets={"tiny": 100},
    ),
    Param(
        name="activation", default="leaky", choices=("leaky", "relu", "tanh"),
        help="activation of hidden units (leaky: leaky ReLU of slope 0.2, as in GGAN)",
    ),
)  # fmt: skip
TOWERS = (
    Param(
        name="architecture", default="tower", choices=("tower", "checkerboard"),
        help="layers see the layer before of their own tower, or of the two towers next to it",
    ),
    Param(
        name="towers", default=4, minimum=1, maximum=1024,
        help="towers side by side", presets={"tiny": 3},
    ),
    Param(
        name="units", default=1500, minimum=1,
        help="units of each layer of a tower", presets={"tiny": 40, "small": 750},
    ),
    Param(
        name="layers", default=3, minimum=2, maximum=10,
        help="hidden layers of a tower", presets={"tiny": 2, "small": 2},
    ),
)  # fmt: skip
DENSE = (
    Param(
        name="units", default=3000, minimum=1,
        help="units of each hidden layer", presets={"tiny": 100},
    ),
    Param(
        name="layers", default=3, minimum=1, maximum=10,
        help="hidden layers", presets={"tiny": 1, "small": 1},
    ),
)  # fmt: skip
ADAPTIVE = (
    Param(
        name="activation", default="tanh", choices=("tanh", "sigmoid", "leaky", "none"),
        help="inner activation g of hidden units",
    ),
    Param(
        name="adaptive", default=True,
        help="train α, β, γ, δ of α g(βx + γ) + δ for each hidden unit (false: g alone)",
    ),
)  # fmt: skip
TRAINING = (
    Param(
        name="loss", default="l1", choices=("l1", "mse"),
        help="absolute or squared error, averaged over targets (and over members)",
    ),
    Param(
        name="dropout", default=0.25, minimum=0.0, maximum=0.95,
        help="share of landmarks and hidden units zeroed in each step", presets={"tiny": 0.1},
    ),
    Param(
        name="drop_input", default=True,
        help="apply dropout to landmarks too, not only to hidden units",
    ),
    Param(
        name="lr", default=5e-4, minimum=0.0,
        help="learning rate of the first epoch", presets={"tiny": 8e-3, "small": 1e-3},
    ),
    Param(
        name="lr_end", default=1e-5, minimum=0.0,
        help="learning rate of the last epoch, linear in between",
    ),
    Param(
        name="weight_decay", default=0.0, minimum=0.0,
        help="decay of weight matrices (AdamW), as a multiple of the learning rate",
    ),
    *training_params(
        epochs={"tiny": 40, "small": 80, "paper": 200},
        batch={"tiny": 40, "small": 50, "paper": 200},
    ),
)  # fmt: skip

# The time grows with epochs × profiles × genes, and so with the data. All values are those of the
# packed ensemble. The other methods are cheaper, and the first record of each lowers them.
NEEDS = {
    # For a laptop. Measured: 0.63 GB and 5 s for 0.2 MB of data.
    "tiny": Needs(
        cpus=1, memory=1 << 30, memory_per_byte=2.0, seconds=300.0, seconds_per_gigabyte=6000.0
    ),
    # For few CPUs. Measured on one: 1.4 GB for 378 profiles of 8,600 genes. A step took 0.46 s of
    # CPU time with precision=bfloat16, which is 280 s for each epoch and GB. In float32 it took 1.8
    # times as much.
    "small": Needs(
        cpus=2, memory=2 << 30, memory_per_byte=2.0, seconds=600.0, seconds_per_gigabyte=50000.0
    ),
    # For a GPU. On a CPU, at 10,463 genes and without the data, taaf took 1.8 GB and tower 2.5 GB.
    # The ensemble was not run. Its activations are 2.5 GB by calculation, and its weights, moments
    # and best epochs 1 GB. The time is calculated, too: 90 minutes for 3.7 GB on an H200. Six times
    # as much is for older ones.
    "paper": Needs(
        cpus=4, memory=8 << 30, memory_per_byte=1.5, seconds=900.0, seconds_per_gigabyte=9000.0
    ),
}


@hookimpl
def genebench_methods() -> list[MethodSpec]:
    """Return the packed ensemble, the network with TAAF, and towers."""
    return [
        _spec(
            "mlp-ensemble",
            "MLP ensemble",
            "packed networks that share weights, with rank-1 adapters for each (TabM)",
            code="MLPEnsemble",
            reference="Gorishniy et al. 2025 (TabM), Wen et al. 2020 (BatchEnsemble)",
            bibtex=f"{GORISHNIY_2025}\n\n{WEN_2020}",
            params=ENSEMBLE,
            passes="6 * networks",
        ),
        _spec(
            "taaf",
            "TAAF network",
            "fully connected, with four trained parameters in the activation of each unit",
            code="TAAFNetwork",
            reference="Kunc & Kléma 2021, in this project's reading",
            bibtex=KUNC_2021,
            params=(*DENSE, *ADAPTIVE),
        ),
        _spec(
            "tower",
            "Tower network",
            "narrow towers or a checkerboard of blocks, with trained activations",
            code="TowerNetwork",
            reference="Kunc & Kléma 2020, in this project's reading",
            bibtex=KUNC_2020,
            params=(*TOWERS, *ADAPTIVE),
            weights="towers * (landmarks * units + (layers - 1) * units ** 2 + units * targets)",
        ),
    ]


def _spec(
    name: str,
    title: str,
    summary: str,
    *,
    code: str,
    reference: str,
    bibtex: str,
    params: tuple[Param, ...],
    passes: str = "6",
    weights: str = "landmarks * units + (layers - 1) * units ** 2 + units * targets",
) -> MethodSpec:
    return MethodSpec(
        name=name,
        title=title,
        summary=summary,
        code=f"genebench_networks.method:{code}",
        reference=reference,
        bibtex=bibtex,
        params=(*params, *TRAINING),
        stochastic=True,
        devices=("cpu", "cuda"),
        needs=NEEDS,
        # Products, and the passes over weights of each step, which are limited by memory.
        work=f"epochs * train * ({passes} + 1200 / batch) * ({weights})",
    )
