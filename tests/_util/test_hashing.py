"""Keys: equal content gives equal keys everywhere, and nothing else matters."""

from __future__ import annotations

import importlib
import math
import sys
from collections import Counter
from dataclasses import dataclass, replace
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genebench import hookimpl, preprocessing
from genebench._util.hashing import KEY_LENGTH, canonical, code_digest, key_of
from genebench.plugins.manager import Plugins
from genebench.plugins.plugin import Plugin
from genebench.plugins.registry import Registry
from genebench.results.record import Code, Identity
from genebench.results.store import ResultsStore
from genebench.runs.plan import Request, make_plan
from genebench.specs import MethodSpec, Param, Part, ProtocolSpec

quick = settings(deadline=None, max_examples=80)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SCALARS = st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
CONTENT = st.recursive(
    SCALARS | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
PARAMS = st.dictionaries(st.from_regex(r"[a-z]{1,6}", fullmatch=True), SCALARS, max_size=5)


def identity(**changes):
    content = {
        "method": "m",
        "params": {"k": 3},
        "seed": 0,
        "protocol": "geo",
        "protocol_version": 1,
        "train": "geo/train",
        "validation": "geo/validation",
        "test": "geo/test",
        "data": "d1",
        "code": Code(distribution="dist", version="1.0", digest="c1"),
        "numerics": 1,
    }
    return Identity(**(content | changes))


def key(given_identity):
    return key_of(given_identity.model_dump())


# --- the canonical form ---------------------------------------------------------------------------


def reordered(content, shuffle):
    """The same content, every dict of it in another order."""
    if isinstance(content, dict):
        items = [(name, reordered(value, shuffle)) for name, value in content.items()]
        shuffle(items)
        return dict(items)
    if isinstance(content, list):
        return [reordered(value, shuffle) for value in content]
    return content


@quick
@given(CONTENT, st.randoms())
def test_the_order_of_dict_entries_does_not_matter(content, randoms):
    assert canonical(reordered(content, randoms.shuffle)) == canonical(content)


def typed(content):
    """Content in which ``1``, ``1.0`` and ``True`` differ, as they do for a parameter."""
    if isinstance(content, dict):
        return {name: typed(value) for name, value in content.items()}
    if isinstance(content, list):
        return [typed(value) for value in content]
    return (type(content).__name__, repr(content))


@quick
@given(CONTENT, CONTENT)
def test_different_content_has_different_keys(one, other):
    assert (key_of(one) == key_of(other)) == (typed(one) == typed(other))


def test_a_number_and_its_text_and_its_truth_have_different_keys():
    keys = Counter(key_of({"p": value}) for value in (1, 1.0, "1", True, "true", "1.0"))
    assert set(keys.values()) == {1}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_refused(value):
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical({"deep": [{"p": value}]})


@quick
@given(CONTENT)
def test_a_key_is_hex_of_a_fixed_length_and_the_canonical_form_is_ascii(content):
    made = key_of(content)
    assert len(made) == KEY_LENGTH
    assert set(made) <= set("0123456789abcdef")
    assert canonical(content).isascii()


def test_keys_are_the_same_on_every_machine_and_in_every_version():
    assert key_of({"b": [1, 2.5, "λ"], "a": True}) == "4a265030b0e55c6722ed4b41"


# --- what an evaluation's key depends on ----------------------------------------------------------


def test_an_identity_holds_exactly_what_a_result_depends_on():
    assert set(Identity.model_fields) == {
        "method", "params", "seed", "data", "code", "numerics",
        "protocol", "protocol_version", "train", "validation", "test", "splits", "members",
    }  # fmt: skip
    assert set(Code.model_fields) == {"distribution", "version", "digest"}


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "m2"},
        {"params": {"k": 4}},
        {"params": {"k": 3.0}},
        {"params": {"j": 3}},
        {"params": {}},
        {"seed": 1},
        {"protocol": "gtex"},
        {"protocol_version": 2},
        {"train": "geo/train/by-group"},
        {"validation": "1000g"},
        {"test": "gtex"},
        {"numerics": 2},
        {"splits": {"tissue": "s1"}},
        {"data": "d2"},
        {"code": Code(distribution="other", version="1.0", digest="c1")},
        {"code": Code(distribution="dist", version="1.1", digest="c1")},
        {"code": Code(distribution="dist", version="1.0", digest="c2")},
    ],
    ids=str,
)
def test_a_change_in_any_part_of_the_identity_changes_the_key(changes):
    assert key(identity(**changes)) != key(identity())


