"""GGAN (Wang et al. 2018), and its ablations: networks with only some of its ingredients."""

from __future__ import annotations

from genebench import hookimpl
from genebench.specs import MethodSpec, Needs, Param
from genebench.training import training_params
from genebench_ggan.references import WANG_2018

genebench_contract = 1

NETWORK = (
    Param(
        name="layers", default=3, minimum=1, maximum=10,
        help="hidden layers", presets={"tiny": 1, "small": 1},
    ),
    Param(
        name="units", default=9000, minimum=1,
        help="units of each hidden layer", presets={"tiny": 100, "small": 3000},
    ),
    Param(
        name="dropout", default=0.1, minimum=0.0, maximum=0.95,
        help="share of landmarks and hidden units zeroed in each step",
        presets={"tiny": 0.1, "small": 0.25},
    ),
    Param(
        name="drop_input", default=True,
        help="apply dropout to landmarks too, not only to hidden units",
    ),
    Param(
        name="activation", default="leaky", choices=("leaky", "tanh"),
        help="activation of hidden units: leaky ReLU, or tanh as in D-GEX",
    ),
    Param(
        name="slope", default=0.2, minimum=0.0, maximum=1.0,
        help="slope of the leaky ReLU below zero",
    ),
    Param(
        name="norm", default="weight", choices=("weight", "none"),
        help="weight normalisation of every layer, or none",
    ),
)  # fmt: skip
DENSE = (
    Param(
        name="output_sees", default="all", choices=("all", "last"),
        help="layers that the output layer sees: landmarks and all hidden ones, or the last alone",
    ),
    Param(
        name="combine", default="concat", choices=("concat", "add"),
        help="how a layer sees several hidden layers: concatenated, with the landmarks, or added "
        "(without the landmarks)",
    ),
)  # fmt: skip
CONSISTENCY = (
    # With 10, on small data, the generator hardly responds to its input (README.md).
    Param(
        name="cons", default=10.0, minimum=0.0,
        help="weight λ of the consistency of two dropout passes (0: one pass, no consistency loss)",
        presets={"small": 0.1},
    ),
    Param(
        name="cons_gradient", default="both", choices=("both", "none"),
        help="passes that the consistency loss trains: both, or none (it is only reported)",
    ),
)  # fmt: skip
ADVERSARY = (
    Param(
        name="adv", default=1.0, minimum=0.0,
        help="weight λ of the adversarial loss (0: no discriminator)",
    ),
    Param(
        name="gan", default="ls", choices=("ls", "bce"),
        help="adversarial loss: least squares, or cross-entropy (non-saturating)",
    ),
    # As printed, the adversarial loss outweighs the absolute one on small data (README.md).
    Param(
        name="loss_scale", default="paper", choices=("paper", "batchmean", "mean", "l1sum"),
        help="scale of the adversarial loss: as printed (summed over the batch, while the others "
        "are summed over genes), averaged over the batch, or all averaged over both. l1sum: the "
        "absolute error alone is summed over the batch, and the others are averaged over it",
        presets={"small": "batchmean"},
    ),
    Param(
        name="disc_units", default=3000, minimum=1,
        help="hidden units of the discriminator", presets={"tiny": 50, "small": 1000},
    ),
    Param(
        name="disc_output", default="linear", choices=("linear", "leaky"),
        help="output of the discriminator: linear, or through a leaky ReLU of the same slope",
    ),
    Param(
        name="disc_rate", default=1.0, minimum=0.0,
        help="learning rate of the discriminator, as a multiple of the generator's",
        presets={"tiny": 1.0, "small": 0.1},
    ),
)  # fmt: skip
MASK = (
    Param(
        name="mask_start", default=0.1, minimum=0.001, maximum=1.0,
        help="share of target genes that the discriminator is shown in the first epoch",
    ),
    Param(
        name="mask_end", default=1.0, minimum=0.001, maximum=1.0,
        help="share of target genes that it is shown in the last epoch, linear in between",
    ),
    Param(
        name="mask_as_input", default=False,
        help="give the discriminator the mask as further inputs",
    ),
    Param(
        name="mask_refresh", default="step", choices=("step", "epoch"),
        help="draw a mask for each step, or one for all steps of an epoch",
    ),
)  # fmt: skip
# Learning rates, epochs and batch of the paper are those of §4.1.4.
TRAINING = (
    Param(
        name="optimiser", default="adam", choices=("adam", "sgd"),
        help="optimiser of the generator: Adam, or gradient descent as in D-GEX, with momentum 0.5 "
        "on the loss summed over targets (which needs a lower lr, about D-GEX's)",
    ),
    Param(
        name="lr", default=5e-4, minimum=0.0,
        help="learning rate of the first epoch", presets={"tiny": 8e-3, "small": 1e-3},
    ),
    Param(
        name="lr_end", default=1e-5, minimum=0.0,
        help="learning rate of the last epoch, linear in between",
    ),
    *training_params(
        epochs={"tiny": 40, "small": 80, "paper": 500},
        batch={"tiny": 40, "small": 50, "paper": 200},
    ),
)  # fmt: skip

