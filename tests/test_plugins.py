"""Plugins: whatever one does wrong costs the user that plugin and nothing else."""

from __future__ import annotations

from genebench.plugins import discover

GOOD = """
from genebench import hookimpl
from genebench.specs import MethodSpec
genebench_contract = 1
@hookimpl
def genebench_methods():
    return [MethodSpec(name={name!r}, title="t", summary="s", code="{module}:M")]
"""


def plugin(discovered, name):
    return next(found for found in discovered.all if found.name == name)


def test_an_installed_plugin_is_found_and_its_methods_offered(install):
    install("good", GOOD.format(name="good-method", module="good"))
    found = discover()
    assert plugin(found, "good").error == ""
    assert "good-method" in [spec.name for spec, _ in found.specs("methods")]


def test_built_ins_register_through_the_same_hooks_and_all_work():
    assert discover().broken == []
