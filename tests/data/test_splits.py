"""Splits of plugins: computed from the profile table, checked, and part of every key."""

from __future__ import annotations

import sys
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from genebench import api
from genebench._util.hashing import code_digest
from genebench.analysis.grouping import comparable
from genebench.analysis.recompute import recompute
from genebench.data.store import Dataset
from genebench.errors import UserError
from genebench.methods.moments import moments
from genebench.plugins.discovery import FILES, installed, use_files
from genebench.plugins.registry import registry
from genebench.preprocessing.splits import group_split, random_split
from genebench.results.record import Record
from genebench.results.store import ResultsStore
from genebench.specs import Part

BY_TISSUE = """
def by_tissue(profiles, seed):
    tissues = sorted(set(profiles["tissue"]))
    held_out = {tissues[0]: "validation", tissues[1]: "test"}
    return [held_out.get(tissue, "train") for tissue in profiles["tissue"]]
"""
PLUGIN = """
import genebench
from genebench.specs import Part, ProtocolSpec, SplitSpec

genebench_contract = 1

@genebench.hookimpl
def genebench_splits():
    return [SplitSpec(name="tissue", title="t", summary="s", code="tissues:by_tissue")]

@genebench.hookimpl
def genebench_protocols():
    train, validation, test = (
        Part(platform="geo", split=split, by="tissue") for split in ("train", "validation", "test")
    )
    return [
        ProtocolSpec(
            name="geo-tissue", title="t", summary="s",
            train=train, validation=validation, test=test, variant_of="geo",
        )
    ]
"""
REFUSING = """
from genebench.errors import UserError

def by_tissue(profiles, seed):
    raise UserError("add a column date")
"""
TRAIN = Part(platform="geo", split="train", by="tissue")


@pytest.fixture
def offer(tmp_path, monkeypatch):
    """offer(source): load a plugin file with this function, in place of an earlier one."""
    file = tmp_path / "tissues.py"

    def forget():
        monkeypatch.setenv(FILES, "")
        sys.modules.pop("tissues", None)
        for cached in (installed, registry, code_digest):
            cached.cache_clear()

    def offer(source=BY_TISSUE, plugin=PLUGIN):
        forget()
        file.write_text(plugin + source)
        use_files([file])
        return file

    yield offer
    forget()


@pytest.fixture
def opened(tiny):
    """The tiny dataset, opened anew: no split of it has been computed."""
    return Dataset(tiny.root)


def returning(value):
    return f"def by_tissue(profiles, seed):\n    return {value}\n"


# --- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", ["geo", "gtex"])
def test_any_platform_is_split_by_a_column_of_its_profile_table(offer, opened, platform):
    offer()
    tissues = {
        split: set(
            opened.profiles(Part(platform=platform, split=split, by="tissue")).profiles.tissue
        )
        for split in ("train", "validation", "test")
    }
    ordered = sorted(set(opened.profile_table(platform)["tissue"]))
    assert tissues == {
        "validation": {ordered[0]}, "test": {ordered[1]}, "train": set(ordered[2:]),
    }  # fmt: skip


def test_a_split_is_computed_once_with_the_seed_of_the_dataset(offer, opened):
    offer("calls = []\n" + returning("calls.append(seed) or ['train'] * len(profiles)"))
    opened.profiles(TRAIN)
    opened.profiles(TRAIN)
    assert sys.modules["tissues"].calls == [opened.split_seed]


@pytest.mark.parametrize(
    "how", ["np.array({})", "pd.Series({})", "pd.Categorical({})", "tuple({})"]
)
def test_a_split_may_return_any_kind_of_array(offer, opened, how):
    offer(
        "import numpy as np, pandas as pd\n"
        + returning(how.format("(['test', 'train', 'validation'] * len(profiles))[:len(profiles)]"))
    )
    assert Counter(opened.split("1000g", "tissue")) == {"test": 14, "train": 13, "validation": 13}


