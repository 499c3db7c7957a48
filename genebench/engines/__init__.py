"""Engines, as hooks: where jobs are executed."""

from __future__ import annotations

from genebench.hookspecs import CONTRACT, hookimpl
from genebench.specs import EngineSpec

genebench_contract = CONTRACT


@hookimpl
def genebench_engines() -> list[EngineSpec]:
    """The engine that is always there."""
    return [
        EngineSpec(
            name="local",
            title="jobs one after another in this process",
            code="genebench.engines.local:run",
        )
    ]
