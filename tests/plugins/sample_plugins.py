"""Sample plugins, and how tests install and discover them."""

from __future__ import annotations

import os
import subprocess
import sys
from textwrap import dedent

from genebench.plugins.time_limit import LIMIT

GOOD = """
from genebench import hookimpl
from genebench.specs import MethodSpec
genebench_contract = 1
@hookimpl
def genebench_methods():
    return [MethodSpec(name={name!r}, title="t", summary="s", code="{module}:M")]
"""

START = """
from genebench import hookimpl
from genebench.specs import MethodSpec, MetricSpec
genebench_contract = 1
def method(name="sick-method"):
    return MethodSpec(name=name, title="t", summary="s", code="sick:M")
"""

OVERDUE = f"took more than 0.5 s to load. Set {LIMIT} to allow more seconds."


def plugin(discovered, name):
    return next(item for item in discovered.all if item.name == name)


def methods(discovered):
    return [spec.name for spec, _ in discovered.specs("methods")]


def install_sick(install, source):
    return install("sick", START + dedent(source))


def command(site, *arguments, **environment):
    """The command line in a process of its own, with ``site`` among its packages."""
    return subprocess.run(
        [sys.executable, "-c", "from genebench.cli import main; main()", *arguments],
        env=os.environ | {"PYTHONPATH": str(site)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
