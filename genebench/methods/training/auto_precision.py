"""Choice of the precision under ``precision=auto``, made before the first step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

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
    if not has_matrix_units(device):
        return "float32", (f"precision=auto took float32: {device} has no units for bfloat16.",)
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


def has_matrix_units(device: str) -> bool:
    """Return whether a device multiplies bfloat16 matrices faster than those of float32.

    On a CPU that takes AMX. With the vector instructions of AVX-512 alone, products of 100 × 3877
    by 3877 × 7653 took 85 ms in bfloat16 and 55 ms in float32 (15 ms with AMX, one core of an Intel
    Xeon, torch 2.13.0).
    """
    if device == "cuda":
        is_recent = torch.cuda.get_device_capability()[0] >= _AMPERE
        return is_recent and torch.cuda.is_bf16_supported()
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    # New in torch 2.13, so older versions ask Linux.
    capabilities = getattr(torch.cpu, "get_capabilities", None)
    if capabilities is not None:
        return bool(capabilities().get("amx_bf16"))
    try:
        return "amx_bf16" in Path("/proc/cpuinfo").read_text("utf-8").split()
    except OSError:
        return False
