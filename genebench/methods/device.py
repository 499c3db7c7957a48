"""The device that a method runs on."""

from __future__ import annotations

from genebench.errors import UserError
from genebench.specs import MethodSpec


def resolve_device(wanted: str, method: MethodSpec) -> str:
    """The device a method will run on: CUDA when the method can, there is one, and it may.

    Raises:
        UserError: there is no CUDA device, and it is asked for or the method needs it.
    """
    if wanted != "cpu" and "cuda" in method.devices:
        import torch

        if torch.cuda.is_available():
            return "cuda"
        if wanted == "cuda":
            raise UserError("--device cuda: torch finds no CUDA device here; use auto or cpu")
    if "cpu" not in method.devices:
        raise UserError(f"{method.name} needs a CUDA device; leave it out here")
    return "cpu"
