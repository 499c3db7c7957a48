"""Choice of the precision under ``precision=auto``, made before the first step."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import inf
from time import perf_counter

import torch

from genebench.methods.training.batches import Batch
from genebench.methods.training.learner import Learner

TOLERANCES = {"predictions": 0.02, "loss": 0.02, "change of predictions": 0.15}
"""Most relative difference of one step in bfloat16 from the same in float32.

GGAN, D-GEX and the ablations have at most 0.006, 0.002 and 0.06 on real and simulated profiles.
With 300 added to every landmark, of which bfloat16 keeps whole even numbers, they have 0.7 or more.
"""
_AMPERE = 8
"""First generation of NVIDIA's compute capability that has matrix units for bfloat16."""
_LEAST_GAIN = 1.5
"""Least ratio of the seconds of a product in float32 to those in bfloat16, on a CPU.

It is 0.65 to 0.8 without units for bfloat16, and 3.6 or more with them. Beside products, a step
rounds and copies weights, for which a small ratio does not pay."""


def choose_precision(
    create: Callable[[str], Learner], batch: Batch, device: str
) -> tuple[str, tuple[str, ...]]:
    """Return ``bfloat16`` if it is fast on the device and near enough to float32.

    Args:
        create: function that makes the networks, with their first weights, in a precision.
        batch: training profiles for one step.
        device: ``cpu`` or ``cuda``.

    Returns:
        The precision, and a note that gives the reason if it is float32.
    """
    if not is_fast(device):
        return "float32", ("precision=auto took float32: bfloat16 is no faster on this processor.",)
    for name, difference in step_differences(create, batch).items():
        # Not "difference > …", which is false for NaN.
        if not difference <= TOLERANCES[name]:
            reason = f"relative difference of one bfloat16 step from float32 is {difference:.2g}"
            limit = f"The limit is {TOLERANCES[name]:g}."
            return "float32", (f"precision=auto took float32. {name}: {reason}. {limit}",)
    return "bfloat16", ()


def step_differences(create: Callable[[str], Learner], batch: Batch) -> dict[str, float]:
    """Return the relative differences of one step in bfloat16 from the same in float32.

    All random numbers of both steps are the same. Predictions are compared as their deviations from
    the mean over the profiles. A common offset would hide what bfloat16 loses.
    """
    # One after the other: two large networks may not fit into memory together.
    exact, rounded = (_step(create(precision), batch) for precision in ("float32", "bfloat16"))
    return {
        name: float(torch.dist(exact[name], rounded[name]) / exact[name].norm()) for name in exact
    }


def _step(learner: Learner, batch: Batch) -> dict[str, torch.Tensor]:
    landmarks, targets = batch
    learner.begin_epoch(1)
    with torch.no_grad():
        before = learner.predict(landmarks)
    loss = learner.step(landmarks, targets)["loss"]
    with torch.no_grad():
        change = learner.predict(landmarks) - before
    return {
        "predictions": before - before.mean(dim=0),
        "loss": loss.float(),
        "change of predictions": change - change.mean(dim=0),
    }


def is_fast(device: str) -> bool:
    """Return whether a device multiplies bfloat16 matrices clearly faster than those of float32.

    On CUDA the generation of the device decides. On a CPU one product is timed in both types,
    because the names of instructions do not tell the gain. One core of an Intel Xeon with AMX took
    55 ms for 100 × 3877 by 3877 × 7653 in float32 and 15 ms in bfloat16, and 85 ms in bfloat16 with
    AVX-512 alone. One core of an AMD EPYC (Zen 5) took 118 and 26 ms for 200 × 3877.
    """
    if device == "cuda":
        is_recent = torch.cuda.get_device_capability()[0] >= _AMPERE
        return is_recent and torch.cuda.is_bf16_supported()
    return _gain() >= _LEAST_GAIN


@cache
def _gain() -> float:
    """Return the ratio of the seconds of a product in float32 to those in bfloat16, on one core.

    With more threads, one that waits for a core would decide: beside another process, two threads
    gave 0.5 to 13 where one gave 3.9 to 4.0. The types take turns, so that a disturbance meets
    both. All fits of a process get the same answer. The trial takes 0.1 s.
    """
    types = torch.float32, torch.bfloat16
    factors = {
        dtype: (torch.ones(128, 1024, dtype=dtype), torch.ones(2048, 1024, dtype=dtype))
        for dtype in types
    }
    seconds = dict.fromkeys(types, inf)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for dtype in types * 6:
            start = perf_counter()
            torch.nn.functional.linear(*factors[dtype])
            seconds[dtype] = min(seconds[dtype], perf_counter() - start)
    finally:
        torch.set_num_threads(threads)
    return seconds[torch.float32] / seconds[torch.bfloat16]
