"""Faults of plugins while their code works: one line that names the plugin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from genebench.errors import UserError, describe
from genebench.hookspecs import PROJECT
from genebench.plugins.plugin import Plugin


@contextmanager
def blamed(plugin: Plugin, subject: str) -> Iterator[None]:
    """Turn any exception of a plugin's code into a UserError that names the plugin.

    A UserError passes, because the plugin found a mistake of the user. Exceptions of genebench's
    own plugins pass too: they are faults of genebench.

    Args:
        plugin: the plugin whose code runs.
        subject: the thing that the code works on, such as a file, and the code's role.
    """
    try:
        yield
    except (UserError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        if plugin.distribution == PROJECT:
            raise
        raise plugin_fault(plugin, subject, f"failed: {describe(error)}") from error


def plugin_fault(plugin: Plugin, subject: str, problem: str) -> UserError:
    """Return the error for a mistake in a plugin's code."""
    owner = plugin.name if plugin.file else f"{plugin.name} ({plugin.distribution})"
    return UserError(f"{subject} of plugin {owner} {problem}. Correct or uninstall the plugin.")
