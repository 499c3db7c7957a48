"""Records by name: keys, their starts, files, METHOD@PROTOCOL."""

from __future__ import annotations

import pytest

from genebench.errors import UserError
from genebench.results.naming import named
from genebench.results.store import ResultsStore

NOT_APPLICABLE = {"status": "not applicable", "reason": "needs arrays", "failure": None}


@pytest.fixture(scope="module")
def store(made_up, tmp_path_factory):
    store = ResultsStore(tmp_path_factory.mktemp("named") / "results")
    store.prepare()
    records = [
        made_up("lsr", {}, None),
        made_up("knn", {"k": 1}, None, protocol="gtex"),
        made_up("knn", {"k": 2}, None, protocol="gtex"),
    ]
    for record in records:
        store.write(record, {})
    return store


def key_of(store, method):
    return next(record.key for record in store.records() if record.identity.method == method)


def test_a_key_its_start_and_its_file_name_one_record(store):
    key = key_of(store, "lsr")
    for name in (key, key[:6], str(store.paths.record(key))):
        assert named(name, store.root).record.key == key


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("abcde", "no record of this name"),
        ("0123456789", "no record of this name"),
        ("lrs@geo", "Did you mean lsr"),
        ("lsr@gtex", "Did you mean geo"),
    ],
)
def test_a_name_of_nothing_is_refused_with_a_remedy(store, name, message):
    with pytest.raises(UserError, match=message):
        named(name, store.root)


@pytest.mark.parametrize("status", ["failed", "not applicable"])
def test_a_record_without_scores_has_a_name_too(made_up, tmp_path, genebench, status):
    store = ResultsStore(tmp_path / "results")
    store.prepare()
    none = {} if status == "failed" else NOT_APPLICABLE
    for protocol in ("geo", "gtex"):
        store.write(made_up("lsr", {}, None, protocol=protocol, **none), {})
    assert named("lsr@geo", store.root).record.status == status
    config = genebench("results", "config", "lsr@geo", "--results", store.root)
    assert (config.status, "[[runs]]" in config.out) == (0, True), config.err
    diff = genebench("results", "diff", "lsr@geo", "lsr@gtex", "--results", store.root)
    assert (diff.status, "protocol" in diff.out) == (0, True), diff.err
    with pytest.raises(UserError, match="lsr@geo: 1 result in"):
        named("lsr@geo", store.root, model=True)


def test_several_variants_are_listed_with_what_tells_them_apart(lsr_and_knn):
    with pytest.raises(UserError, match=r"2 results have this name.*\(k_max=(1|20)\)"):
        named("knn@geo", lsr_and_knn)
    assert named("lsr@geo", lsr_and_knn).record.identity.method == "lsr"


def test_only_records_with_a_model_are_meant_where_one_is_needed(lsr_and_knn):
    with pytest.raises(UserError, match=r"none of which has kept its model.*--keep-models"):
        named("lsr@geo", lsr_and_knn, model=True)