@quick
@given(PARAMS)
def test_an_identity_read_back_from_its_record_has_the_same_key(params):
    written = identity(params=params)
    read = Identity.model_validate_json(written.model_dump_json())
    assert key(read) == key(written)


@dataclass(frozen=True)
class FakeDataset:
    """What a plan reads of a dataset."""

    name: str = "data"
    digest: str = "d1"
    platforms: tuple[str, ...] = ("geo", "1000g", "gtex")


METHOD = MethodSpec(
    name="m",
    title="M",
    summary="s",
    code="m_code:M",
    params=(Param(name="k", default=3, help="h", presets={"small": 2}),),
    stochastic=True,
)
OTHER = replace(METHOD, name="other")
PROTOCOL = ProtocolSpec(
    name="p",
    title="P",
    summary="s",
    train=Part(platform="geo", split="train"),
    validation=Part(platform="geo", split="validation"),
    test=Part(platform="geo", split="test"),
)


def keys(  # noqa: PLR0917
    folder,
    method=METHOD,
    protocol=PROTOCOL,
    dataset=None,
    run_as="data",
    distribution="dist",
    version="1.0",
    **asked,
):
    """Keys of the evaluations of ``method``, when a plugin offers it and OTHER."""
    module = ModuleType("fake")
    module.genebench_contract = 1
    module.genebench_methods = hookimpl(lambda: [method, OTHER])
    module.genebench_protocols = hookimpl(lambda: [protocol])
    built_in = Plugin("splits", "genebench", "1.0", lambda: preprocessing)
    fake = Plugin("fake", distribution, version, lambda: module)
    registry = Registry(Plugins([built_in, fake]))
    request = Request(
        **({"methods": [method.name], "protocols": ["all"], "preset": "paper"} | asked)
    )
    plan = make_plan(request, dataset or FakeDataset(), run_as, registry, ResultsStore(folder))
    return [item.key for job, item in plan.evaluations if job.method.name == method.name]


@pytest.mark.parametrize(
    "changes",
    [
        {"method": replace(METHOD, name="m2")},
        {"overrides": {"m": {"k": "4"}}},
        {"preset": "small"},
        {"protocol": replace(PROTOCOL, name="p2")},
        {"protocol": replace(PROTOCOL, version=2)},
        {"dataset": FakeDataset(digest="d2")},
        {"distribution": "dist2"},
        {"version": "1.1"},
    ],
    ids=str,
)
def test_the_key_depends_on_method_parameters_protocol_data_and_plugin(tmp_path, changes):
    assert set(keys(tmp_path, **changes)).isdisjoint(keys(tmp_path))


def test_each_seed_has_a_key_of_its_own_and_more_seeds_leave_the_first_ones(tmp_path):
    one, three = keys(tmp_path), keys(tmp_path, seeds=3)
    assert three[:1] == one
    assert len(set(three)) == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"method": replace(METHOD, title="Another title", summary="x", reference="y")},
        {"method": replace(METHOD, devices=("cpu", "cuda"))},
        {"method": replace(METHOD, control=True)},
        {"protocol": replace(PROTOCOL, title="Another title", summary="x")},
        {"methods": ["m", "other"]},
        {"methods": ["other", "m"]},
        {"overrides": {"m": {"k": "3"}}},
        {"dataset": FakeDataset(name="renamed")},
        {"run_as": "alias"},
    ],
    ids=str,
)
def test_the_key_does_not_depend_on_names_for_display_or_on_the_command(tmp_path, changes):
    assert keys(tmp_path, **changes) == keys(tmp_path)


