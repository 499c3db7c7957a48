"""Discovery: built-in modules and entry points, each found once."""

from __future__ import annotations

import pytest
from sample_plugins import GOOD, methods, plugin

from genebench.plugins.discovery import discover
from genebench.plugins.registry import Registry

pytestmark = pytest.mark.usefixtures("fresh_plugins")


def test_an_installed_plugin_is_found_and_its_methods_offered(install):
    install("good", GOOD.format(name="good-method", module="good"))
    plugins = discover()
    assert plugin(plugins, "good").error == ""
    assert "good-method" in methods(plugins)


def test_a_plugin_is_described_by_its_distribution_and_version(install):
    install("good", GOOD.format(name="good-method", module="good"), version="2.5", point="alias")
    described = plugin(discover(), "alias")
    assert (described.distribution, described.version) == ("good", "2.5")


def test_built_ins_register_through_the_same_hooks_and_all_work():
    assert discover().broken == []


def test_the_first_plugin_by_name_keeps_a_name_that_two_declare(install):
    install("second", GOOD.format(name="wanted", module="second"))
    install("first", GOOD.format(name="wanted", module="first"))
    plugins = discover()
    assert Registry(plugins).methods.plugins["wanted"].name == "first"
    assert plugin(plugins, "second").error == (
        "declares method 'wanted', which plugin first declares already. Rename it."
    )


def test_a_taken_entry_point_name_is_explained_in_a_readable_line(install):
    install("one", GOOD.format(name="one-method", module="one"), point="same")
    install("two", GOOD.format(name="two-method", module="two"), point="same")
    [broken] = discover().broken
    assert "same" in broken.error
    assert len(broken.error) < 200


def test_of_two_distributions_with_one_entry_point_name_the_first_stays(install):
    install("one", GOOD.format(name="one-method", module="one"), point="same")
    install("two", GOOD.format(name="two-method", module="two"), point="same")
    plugins = discover()
    assert [broken.distribution for broken in plugins.broken] == ["two"]
    assert "one-method" in methods(plugins)
    assert "two-method" not in methods(plugins)