def test_a_split_cannot_change_the_profile_table(offer, opened):
    before = opened.profile_table("geo").copy()
    offer(
        "def by_tissue(profiles, seed):\n    profiles['split'] = 'test'\n"
        "    return profiles['split'].replace('test', 'train')\n"
    )
    opened.profiles(TRAIN)
    pd.testing.assert_frame_equal(opened.profile_table("geo"), before)


@pytest.mark.parametrize(("name", "split"), [("random", random_split), ("group", group_split)])
def test_built_in_splits_are_stored_for_geo_and_computed_for_other_platforms(tiny, name, split):
    for platform in ("geo", "gtex"):
        expected = split(tiny.profile_table(platform), tiny.split_seed)
        assert tiny.split(platform, name).tolist() == expected.tolist()


# --- faults ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        (returning("['train'] * 3"), r"returned 3 labels for the 400 profiles"),
        (returning("None"), r"returned None for the 400 profiles"),
        (
            returning("profiles['tissue'].map(lambda _: 'train')[::-1]"),
            r"returned a Series whose index is not that of the profile table",
        ),
        (returning("[['train', 'test']] * len(profiles)"), r"of shape \(400, 2\)"),
        (returning("['train'] * 399 + ['tset']"), "returned 'tset' for profile SIM-geo-000400 of"),
        (returning("['train'] * 399 + [None]"), "returned 'None' for profile SIM-geo-000400 of"),
        (returning("[0] * 400"), "returned '0' for profile SIM-geo-000001 of"),
        (returning("1 / 0"), "failed on platform geo: ZeroDivisionError: division by zero"),
        (returning("exit('enough')"), "failed on platform geo: SystemExit: enough"),
        (returning("profiles['date']"), "failed on platform geo: KeyError: 'date'"),
        ("by_tisue = 1", "failed on platform geo: AttributeError: .*'by_tissue'"),
        ("by_tissue = 1", "failed on platform geo: TypeError: .*not callable"),
        (
            REFUSING,
            "cannot split platform geo: add a column date$",
        ),
    ],
)
def test_a_fault_of_a_split_is_one_line_that_names_split_and_plugin(offer, opened, source, fault):
    offer(source)
    with pytest.raises(UserError, match=fault) as raised:
        opened.profiles(TRAIN)
    assert str(raised.value).startswith(f"dataset {opened.name}: split tissue of plugin tissues ")


def test_a_part_without_a_profile_is_refused(offer, opened):
    offer(returning("['train'] * len(profiles)"))
    with pytest.raises(
        UserError, match=r"split tissue puts no profile of platform geo into test\."
    ):
        opened.profiles(Part(platform="geo", split="test", by="tissue"))


def test_an_unknown_split_is_refused_with_near_misses(offer, opened):
    offer()
    with pytest.raises(UserError, match=r"unknown split 'tisue'. [Dd]id you mean tissue\?"):
        opened.profiles(Part(platform="geo", split="train", by="tisue"))


def test_a_protocol_with_an_unknown_split_is_refused_when_it_is_planned(offer, tiny, tmp_path):
    offer(plugin=PLUGIN.replace('by="tissue"', 'by="tisue"'))
    with pytest.raises(UserError, match=r"unknown split 'tisue'. [Dd]id you mean tissue\?"):
        api.run("train-mean", "geo-tissue", preset="tiny", results=tmp_path / "results")


def test_a_split_that_is_not_deterministic_is_refused_before_the_fit(offer, tiny, tmp_path):
    offer(
        "from random import SystemRandom\n"
        + returning("SystemRandom().choices(['train', 'validation', 'test'], k=len(profiles))")
    )
    with pytest.raises(UserError, match="Split tissue gave two different results for the same"):
        api.run("lsr", "geo-tissue", preset="tiny", results=tmp_path / "results")
    assert list(ResultsStore(tmp_path / "results").records()) == []


# --- caches ---------------------------------------------------------------------------------------


def test_the_fingerprint_of_profiles_depends_on_their_rows(tiny):
    parts = [Part(platform="geo", split=split) for split in ("train", "validation", None)]
    assert len({tiny.profiles(part).fingerprint for part in parts}) == 3


