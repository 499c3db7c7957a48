"""Checks that a method runs on the devices that it declares."""

from __future__ import annotations

import sys

from genebench.conformance.base import NothingToCheck, Violation
from genebench.conformance.check import check
from genebench.conformance.scores import mae
from genebench.conformance.subject import Subject

_MAE_TOLERANCE = 0.1
"""Share of the MAE on the CPU by which the MAE on CUDA may differ. Rounding changes the way that
training takes, but should not change how good its end is."""


@check
def gpu_matches_cpu(subject: Subject) -> None:
    """Have the same MAE after a fit on CUDA as on the CPU."""
    if set(subject.method.spec.devices) != {"cpu", "cuda"}:
        raise NothingToCheck("it declares one device")
    _check_cuda()
    fits = subject.fits
    test, cpu = fits.test_sets["geo"], fits.predictions["geo"]
    gpu = fits.predict(fits.again(device="cuda")["geo"], test.landmarks)
    before, after = mae(test, cpu), mae(test, gpu)
    if abs(after - before) > _MAE_TOLERANCE * before:
        raise Violation(f"its MAE is {before:.3f} on the CPU and {after:.3f} on CUDA.")


@check
def cpu_leaves_the_gpu_alone(subject: Subject) -> None:
    """Leave the GPU alone when the CPU is requested."""
    if "cpu" not in subject.method.spec.devices:
        raise NothingToCheck("it does not run on the CPU")
    if "torch" not in sys.modules:
        raise NothingToCheck("it does not use torch")
    _check_cuda()
    import torch

    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    subject.fits.predict_tests(subject.fits.again(device="cpu"))
    taken = torch.cuda.max_memory_allocated() - before
    if taken > 0:
        raise Violation(f"the method takes {taken} bytes of its memory.")


def _check_cuda() -> None:
    """Raise NothingToCheck if there is no CUDA device."""
    import torch

    if not torch.cuda.is_available():
        raise NothingToCheck("torch finds no CUDA device here")
