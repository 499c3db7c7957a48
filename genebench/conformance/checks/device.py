"""Whether a method runs on the devices that it declares."""

from __future__ import annotations

import sys

from genebench.conformance.base import NotApplicable, Violation
from genebench.conformance.check import check
from genebench.conformance.scores import mae
from genebench.conformance.subject import Subject

_SCORES_APART = 0.1
"""Of the MAE: rounding may send training another way, but not to another place."""


@check
def the_gpu_gives_what_the_cpu_gives(subject: Subject) -> None:
    """Fitted on CUDA it errs as much as fitted on the CPU."""
    if set(subject.spec.devices) != {"cpu", "cuda"}:
        raise NotApplicable("it declares one device")
    _check_cuda()
    test, cpu = subject.tests["geo"], subject.predictions["geo"]
    gpu = subject.predict(subject.fit(device="cuda")["geo"], test.landmarks)
    before, after = mae(test, cpu), mae(test, gpu)
    if abs(after - before) > _SCORES_APART * before:
        raise Violation(f"its MAE is {before:.3f} on the CPU and {after:.3f} on CUDA.")


@check
def the_cpu_is_enough_when_asked_for(subject: Subject) -> None:
    """Told to use the CPU, it leaves the GPU alone."""
    if "cpu" not in subject.spec.devices:
        raise NotApplicable("it does not run on the CPU")
    if "torch" not in sys.modules:
        raise NotApplicable("it does not use torch")
    _check_cuda()
    import torch

    torch.cuda.reset_peak_memory_stats()
    used = torch.cuda.memory_allocated()
    subject.predict_tests(subject.fit(device="cpu"))
    taken = torch.cuda.max_memory_allocated() - used
    if taken > 0:
        raise Violation(f"{taken} bytes of its memory are taken.")


def _check_cuda() -> None:
    import torch

    if not torch.cuda.is_available():
        raise NotApplicable("torch finds no CUDA device here")