def test_a_changed_split_finds_no_moments_and_no_matrices_of_the_earlier_one(offer, tiny):
    def under(source):
        offer(source)
        profiles = Dataset(tiny.root).profiles(TRAIN, mmap=True)
        return profiles.cached("x"), moments(profiles), np.array(profiles.targets)

    halves = "['train' if number {} 200 else 'test' for number in range(len(profiles))]"
    path, first, targets = under(returning(halves.format("<")))
    other_path, second, other_targets = under(returning(halves.format(">=")))
    assert path != other_path
    assert len(targets) == len(other_targets) == first.n == second.n == 200
    assert not np.allclose(first.x_mean, second.x_mean)
    assert not np.allclose(targets, other_targets)
    again_path, again, again_targets = under(returning(halves.format("<")) + "# the same\n")
    assert again_path == path
    np.testing.assert_array_equal(again.x_mean, first.x_mean)
    np.testing.assert_array_equal(again_targets, targets)


# --- keys and records -----------------------------------------------------------------------------


@pytest.fixture
def ran(offer, tiny, genebench, tmp_path):
    """ran(source): ridge and the controls under the plugin's protocol; their records."""
    results = tmp_path / "results"

    def ran(source=BY_TISSUE, protocol="geo-tissue", *options):
        file = offer(source)
        done = genebench(
            "run", "--plugin", file, "--methods", "lsr-l2", "--preset", "tiny",
            "--protocol", protocol, "--results", results, "--quiet", *options,
        )  # fmt: skip
        assert done.status == 0, done.err
        return {record.key: record for record in ResultsStore(results).records()}

    return ran


def test_a_protocol_with_its_own_split_runs_from_one_file(ran, tiny):
    records = ran().values()
    tissues = Counter(tiny.profile_table("geo")["tissue"])
    first, second = sorted(tissues)[:2]
    [ridge] = (record for record in records if record.identity.method == "lsr-l2")
    assert ridge.status == "done"
    assert ridge.identity.train == "geo/train/by-tissue"
    assert ridge.profiles == {
        "train": 400 - tissues[first] - tissues[second],
        "validation": tissues[first],
        "test": tissues[second],
    }
    assert ridge.identity.splits.keys() == {"tissue"}
    assert ridge.provenance.plugins["tissues.py"].install == "file"


def test_another_code_of_a_split_gives_other_keys_and_the_same_code_the_same(ran):
    first = ran()
    assert ran().keys() == first.keys()
    other = BY_TISSUE.replace("tissues[0]", "tissues[2]")
    assert len(ran(other)) == 2 * len(first)


def test_another_column_of_the_profile_table_gives_other_keys(ran, tiny, monkeypatch):
    first = ran()
    monkeypatch.setattr(Dataset, "table_checksum", lambda *_: "of another table")
    assert len(ran()) == 2 * len(first)


def test_results_of_two_codes_of_a_split_stand_in_tables_of_their_own(ran):
    first = ran()
    both = ran(BY_TISSUE.replace("tissues[0]", "tissues[2]"))
    groups = {frozenset(record.key for record in group) for group in comparable(both.values())}
    assert groups == {frozenset(first), frozenset(both.keys() - first.keys())}


def test_a_built_in_split_leaves_no_trace_in_keys_and_records(ran):
    records = ran(protocol="geo").values()
    assert {len(record.identity.splits) for record in records} == {0}
    assert all("splits" not in record.identity.model_dump() for record in records)


def test_kept_predictions_are_not_scored_again_under_another_split(ran, tmp_path):
    records = ran(BY_TISSUE, "geo-tissue", "--keep-predictions")
    [ridge] = (record for record in records.values() if record.identity.method == "lsr-l2")
    results = ResultsStore(tmp_path / "results")
    assert isinstance(recompute(ridge, results, registry()), Record)
    ran(BY_TISSUE.replace("tissues[0]", "tissues[2]"))
    with pytest.raises(UserError, match="protocol geo-tissue has changed since"):
        recompute(ridge, results, registry())
