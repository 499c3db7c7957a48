"""Which methods run in a sealed process."""

from __future__ import annotations

from genebench.confinement.policy import capability
from genebench.errors import UserError
from genebench.plugins.declarations import Declared
from genebench.plugins.discovery import SHIPPED
from genebench.plugins.registry import registry
from genebench.results.record import Seal
from genebench.specs import SealChoice


def as_stated(seal: Seal, method: str) -> Seal:
    """Return the seal of a method's process, limited by what its plugin runs in this process.

    The module of a plugin that offers metrics, commands and the like was imported here, and could
    have changed how predictions are scored.
    """
    plugin = registry().methods.plugins[method]
    apart = plugin.distribution in SHIPPED or isinstance(plugin.module, Declared)
    if apart or seal.level != "landlock":
        return seal
    reason = (
        f"its plugin {plugin.name} offers more than methods and protocols, so its module runs "
        "where scores are made"
    )
    return seal.model_copy(update={"level": "view", "reason": reason})


def is_sealed(method: str, choice: SealChoice) -> bool:
    """Return whether a method runs in a sealed process on this machine.

    Args:
        method: name of the method.
        choice: what the user asks for.

    Raises:
        UserError: a seal is required, and this machine cannot give it.
    """
    able = capability()
    if choice == "require" and able.level != "landlock":
        raise UserError(
            f"--sealed require: methods cannot be confined here ({able.reason}). Use another "
            "machine, or --sealed auto, which records what was possible."
        )
    if choice == "off" or able.level == "no":
        return False
    shipped = registry().methods.plugins[method].distribution in SHIPPED
    return choice == "require" or not shipped
