"""Choice of the device that a method runs on."""

from __future__ import annotations

from genebench.errors import UserError
from genebench.specs import MethodSpec


def resolve_device(wanted: str, method: MethodSpec) -> str:
    """Return the device that a method will run on, ``cpu`` or ``cuda``.

    It is CUDA if the method supports it, the machine has it, and the user did not ask for the CPU.

    Args:
        wanted: ``auto``, ``cpu`` or ``cuda``.
        method: the method's spec.

    Raises:
        UserError: CUDA is missing, and the user asks for it or the method needs it.
    """
    if wanted != "cpu" and "cuda" in method.devices:
        import torch

        if torch.cuda.is_available():
            return "cuda"
        if wanted == "cuda":
            raise UserError("--device cuda: torch finds no CUDA device. Use auto or cpu.")
    if "cpu" not in method.devices:
        raise UserError(
            f"{method.name} needs a CUDA device. Remove it from --methods, or use another machine."
        )
    return "cpu"
