"""The registry: specs by name, and help with unknown names."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genebench.errors import UserError, unknown
from genebench.plugins.registry import SpecRegistry, registry
from genebench.specs import MethodSpec

NAMES = ("lsr", "lsr-l2", "knn")


def method(name):
    return MethodSpec(name=name, title="t", summary="s", code="m:M")


REGISTRY = SpecRegistry("method", {name: method(name) for name in NAMES}, {})


def chosen(*names):
    return [spec.name for spec in REGISTRY.choose(names)]


def test_a_spec_is_found_by_its_name():
    assert REGISTRY.get("lsr-l2").name == "lsr-l2"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("lsrl2", "Did you mean lsr-l2 or lsr?"),
        ("kn", "Did you mean knn?"),
        ("zzz", "Known: knn, lsr, lsr-l2"),
    ],
)
def test_an_unknown_name_gets_near_misses_or_all_names(name, hint):
    with pytest.raises(UserError) as caught:
        REGISTRY.get(name)
    assert str(caught.value) == f"unknown method {name!r}. {hint}"


def test_a_long_list_of_known_names_is_cut():
    message = str(unknown("thing", "zzzzz", [f"name{number}" for number in range(50)]))
    assert message.endswith("…")
    assert message.count("name") == 12


def test_an_empty_registry_says_so():
    assert str(unknown("engine", "ray", [])) == "unknown engine 'ray'. There is no engine."


@settings(deadline=None)
@given(st.text())
def test_the_error_about_any_unknown_name_is_one_line(name):
    message = str(unknown("method", name, NAMES))
    assert len(message.splitlines()) == 1


def test_specs_are_chosen_in_the_order_given():
    assert chosen("knn", "lsr") == ["knn", "lsr"]


def test_a_name_given_twice_is_chosen_once():
    assert chosen("knn", "lsr", "knn") == ["knn", "lsr"]


def test_all_stands_for_every_spec():
    assert chosen("all") == list(NAMES)
    assert chosen("knn", "all") == ["knn", "lsr", "lsr-l2"]


def test_space_and_empty_names_between_commas_are_ignored():
    assert chosen(" knn ", "", " ", "lsr") == ["knn", "lsr"]


@pytest.mark.parametrize("names", [(), ("",), (" ", "")])
def test_choosing_nothing_is_refused_with_the_remedy(names):
    with pytest.raises(UserError, match=r"no method named\. Give names separated by commas"):
        REGISTRY.choose(names)


def test_one_unknown_name_among_others_is_refused():
    with pytest.raises(UserError, match="unknown method 'lsr2'"):
        REGISTRY.choose(["knn", "lsr2"])


KINDS = (
    "datasets", "splits", "protocols", "methods", "metrics", "engines", "reports", "reporters",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_the_registry_offers_built_ins_of_every_kind_and_knows_who_offers_each(kind):
    of_kind = getattr(registry(), kind)
    assert of_kind.specs
    assert of_kind.plugins.keys() == of_kind.specs.keys()
    for name, spec in of_kind.specs.items():
        assert spec.name == name
        assert spec in of_kind.plugins[name].offers[kind]


def test_the_registry_is_built_once():
    assert registry() is registry()


# --- names of training subsets --------------------------------------------------------------------


def test_a_protocol_with_a_size_is_found_by_its_name():
    protocols = registry().protocols
    assert protocols.get("gtex-n2000") == protocols.get("gtex").of_size(2000)
    chosen = protocols.choose(["geo-n50", "geo", "geo-n50"])
    assert [spec.name for spec in chosen] == ["geo-n50", "geo"]
    assert "geo-n50" not in protocols.specs


@pytest.mark.parametrize("name", ["goe-n50", "geo-n0", "geo-n", "geo-n5x"])
def test_an_unknown_protocol_with_a_size_is_refused(name):
    with pytest.raises(UserError, match="unknown protocol"):
        registry().protocols.get(name)


def test_a_second_size_of_a_protocol_is_refused():
    with pytest.raises(UserError, match="geo-n50 trains on 50 profiles already"):
        registry().protocols.get("geo-n50-n20")


def test_a_protocol_comes_before_its_subsets_and_these_before_the_next_protocol():
    names = ["gone-n5", "gtex", "geo-n50", "gtex-n5", "geo", "geo-n400", "gone"]
    assert sorted(names, key=registry().protocols.place) == [
        "geo", "geo-n400", "geo-n50", "gtex", "gtex-n5", "gone", "gone-n5",
    ]  # fmt: skip


def test_a_plugin_offers_the_subsets_of_its_protocols():
    protocols = registry().protocols
    assert protocols.plugin_of("geo-n50") is protocols.plugins["geo"]
    assert protocols.plugin_of("gone-n50") is None


def test_every_protocol_is_run_at_every_size():
    assert registry().protocols.sized_names(["geo", "gtex"], [20, " 50", "all"]) == [
        "geo-n20", "geo-n50", "geo", "gtex-n20", "gtex-n50", "gtex",
    ]  # fmt: skip
    assert registry().protocols.sized_names(["geo"], []) == ["geo"]


@pytest.mark.parametrize("size", ["", "0", "-5", "1e3", "2.5", "many", "9" * 5000])
def test_a_size_that_is_no_number_is_one_line(size):
    with pytest.raises(UserError, match="is no number of profiles"):
        registry().protocols.sized_names(["geo"], [size])


def test_a_protocol_that_names_its_size_takes_no_other():
    with pytest.raises(UserError, match="trains on 20 profiles already"):
        registry().protocols.sized_names(["geo-n20"], ["50"])