def test_the_key_does_not_depend_on_the_preset_when_the_parameters_are_the_same(tmp_path):
    small = keys(tmp_path, preset="small", overrides={"m": {"k": "3"}})
    assert small == keys(tmp_path, preset="paper")


def test_the_key_does_not_depend_on_the_results_folder(tmp_path):
    assert keys(tmp_path / "one") == keys(tmp_path / "two")


# --- the digest of code ---------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package on disk that must not be imported: folder, and its digest as it is now."""
    folder = tmp_path / "site" / "fragile_package"
    (folder / "inner").mkdir(parents=True)
    source = "raise RuntimeError('imported')\nx = 1\n"
    for name in ("__init__.py", "method.py", "inner/deep.py"):
        (folder / name).write_bytes(source.encode())
    monkeypatch.syspath_prepend(folder.parent)
    importlib.invalidate_caches()
    return folder


def digest(code="fragile_package.method:M"):
    """The digest as a new process would take it."""
    code_digest.cache_clear()
    return code_digest(code)


def test_the_digest_is_taken_without_importing_the_plugin(package):
    assert digest()
    assert "fragile_package" not in sys.modules


@pytest.mark.parametrize("name", ["__init__.py", "method.py", "inner/deep.py"])
def test_a_change_in_any_source_of_the_package_changes_its_digest(package, name):
    before = digest()
    source = package / name
    source.write_bytes(source.read_bytes().replace(b"x = 1", b"x = 2"))
    assert digest() != before


def test_a_new_a_removed_and_a_renamed_source_change_the_digest(package):
    digests = [digest()]
    (package / "new.py").write_text("")
    digests.append(digest())
    (package / "new.py").rename(package / "newer.py")
    digests.append(digest())
    (package / "method.py").unlink()
    digests.append(digest())
    assert len(set(digests)) == 4


def test_moving_code_from_one_source_to_another_changes_the_digest(package):
    (package / "a.py").write_text("x = 1\ny = 2\n")
    (package / "b.py").write_text("")
    before = digest()
    (package / "a.py").write_text("x = 1\n")
    (package / "b.py").write_text("y = 2\n")
    assert digest() != before


def test_what_is_no_source_does_not_matter(package):
    before = digest()
    (package / "notes.txt").write_text("x")
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "method.cpython-311.pyc").write_bytes(b"x")
    assert digest() == before


def test_the_style_of_line_ends_does_not_matter(package):
    before = digest()
    for source in package.rglob("*.py"):
        source.write_bytes(source.read_bytes().replace(b"\n", b"\r\n"))
    assert digest() == before


def test_every_module_of_a_package_gives_the_same_digest(package):
    assert digest("fragile_package.inner.deep:M") == digest("fragile_package:M")


def test_a_plugin_of_one_module_is_covered_by_that_module_alone(tmp_path, monkeypatch):
    (tmp_path / "lone_module.py").write_text("x = 1\n")
    (tmp_path / "neighbour.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = digest("lone_module:M")
    (tmp_path / "neighbour.py").write_text("x = 2\n")
    assert digest("lone_module:M") == before
    (tmp_path / "lone_module.py").write_text("x = 2\n")
    assert digest("lone_module:M") != before


def test_methods_of_genebench_are_covered_by_their_own_module():
    assert digest("genebench.methods.controls:TrainMean") == digest(
        "genebench.methods.controls:CopyTwin"
    )
    assert digest("genebench.methods.controls:TrainMean") != digest("genebench.protocols:GEO")


def test_a_changed_source_gives_the_methods_of_the_plugin_new_keys(package, tmp_path):
    method = replace(METHOD, code="fragile_package.method:M")
    code_digest.cache_clear()
    before = keys(tmp_path, method=method)
    (package / "inner" / "deep.py").write_text("x = 3\n")
    code_digest.cache_clear()
    assert keys(tmp_path, method=method) != before
