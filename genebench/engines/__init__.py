"""Engines, as hooks: where jobs are executed."""

from __future__ import annotations

from genebench.hookspecs import CONTRACT, hookimpl
from genebench.specs import EngineSpec

genebench_contract = CONTRACT


@hookimpl
def genebench_engines() -> list[EngineSpec]:
    """Return the engines that need nothing else. The first is the default."""
    return [
        EngineSpec(
            name="local",
            title="jobs one after another in this process",
            code="genebench.engines.local:run",
        ),
        EngineSpec(
            name="process",
            title="one after another in subprocesses, which can be stopped",
            code="genebench.engines.process:run",
            contains=True,
            limits=("time", "memory"),
        ),
    ]
