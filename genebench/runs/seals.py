"""Which methods run in a sealed process."""

from __future__ import annotations

from genebench.errors import UserError
from genebench.hookspecs import PROJECT
from genebench.plugins.registry import registry
from genebench.sealing.confinement import capability
from genebench.specs import SealChoice

SHIPPED = (PROJECT, "genebench-linear", "genebench-knn", "genebench-dgex", "genebench-ggan")
"""Distributions that genebench ships, whose methods ``auto`` does not seal."""


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
