"""Which methods run in a sealed process."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from genebench.confinement.policy import capability
from genebench.errors import UserError
from genebench.plugins.declarations import Declared
from genebench.plugins.discovery import SHIPPED
from genebench.plugins.registry import registry
from genebench.results.limits import LINE_LETTERS, cut
from genebench.results.record import Record, Seal, SealLevel
from genebench.specs import SealChoice


def as_stated(seal: Seal, methods: Iterable[str]) -> Seal:
    """Return the seal of a process, limited by what plugins of its methods run in this process.

    The module of a plugin that offers metrics, commands and the like was imported here, and could
    have changed how predictions are scored.
    """
    for method in methods:
        plugin = registry().methods.plugins[method]
        apart = plugin.distribution in SHIPPED or isinstance(plugin.module, Declared)
        if not apart and seal.level == "landlock":
            reason = (
                f"its plugin {plugin.name} offers more than methods and protocols, so its module "
                "runs where scores are made"
            )
            return seal.model_copy(update={"level": "view", "reason": reason})
    return seal


def with_members(seal: Seal, members: Iterable[Record]) -> Seal:
    """Return the seal of a result that is made of others: the weakest of all.

    Methods that genebench ships are trusted, as they are under ``auto``.

    Args:
        seal: the seal of its own process.
        members: the results that it is made of.
    """
    levels = get_args(SealLevel)
    for member in members:
        is_shipped = member.identity.code.distribution in SHIPPED
        if not is_shipped and levels.index(member.seal.level) > levels.index(seal.level):
            reason = cut(f"its member {member.identity.method}: {member.seal.reason}", LINE_LETTERS)
            seal = member.seal.model_copy(update={"reason": reason})
    return seal


def is_sealed(methods: Iterable[str], choice: SealChoice) -> bool:
    """Return whether methods run in a sealed process on this machine: all of them, or none.

    Args:
        methods: names of a method, and of those that it is made of.
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
    plugins = registry().methods.plugins
    shipped = all(plugins[method].distribution in SHIPPED for method in methods)
    return choice == "require" or not shipped
