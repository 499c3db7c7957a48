"""Time and memory of the relevance of landmarks in a densely connected network, and of captum.

The weights are random: time depends on shapes alone. The default is the published network, 3 × 9000
units between 943 landmarks and 9,520 targets, and the 2,921 profiles of GTEx. ``--groups`` adds
groups of targets, with one pass for each. ``--peer`` compares a fully connected ReLU network with
captum's ``LRP``, which computes the relevance of one output. The rule ``predict`` stands for the
prediction of all targets, to compare with.

Usage: ``python benchmarks/explain.py [--units 9000] [--profiles 2921] [--groups 0] [--threads 2]``
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from torch import nn

import genebench_ggan
from genebench._util.threads import cpu_count
from genebench.explaining.relevance import by_profile, by_target_group
from genebench.methods.propagation import network_relevance
from genebench_ggan.method import Generator
from genebench_ggan.network import dense_layers, layer_shapes


def generator(arguments: argparse.Namespace) -> Generator:
    """Return a densely connected generator with random weights."""
    [spec] = [each for each in genebench_ggan.genebench_methods() if each.name == "ggan"]
    params = {**spec.values("paper", {}), "layers": arguments.layers, "dense": True}
    random = torch.Generator().manual_seed(0)
    widths = [arguments.landmarks, *[arguments.units] * arguments.layers, arguments.targets]
    tensors = {}
    for layer, shape in enumerate(layer_shapes(widths, dense_layers(params))):
        bound = (6 / sum(shape)) ** 0.5
        tensors[f"weight.{layer}"] = torch.empty(shape).uniform_(-bound, bound, generator=random)
        tensors[f"bias.{layer}"] = torch.empty(shape[0]).uniform_(-0.1, 0.1, generator=random)
    return Generator(tensors, params, "cpu")


def report(name: str, work: Callable[[], float]) -> None:
    """Print seconds, processor seconds and peak memory of some work, and the number it returns."""
    start = time.perf_counter(), time.process_time()
    number = work()
    wall, processor = time.perf_counter() - start[0], time.process_time() - start[1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"{name:32} {wall:8.1f} {processor:12.1f} {peak:9.2f} {number:14.1e}", flush=True)


def against_captum(arguments: argparse.Namespace, landmarks: np.ndarray) -> None:
    """Compare LRP-ε of a fully connected ReLU network with captum's."""
    from captum.attr import LRP

    widths = [arguments.landmarks, *[arguments.units] * arguments.layers, 1]
    layers = [
        part for before, after in pairwise(widths) for part in (nn.Linear(before, after), nn.ReLU())
    ]
    network = nn.Sequential(*layers[:-1]).requires_grad_(False)
    found = []

    def ours() -> float:
        part = network_relevance(lambda x: network(x)[:, 0], landmarks, "lrp-epsilon")
        found.append(part.values)
        return float(np.abs(part.values.sum(1) + part.rest - part.output).max())

    def theirs() -> float:
        inputs = torch.tensor(landmarks, requires_grad=True)
        values = LRP(network).attribute(inputs, target=0).detach().numpy()
        return float(np.abs(values - found[0]).max())

    report("ours, ReLU, LRP-ε", ours)
    report("captum (last: difference)", theirs)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (
        ("landmarks", 943), ("targets", 9520), ("units", 9000), ("layers", 3), ("profiles", 2921),
        ("groups", 0), ("threads", cpu_count()), ("block", 256),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--rules", default="predict,lrp-epsilon")
    parser.add_argument("--peer", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    random = np.random.default_rng(0)
    shape = arguments.profiles, arguments.landmarks
    landmarks = random.standard_normal(shape).astype(np.float32)
    print(f"{'':32} {'wall s':>8} {'processor s':>12} {'peak GiB':>9} {'conservation':>14}")
    if arguments.peer:
        against_captum(arguments, landmarks)
        return
    model = generator(arguments)
    block = arguments.block

    def profiles(rule: str) -> float:
        return by_profile(model, landmarks, rule, block=block).conservation or 0.0

    def predicted() -> float:
        for start in range(0, len(landmarks), block):
            model.predict(landmarks[start : start + block])
        return 0.0

    for rule in arguments.rules.split(","):
        if rule == "predict":
            report(rule, predicted)
            continue
        report(f"by profile, {rule}", lambda rule=rule: profiles(rule))
    if arguments.groups:
        groups = np.arange(arguments.targets) % arguments.groups
        report(
            f"{arguments.groups} groups of targets, lrp-epsilon",
            lambda: by_target_group(model, landmarks, groups, block=block).conservation or 0.0,
        )


if __name__ == "__main__":
    main()
