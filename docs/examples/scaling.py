"""Arithmetic of docs/scaling.md: operations, hours, memory, disk and money of large runs.

    python docs/examples/scaling.py

Change the assumptions, and run it again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, product

# Assumptions about one GPU. None was measured.
PEAK_FLOPS = 790e12
"""Operations per second of products in bfloat16."""
PEAK_BYTES = 4.3e12
"""Bytes per second between the GPU and its memory."""
USED = 0.5
"""Share of both that a training reaches."""
LEAST_STEP_SECONDS = 1e-3
"""Least time of a step: it starts about a hundred kernels."""
BESIDE_SECONDS = 60
"""Seconds of a job beside its steps: starting Python, reading the data, predicting, scoring."""
PRICE = 2.0
"""Price of a GPU hour, in any currency."""

CPU_FLOPS = 0.56e12
"""Operations per second of two cores in bfloat16, as measured (benchmarks/README.md)."""

# Sizes of the published data.
LANDMARKS, TARGETS = 943, 9_520
TRAINING, VALIDATION, PROFILES = 88_807, 11_101 + 462, 111_009 + 462 + 2_921
TESTED = {"geo": 11_101, "gtex": 2_921}
BATCH, L1000, SEEDS = 200, 1_300_000, 3
LAYERS, UNITS = (1, 2, 3), (3000, 6000, 9000)
DISCRIMINATOR = 3000 * (LANDMARKS + TARGETS + 1)


@dataclass(frozen=True)
class Method:
    """A method of the sweep.

    Attributes:
        title: its name.
        networks: networks, each for its share of the targets.
        has_adversary: whether there is a discriminator, and two passes of each batch.
        settings: settings of each architecture: rates of dropout, or points of the grid.
        epochs: epochs of a training.
        step_bytes: bytes that a step moves for each weight, in bfloat16.
        held_bytes: bytes that a training holds for each weight.
    """

    title: str
    networks: int
    has_adversary: bool
    settings: int
    epochs: int
    step_bytes: int
    held_bytes: int

    def model_weights(self, layers: int, units: int) -> int:
        """Return the weights of a model. Biases are left out."""
        sizes = [LANDMARKS, *[units] * layers, TARGETS // self.networks]
        return self.networks * sum(i * o for i, o in pairwise(sizes))

    def weights(self, layers: int, units: int) -> int:
        """Return the weights that are trained."""
        return self.model_weights(layers, units) + self.has_adversary * DISCRIMINATOR

    def step_flop(self, layers: int, units: int) -> float:
        """Return the operations of a step of one batch.

        A weight takes two operations in each of three products: forward, back, and its gradient.
        """
        weights = self.model_weights(layers, units)
        if self.has_adversary:
            # Two passes. The discriminator has eight products: for real and inferred profiles, and
            # once more, forward and back, for the generator.
            return 2 * BATCH * (2 * 3 * weights + 8 * DISCRIMINATOR)
        # Nothing is passed back to the landmarks.
        return 2 * BATCH * (3 * weights - self.networks * LANDMARKS * units)

    def epoch_flop(self, layers: int, units: int, profiles: int = TRAINING) -> float:
        """Return the operations of an epoch, with the predictions for the validation sets."""
        steps = -(-profiles // BATCH)
        return steps * self.step_flop(layers, units) + 2 * VALIDATION * self.model_weights(
            layers, units
        )

    def step_seconds(self, layers: int, units: int) -> float:
        """Return the seconds of a step: those of operations or of bytes, whichever is longer."""
        return max(
            self.step_flop(layers, units) / (USED * PEAK_FLOPS),
            self.step_bytes * self.weights(layers, units) / (USED * PEAK_BYTES),
            LEAST_STEP_SECONDS,
        )

    def hours(self, layers: int, units: int, profiles: int = TRAINING) -> float:
        """Return the GPU hours of a training, and of its job beside the steps."""
        steps = -(-profiles // BATCH)
        spent = self.epochs * steps * self.step_seconds(layers, units)
        return (spent + BESIDE_SECONDS) / 3600

    def memory(self, layers: int, units: int, profiles: int = TRAINING) -> float:
        """Return the bytes of GPU memory of a training that holds all its profiles there."""
        data = 4 * (profiles + VALIDATION) * (LANDMARKS + TARGETS)
        return data + self.held_bytes * self.weights(layers, units)

    @property
    def trainings(self) -> int:
        """Number of trainings of the sweep."""
        return len(LAYERS) * len(UNITS) * self.settings * SEEDS

    @property
    def sweep_hours(self) -> float:
        """GPU hours of the sweep."""
        return self.settings * SEEDS * sum(self.hours(*size) for size in product(LAYERS, UNITS))

    @property
    def sweep_flop(self) -> float:
        """Operations of the sweep."""
        one = sum(self.epochs * self.epoch_flop(*size) for size in product(LAYERS, UNITS))
        return self.settings * SEEDS * one


# Settings: dropout 0, 0.1 and 0.25, and GGAN's grid of dropout and two factors of the loss.
DGEX = Method(
    "D-GEX", networks=2, has_adversary=False, settings=3, epochs=200, step_bytes=18, held_bytes=10
)
GGAN = Method(
    "GGAN", networks=1, has_adversary=True, settings=27, epochs=500, step_bytes=30, held_bytes=14
)


def trainings() -> Iterator[str]:
    """Yield the table of single trainings."""
    yield "| training | weights (million) | PFLOP an epoch | ms a step | hours | GPU memory (GB) |"
    yield "|---|---|---|---|---|---|"
    for method, layers, units in product((DGEX, GGAN), LAYERS, UNITS):
        size = layers, units
        yield (
            f"| {method.title} {layers} × {units} | {method.weights(*size) / 1e6:.0f} "
            f"| {method.epoch_flop(*size) / 1e15:.3f} | {1e3 * method.step_seconds(*size):.1f} "
            f"| {method.hours(*size):.2f} | {method.memory(*size) / 1e9:.1f} |"
        )


def sweeps() -> Iterator[str]:
    """Yield the table of the sweep."""
    yield "| sweep | trainings | EFLOP | GPU hours | GPUs for a day | money | hours of two cores |"
    yield "|---|---|---|---|---|---|---|"
    rows = [(m.title, m.trainings, m.sweep_flop, m.sweep_hours) for m in (DGEX, GGAN)]
    rows.append(("both", *(sum(column) for column in list(zip(*rows, strict=True))[1:])))
    for title, number, flop, hours in rows:
        yield (
            f"| {title} | {number} | {flop / 1e18:.0f} | {hours:.0f} | {hours / 24:.1f} "
            f"| {hours * PRICE:,.0f} | {flop / CPU_FLOPS / 3600:,.0f} |"
        )


def disks() -> Iterator[str]:
    """Yield the table of the disk."""
    genes, number = LANDMARKS + TARGETS, DGEX.trainings + GGAN.trainings
    # Numbers of 8 bytes. For a gene: 5 metrics. For a profile: 5 metrics, and the shares of 2
    # metrics on 3 panels.
    vectors = sum(8 * (5 * TARGETS + 11 * profiles) for profiles in TESTED.values())
    # 4 kB, and about 100 and 175 bytes for each epoch in the curves.
    records = {DGEX: 2 * (4_000 + 100 * 200), GGAN: 2 * (4_000 + 175 * 500)}
    models = sum(
        method.settings * SEEDS * method.model_weights(*size)
        for method, *size in product((DGEX, GGAN), LAYERS, UNITS)
    )
    yield "| on disk | GB |"
    yield "|---|---|"
    for title, size in {
        f"dataset, {PROFILES:,} profiles": 4 * PROFILES * genes,
        "the same again, if it is cached in standardised form": 4 * PROFILES * genes,
        f"records of {number} trainings": sum(m.trainings * size for m, size in records.items()),
        "vectors of both protocols": number * vectors,
        "predictions, if they are kept": number * 4 * TARGETS * sum(TESTED.values()),
        # One for each protocol, in float32.
        "models, if they are kept": 2 * 4 * models,
    }.items():
        yield f"| {title} | {size / 1e9:,.1f} |"


def traffic(nodes: int = 10) -> Iterator[str]:
    """Yield the table of what the shared disk delivers."""
    data, number = 4 * PROFILES * (LANDMARKS + TARGETS), DGEX.trainings + GGAN.trainings
    yield "| read from the shared disk | GB |"
    yield "|---|---|"
    yield f"| {number} trainings, each of which reads all data | {number * data / 1e9:,.0f} |"
    yield f"| one copy on each of {nodes} nodes | {nodes * data / 1e9:,.0f} |"


def profiles() -> Iterator[str]:
    """Yield the table of 1.3 million profiles."""
    yield "| 1.3 million profiles | |"
    yield "|---|---|"
    yield f"| landmarks | {4 * L1000 * LANDMARKS / 1e9:.1f} GB |"
    yield f"| inferred targets | {4 * L1000 * TARGETS / 1e9:.1f} GB |"
    flop = 2 * L1000 * GGAN.model_weights(3, 9000)
    yield f"| inference by GGAN 3 × 9000 | {flop / 1e15:.2f} PFLOP |"
    yield f"| the same on the GPU | {flop / (USED * PEAK_FLOPS):.0f} s |"
    yield f"| memory of a training on all of them | {GGAN.memory(3, 9000, L1000) / 1e9:.0f} GB |"
    for method in (DGEX, GGAN):
        hours = method.hours(3, 9000, L1000)
        yield (f"| training {method.title} 3 × 9000 on all of them | {hours:.1f} GPU hours |")


if __name__ == "__main__":
    for table in (trainings, sweeps, disks, traffic, profiles):
        print(*table(), "", sep="\n")  # noqa: T201  the output of the script
