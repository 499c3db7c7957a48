"""The environment of a process on a node: the same data, plugins and seal as here."""

from __future__ import annotations

import os

from genebench._util.subprocesses import import_path
from genebench.data.home import HOME, home
from genebench.plugins.files import FILES
from genebench.runs.claims import LOST_AFTER
from genebench.runs.jobs import Settings


def node_environment(settings: Settings) -> dict[str, str]:
    """Return the variables with which :mod:`genebench.engines.node` finds what is here.

    Paths are absolute. The nodes must see the same folders.

    Args:
        settings: how the jobs are executed.

    Raises:
        UserError: ``GENEBENCH_HOME`` names the home of a user that does not exist.
    """
    variables = {
        HOME: str(home().absolute()),
        "GENEBENCH_SEALED": settings.sealed,
        "PYTHONPATH": import_path(),
    }
    passed = {name: os.environ[name] for name in (FILES, LOST_AFTER) if name in os.environ}
    return variables | passed
