"""Labels of variants: short, and different for variants that differ."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genebench.analysis.variants import labels_of, variants_of
from genebench.plugins.registry import registry
from genebench.results.record import Identity

COMMON = {"distribution": "made-up", "version": "1.0", "digest": "0" * 16}


@pytest.fixture(scope="session")
def labels(made_up):
    """Return the labels of variants of one method, of their parameters."""

    def labels(*params):
        return labels_of([made_up("net", values) for values in params])

    return labels


def test_a_parameter_that_is_shown_alike_tells_nothing_apart(labels):
    assert labels({"lr": 0.1, "b": 1}, {"lr": 0.1, "b": 2}) == ["net (b=1)", "net (b=2)"]


def test_values_that_six_digits_do_not_tell_apart_are_shown_in_full(labels):
    found = labels({"lr": 0.12345678, "b": 1}, {"lr": 0.12345679, "b": 2}, {"lr": 0.5, "b": 2})
    assert found == ["net (lr=0.12345678)", "net (lr=0.12345679)", "net (lr=0.5)"]
    assert labels({"lr": 0.12345678}, {"lr": 0.5}) == ["net (lr=0.123457)", "net (lr=0.5)"]


def test_a_parameter_that_only_others_have_is_not_in_a_label(labels):
    assert labels({"b": 1}, {"b": 1, "layers": ()}) == ["net", "net (layers=)"]
    assert labels({}, {"b": 1}) == ["net", "net (b=1)"]


PARAMS = st.fixed_dictionaries(
    {
        "drop": st.booleans(),
        "lr": st.sampled_from([0.1, 0.12345678, 0.12345679, 0.123457]),
        "layers": st.sampled_from([(), (8,), (8, 4)]),
        "units": st.integers(0, 2),
    }
)


@given(
    st.lists(
        PARAMS, min_size=2, max_size=12, unique_by=lambda params: tuple(sorted(params.items()))
    )
)
@settings(max_examples=60)
def test_no_two_variants_share_a_label(labels, params):
    assert len(set(labels(*params))) == len(params)


def test_each_record_has_its_label_in_the_order_of_the_records(made_up):
    records = [
        made_up("net", {"units": 8}), made_up("lsr", {}), made_up("net", {"units": 4}),
        made_up("net", {"units": 8}, seed=1),
    ]  # fmt: skip
    assert labels_of(records) == ["net (units=8)", "lsr", "net (units=4)", "net (units=8)"]


def test_code_of_one_version_is_told_apart_by_its_digest(made_up):
    codes = [("1.0", "a"), ("1.0", "b"), ("2.0", "c")]
    records = [
        made_up("net", {}, code=COMMON | {"version": version, "digest": digest * 16})
        for version, digest in codes
    ]
    assert labels_of(records) == [
        "net (version 1.0, code aaaaaaa)", "net (version 1.0, code bbbbbbb)", "net (version 2.0)",
    ]  # fmt: skip


def test_labels_of_many_variants_compare_no_pairs_of_records(made_up, monkeypatch):
    records = [made_up("net", {"units": number}) for number in range(30)]
    asked = []
    setting = Identity.test_setting
    monkeypatch.setattr(Identity, "test_setting", lambda self: asked.append(self) or setting(self))
    assert len({variant.label for variant in variants_of(records, registry())}) == 30
    assert len(asked) <= 30