# The time grows with epochs × profiles × genes, and so with the data. Ablations have the needs of
# GGAN, though most are cheaper. The first record of each lowers them.
NEEDS = {
    # For a laptop. Measured: 0.33 GB and 4 s for 0.2 MB of data.
    "tiny": Needs(
        cpus=1, memory=1 << 30, memory_per_byte=2.0, seconds=300.0, seconds_per_gigabyte=6000.0
    ),
    # For few CPUs. Measured on one: 1.1 GB for 378 profiles of 8,530 genes, and 280 to 480 s for
    # each epoch and GB, with those and with simulated profiles.
    "small": Needs(
        cpus=2, memory=2 << 30, memory_per_byte=2.0, seconds=600.0, seconds_per_gigabyte=50000.0
    ),
    # For a GPU. Memory was measured on a CPU: 11.5 GB at 10,463 genes without the data, of which
    # weights, moments and one best epoch are 8.6 GB. A second best epoch takes 2.1 GB. On a GPU,
    # checkpoints pass through memory, too. The time on a GPU is calculated, not measured: 34
    # minutes for 3.7 GB on an H200. Six times as much is for older ones. A CPU takes weeks.
    "paper": Needs(
        cpus=4, memory=20 << 30, memory_per_byte=1.5, seconds=900.0, seconds_per_gigabyte=3600.0
    ),
}


@hookimpl
def genebench_methods() -> list[MethodSpec]:
    """Return GGAN, fully connected GGAN, and the ablations of the latter."""
    return [
        _spec(
            "ggan",
            "GGAN",
            "densely connected: every layer sees the landmarks and all layers before it",
            (*DENSE, *CONSISTENCY, *ADVERSARY, *MASK),
            code="DenseGGAN",
        ),
        _spec("ggan-fc", "GGAN (fc)", "fully connected", (*CONSISTENCY, *ADVERSARY, *MASK)),
        _spec(
            "mlp-l1-cons-adv",
            "MLP L1 + cons + adv",
            "GGAN (fc) without the mask",
            (*CONSISTENCY, *ADVERSARY),
        ),
        _spec("mlp-l1-adv", "MLP L1 + adv", "absolute error and adversarial loss", ADVERSARY),
        _spec("mlp-l1-cons", "MLP L1 + cons", "absolute error and consistency loss", CONSISTENCY),
        _spec("mlp-l1", "MLP L1", "absolute error alone, otherwise as GGAN (fc)", ()),
        _spec(
            "mlp-mse", "MLP MSE", "squared error, otherwise as GGAN (fc)", (), code="SquaredError"
        ),
    ]


def _spec(
    name: str, title: str, summary: str, ingredients: tuple[Param, ...], *, code: str = "GGAN"
) -> MethodSpec:
    published = name.startswith("ggan")
    return MethodSpec(
        name=name,
        title=title,
        summary=summary,
        code=f"genebench_ggan.method:{code}",
        reference="Wang et al. 2018, §3 and §4.1.4" if published else "an ablation of GGAN",
        bibtex=WANG_2018,
        params=(*NETWORK, *ingredients, *TRAINING),
        stochastic=True,
        devices=("cpu", "cuda"),
        needs=NEEDS,
        work=_work(ingredients),
    )


def _work(ingredients: tuple[Param, ...]) -> str:
    """Return the operations of a fit: the products, and the passes over weights of each step.

    On u133 with preset small, GGAN took 295 s, and the absolute error alone 171 s.
    """
    names = {param.name for param in ingredients}
    weights = "landmarks * units + (layers - 1) * units ** 2 + units * targets"
    if "output_sees" in names:
        weights = (
            "landmarks * units + (layers - 1) * (landmarks + units * layers / 2) * units "
            "+ (landmarks + units * layers) * targets"
        )
    # A consistency loss takes a second pass.
    passes = "(1 + min(1, 1e9 * cons))" if "cons" in names else "1"
    generator = f"(6 * {passes} + 1200 / batch) * ({weights})"
    discriminator = ""
    if "adv" in names:
        discriminator = (
            " + min(1, 1e9 * adv) * (18 + 1200 / batch) * (landmarks + targets) * disc_units"
        )
    return f"epochs * train * ({generator}{discriminator})"
