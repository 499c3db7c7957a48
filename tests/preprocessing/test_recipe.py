"""The recipe, against an independent numpy reading of what was published."""

from __future__ import annotations

import gc
import hashlib
import time
from contextlib import suppress
from itertools import cycle

import numpy as np
import pandas as pd
import pytest

from genebench.data.store import DataStore
from genebench.data.verification import changed_cache_files, changed_files
from genebench.errors import UserError
from genebench.formats.base import Reader
from genebench.formats.flat import FlatRows
from genebench.formats.opening import open_reader
from genebench.preprocessing.compendium import Compendium, Platform
from genebench.preprocessing.recipe import prepare
from genebench.protocols import GEO_SERIES, GEO_SERIES_STRICT
from genebench.specs import Part


class FrameReader(Reader):
    """A reader of a matrix that a test made: genes × profiles, as files have it."""

    def __init__(self, frame: pd.DataFrame, source: str = "given") -> None:
        self.source = source
        self.frame = frame
        self.gene_ids = frame.index
        self.profiles = pd.DataFrame(index=frame.columns)

    def blocks(self, genes, size=3):
        values = self.frame.to_numpy().T[:, genes]
        for start in range(0, len(values), size):
            yield values[start : start + size]


LANDMARKS = pd.DataFrame(
    {"symbol": ["A", "B", "T"], "probes": ["a1", "b1", "t1"]}, index=["ENSG01", "ENSG02", "ENSG03"]
)
TARGETS = pd.DataFrame(
    {"symbol": ["C", "D", "T"], "probes": ["c1,c2,c3", "d1", "t2,t3"]},
    index=["ENSG04", "ENSG05", "ENSG03"],
)


@pytest.fixture
def make(tmp_path):
    random = np.random.default_rng(5)
    probes = ["t3", "a1", "c2", "b1", "unused", "c1", "d1", "t1", "c3", "t2"]
    geo = pd.DataFrame(
        random.normal(8, 2, (10, 12)).round(1), index=probes, columns=[f"p{i}" for i in range(12)]
    )
    counts = pd.DataFrame(
        random.poisson(2, (5, 4)).astype(float),
        index=["ENSG05.3", "ENSG01.12", "ENSG03", "ENSG04.1", "ENSG02"],
        columns=list("wxyz"),
    )

    def compendium(**changes):
        platforms = {
            "geo": Platform(reader=FrameReader(geo, "geo.tsv"), ids="probe"),
            "gtex": Platform(reader=FrameReader(counts, "gtex.tsv"), ids="ensembl"),
        }
        defaults = {
            "name": "made", "title": "made", "landmarks": LANDMARKS, "targets": TARGETS,
            "platforms": platforms,
        }  # fmt: skip
        return Compendium(**(defaults | changes))

    compendium.geo, compendium.counts = geo, counts
    compendium.store = DataStore(tmp_path)
    return compendium


def by_hand(geo: pd.DataFrame, counts: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Steps 2 to 4 of the recipe as the paper's code does them, one value at a time."""
    rows = [["a1"], ["b1"], ["t1"], ["c1", "c2", "c3"], ["d1"], ["t2", "t3"]]
    genes = np.array([geo.loc[probes].mean(axis=0) for probes in rows])
    reference = np.sort(genes, axis=0).mean(axis=1)
    ranks = pd.DataFrame(genes).rank(axis=0, method="average").to_numpy()
    array = np.array([[reference[int(rank - 1)] for rank in row] for row in ranks])
    order = ["ENSG01", "ENSG02", "ENSG03", "ENSG04", "ENSG05", "ENSG03"]
    sequenced = counts.set_axis([name.split(".")[0] for name in counts.index]).loc[order].to_numpy()
    mapped = np.empty_like(sequenced)
    for column in range(sequenced.shape[1]):
        distinct = sorted(set(sequenced[:, column]))
        for row in range(len(order)):
            place = distinct.index(sequenced[row, column])
            mapped[row, column] = reference[int((place + 1.0) / len(distinct) * len(order)) - 1]
    return array.T, mapped.T


def test_the_store_holds_what_the_recipe_gives_by_hand(make):
    dataset = prepare(make(), store=make.store)
    geo, gtex = by_hand(make.geo, make.counts)
    np.testing.assert_allclose(dataset.expression("geo"), geo, atol=1e-5)
    np.testing.assert_allclose(dataset.expression("gtex"), gtex, atol=1e-5)
    for platform, expected in (("geo", geo), ("gtex", gtex)):
        mean, std = dataset.statistics(platform)
        np.testing.assert_allclose(mean, expected.mean(axis=0), atol=1e-6)
        np.testing.assert_allclose(std, expected.std(axis=0), atol=1e-6)


@pytest.mark.parametrize("seed", [-1, 2**32, 10**50])
def test_a_seed_beyond_the_generator_is_refused(make, seed):
    with pytest.raises(UserError, match=r"made: split_seed is .* from 0 to 4,294,967,295"):
        prepare(make(split_seed=seed), store=make.store)


def test_strict_parts_know_the_training_profiles_only(make):
    """The same recipe by hand, its quantiles and statistics from the training profiles."""
    dataset = prepare(make(), store=make.store)
    training = dataset.profile_table("geo").query("split == 'train'").index
    rest = [profile for profile in make.geo.columns if profile not in training]
    geo, gtex = by_hand(make.geo[training], make.counts)
    mean, std = geo.mean(axis=0), geo.std(axis=0)
    for part, expected in (
        (Part(platform="geo", split="train", statistics="train"), geo),
        (Part(platform="gtex", statistics="train"), gtex),
    ):
        profiles = dataset.profiles(part)
        values = np.hstack([profiles.landmarks, profiles.targets])
        np.testing.assert_allclose(values, (expected - mean) / (std + 1e-3), atol=1e-3)
    # Whatever happens to the other profiles, a strict training part stays as it is.
    spoilt = make.geo.copy()
    spoilt[rest] = spoilt[rest] ** 2
    geo = Platform(reader=FrameReader(spoilt), ids="probe", level="any")
    platforms = dict(make().platforms) | {"geo": geo}
    other = prepare(make(platforms=platforms), name="spoilt", store=make.store)
    for statistics, same in (("train", True), ("platform", False)):
        part = Part(platform="geo", split="train", statistics=statistics)
        pair = [made.profiles(part).targets for made in (dataset, other)]
        assert np.allclose(*pair, atol=1e-3) is same, statistics


def forty(changed=()) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return 40 arrays of 10 series without ties, and their table.

    Args:
        changed: arrays that get other values than without it.
    """
    random = np.random.default_rng(11)
    names = [f"p{number}" for number in range(40)]
    probes = ["t3", "a1", "c2", "b1", "unused", "c1", "d1", "t1", "c3", "t2"]
    geo = pd.DataFrame(random.normal(8, 2, (10, 40)), index=probes, columns=names)
    geo[list(changed)] = geo[list(changed)] ** 1.1 + random.normal(0, 1, (10, len(changed)))
    table = pd.DataFrame({"series": [f"s{number % 10}" for number in range(40)]}, index=names)
    return geo, table.assign(tissue=["liver", "lung", "skin", "skin"] * 10)


def with_arrays(make, geo, table, **changes):
    platform = Platform(reader=FrameReader(geo), ids="probe", profiles=table, group="series")
    return make(platforms=dict(make().platforms) | {"geo": platform}, **changes)


def strict_by_hand(geo: pd.DataFrame, training: list[str]) -> pd.DataFrame:
    """Return genes × arrays, in quantiles, means and deviations of the training arrays only."""
    rows = [["a1"], ["b1"], ["t1"], ["c1", "c2", "c3"], ["d1"], ["t2", "t3"]]
    genes = pd.DataFrame([geo.loc[row].mean() for row in rows])
    reference = np.sort(genes[training].to_numpy(), axis=0).mean(axis=1)
    ranked = genes.rank(axis=0).astype(int) - 1
    normal = ranked.apply(lambda ranks: reference[ranks])
    mean, std = normal[training].mean(axis=1), normal[training].std(axis=1, ddof=0)
    return normal.sub(mean, axis=0).div(std + 1e-3, axis=0)


def standardised(dataset, part):
    profiles = dataset.profiles(part)
    values = np.hstack([profiles.landmarks, profiles.targets])
    return pd.DataFrame(values.T, columns=profiles.profiles.index)


def test_geo_series_strict_takes_quantiles_and_statistics_from_the_training_series(make):
    geo, table = forty()
    dataset = prepare(with_arrays(make, geo, table), store=make.store)
    split = dataset.profile_table("geo")["group_split"]
    expected = strict_by_hand(geo, list(split[split == "train"].index))
    for part in GEO_SERIES_STRICT.parts:
        values = standardised(dataset, part)
        assert set(split[values.columns]) == {part.split}
        np.testing.assert_allclose(values, expected[values.columns], atol=1e-5)


def test_no_value_of_another_series_changes_what_geo_series_strict_trains_on(make):
    geo, table = forty()
    dataset = prepare(with_arrays(make, geo, table), store=make.store)
    split = dataset.profile_table("geo")["group_split"]
    spoilt, _ = forty(changed=split[split == "test"].index)
    other = prepare(with_arrays(make, spoilt, table, name="spoilt"), store=make.store)
    assert other.digest != dataset.digest
    for part, same in ((GEO_SERIES_STRICT.train, True), (GEO_SERIES_STRICT.validation, True),
                       (GEO_SERIES_STRICT.test, False), (GEO_SERIES.train, False)):  # fmt: skip
        assert standardised(dataset, part).equals(standardised(other, part)) is same, part


def test_a_dataset_of_an_earlier_version_must_be_prepared_again_for_strict_series_only(make):
    compendium = with_arrays(make, *forty())
    dataset = prepare(compendium, store=make.store)
    expected = standardised(dataset, GEO_SERIES_STRICT.test)
    [stored] = dataset.root.glob("reference.group-*.npy")
    stored.unlink()
    earlier = make.store.open("made")
    standardised(earlier, GEO_SERIES.test)
    with pytest.raises(
        UserError, match=r"^dataset made: .* split group\. .* prepare --force\. .* keys stay\.$"
    ):
        earlier.profiles(GEO_SERIES_STRICT.test)
    again = prepare(compendium, store=make.store)
    assert again.digest == dataset.digest
    assert standardised(again, GEO_SERIES_STRICT.test).equals(expected)


BY_TISSUE = """
from genebench import hookimpl
from genebench.specs import Part, ProtocolSpec, SplitSpec

genebench_contract = 1

def by_tissue(profiles, seed):
    return profiles["tissue"].map({"liver": "test", "lung": "validation"}).fillna("train")

@hookimpl
def genebench_splits():
    return [SplitSpec(name="tissue", title="t", summary="s", code="tissues:by_tissue")]

@hookimpl
def genebench_protocols():
    parts = {
        name: Part(platform="geo", split=split, by="tissue", statistics="train")
        for name, split in (("train", "train"), ("validation", "validation"), ("test", "test"))
    }
    return [ProtocolSpec(name="geo-tissue", title="t", summary="s", **parts)]
"""


def test_the_training_quantiles_of_a_plugins_split_are_stored_by_preparation(make, plugin_file):
    geo, table = forty()
    part = Part(platform="geo", split="test", by="tissue", statistics="train")
    before = prepare(with_arrays(make, geo, table), store=make.store)
    plugin_file("tissues", BY_TISSUE)
    with pytest.raises(UserError, match=r"from the training profiles of split tissue\. "):
        make.store.open("made").profiles(part)
    dataset = prepare(with_arrays(make, geo, table), store=make.store)
    assert dataset.digest == before.digest
    expected = strict_by_hand(geo, list(table[table["tissue"] == "skin"].index))
    values = standardised(dataset, part)
    assert set(table.loc[values.columns, "tissue"]) == {"liver"}
    np.testing.assert_allclose(values, expected[values.columns], atol=1e-5)
    # Without the column, this protocol cannot run. Everything else can.
    plain = prepare(with_arrays(make, geo, table[["series"]], name="plain"), store=make.store)
    standardised(plain, GEO_SERIES_STRICT.test)
    with pytest.raises(UserError, match="split tissue of plugin tissues"):
        plain.profiles(part)


def test_another_platform_is_standardised_by_its_own_training_groups(make):
    random = np.random.default_rng(2)
    names = [f"r{number}" for number in range(24)]
    counts = pd.DataFrame(
        random.poisson(9, (5, 24)).astype(float), index=make.counts.index, columns=names
    )
    donors = pd.DataFrame({"donor": [f"d{number % 12}" for number in range(24)]}, index=names)

    def prepared(counts, name):
        gtex = Platform(reader=FrameReader(counts), ids="ensembl", profiles=donors, group="donor")
        platforms = dict(make().platforms) | {"gtex": gtex}
        return prepare(make(name=name, platforms=platforms), store=make.store)

    train, test = (
        Part(platform="gtex", split=split, by="group", statistics="train")
        for split in ("train", "test")
    )
    dataset = prepared(counts, "donors")
    training = list(dataset.profiles(train).profiles.index)
    tested = list(dataset.profiles(test).profiles.index)
    assert set(donors.loc[training, "donor"]).isdisjoint(donors.loc[tested, "donor"])
    _, normal = by_hand(make.geo, counts)
    normal = pd.DataFrame(normal.T, columns=names)
    mean, std = normal[training].mean(axis=1), normal[training].std(axis=1, ddof=0)
    expected = normal.sub(mean, axis=0).div(std + 1e-3, axis=0)
    for part in (train, test):
        values = standardised(dataset, part)
        np.testing.assert_allclose(values, expected[values.columns], atol=1e-4)
    spoilt = counts.copy()
    spoilt[tested] = spoilt[tested].to_numpy()[::-1] ** 2
    other = prepared(spoilt, "other")
    assert standardised(other, train).equals(standardised(dataset, train))
    assert not standardised(other, test).equals(standardised(dataset, test))


def test_statistics_of_training_profiles_are_kept_in_a_sound_cache_file(make):
    dataset = prepare(with_arrays(make, *forty()), store=make.store)
    expected = standardised(dataset, GEO_SERIES_STRICT.test)
    [cached] = (dataset.root / "cache").glob("*.statistics")
    assert changed_cache_files(dataset) == []
    written = cached.stat().st_mtime_ns
    assert standardised(make.store.open("made"), GEO_SERIES_STRICT.test).equals(expected)
    assert cached.stat().st_mtime_ns == written
    content = bytearray(cached.read_bytes())
    content[5] ^= 1
    cached.write_bytes(content)
    assert standardised(make.store.open("made"), GEO_SERIES_STRICT.test).equals(expected)
    assert cached.stat().st_mtime_ns != written
    assert changed_cache_files(dataset) == []


def test_series_are_in_one_part_only_and_a_dataset_without_groups_says_so(make):
    series = pd.DataFrame({"series": list("aaabbbccddee")}, index=make.geo.columns)
    geo = Platform(reader=FrameReader(make.geo), ids="probe", profiles=series, group="series")
    dataset = prepare(make(platforms=dict(make().platforms) | {"geo": geo}), store=make.store)
    seen = [
        set(dataset.profiles(part).profiles["group"])
        for part in (GEO_SERIES.train, GEO_SERIES.validation, GEO_SERIES.test)
        if (dataset.profile_table("geo")["group_split"] == part.split).any()
    ]
    assert sum(map(len, seen)) == len(set.union(*seen)) == 5
    plain = prepare(make(), name="plain", store=make.store)
    with pytest.raises(UserError, match=r"plain: split group .* platform geo: .* no column group"):
        plain.profiles(GEO_SERIES.train)


def test_a_gene_that_a_platform_lacks_is_dropped_and_reported(make):
    lacking = make.counts.drop(index="ENSG05.3")
    platforms = dict(make().platforms) | {
        "gtex": Platform(reader=FrameReader(lacking), ids="ensembl")
    }
    dataset = prepare(make(platforms=platforms), store=make.store)
    assert list(dataset.target_genes.index) == ["ENSG04", "ENSG03"]
    assert dataset.expression("geo").shape == (12, 5)
    assert dataset.info["platforms"]["gtex"]["coverage"]["targets"]["missing"] == ["ENSG05"]


def test_a_missing_gene_is_an_error_when_the_manifest_says_so(make):
    lacking = make.counts.drop(index="ENSG05.3")
    platforms = dict(make().platforms) | {
        "gtex": Platform(reader=FrameReader(lacking, "gtex.tsv"), ids="ensembl")
    }
    with pytest.raises(UserError, match=r"gtex.tsv: 1 genes.*ENSG05.*missing_genes"):
        prepare(make(platforms=platforms, missing_genes="error"), store=make.store)
    assert make.store.names() == []


def test_the_digest_is_of_the_content_not_of_names_or_order_of_rows_in_files(make):
    first = prepare(make(), store=make.store)
    shuffled = Platform(reader=FrameReader(make.geo.sample(frac=1, random_state=1)), ids="probe")
    platforms = {"gtex": make().platforms["gtex"], "geo": shuffled}
    again = prepare(make(title="other", platforms=platforms), name="other", store=make.store)
    assert again.digest == first.digest


@pytest.mark.parametrize("what", ["value", "split", "group", "profile", "gene"])
def test_the_digest_changes_with_any_part_of_the_content(make, what):
    before = prepare(make(), store=make.store).digest
    changed = make.geo.copy()
    changes = {}
    if what == "value":
        changed.iloc[1, 0] += 3.0
    if what == "profile":
        changed = changed.rename(columns={"p0": "q0"})
    if what == "split":
        changes["split_seed"] = 1
    if what == "gene":
        changes["landmarks"] = LANDMARKS.rename(index={"ENSG02": "ENSG05"})
    geo = Platform(reader=FrameReader(changed), ids="probe")
    if what == "group":
        series = pd.DataFrame({"series": ["s"] * 12}, index=changed.columns)
        geo = Platform(reader=FrameReader(changed), ids="probe", profiles=series, group="series")
    platforms = dict(make().platforms) | {"geo": geo}
    after = prepare(make(platforms=platforms, **changes), name="after", store=make.store)
    assert after.digest != before


def test_preparing_again_replaces_the_dataset_and_leaves_nothing_else(make):
    prepare(make(), store=make.store)
    latest = prepare(make(split_seed=4), store=make.store)
    folder = make.store.root / "made"
    assert sorted(path.name for path in folder.iterdir()) == sorted(["current", latest.digest])
    assert make.store.open("made").digest == latest.digest


def test_an_interrupted_preparation_leaves_the_earlier_dataset_in_force(make):
    earlier = prepare(make(), store=make.store)

    def interrupt(done, total, message):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(make(split_seed=4), store=make.store, progress=interrupt)
    assert make.store.open("made").digest == earlier.digest
    assert len(list((make.store.root / "made").iterdir())) == 2


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("number", [1, 3])
def test_neither_threads_nor_the_size_of_blocks_change_a_bit(make, monkeypatch, rows, number):
    expected = prepare(make(), store=make.store)
    monkeypatch.setattr("genebench.preprocessing.recipe.RANKED_AT_ONCE", rows)
    monkeypatch.setattr("genebench._util.threads.cpu_count", lambda: number)
    again = prepare(make(), name="again", store=make.store)
    assert again.digest == expected.digest
    for platform in ("geo", "gtex"):
        np.testing.assert_allclose(
            again.statistics(platform), expected.statistics(platform), rtol=1e-12
        )


@pytest.mark.parametrize("sizes", [[1], [2, 3], [3, 1, 2], [12]])
@pytest.mark.parametrize("rule", ["keep", "exact"])
def test_blocks_may_be_shorter_than_was_asked(make, monkeypatch, sizes, rule):
    make.geo["p2"] = make.geo["p7"] = make.geo["p1"]  # two duplicates, to be left out
    expected = prepare(make(duplicates=rule), store=make.store)
    assert len(expected.profile_table("geo")) == (12 if rule == "keep" else 10)

    def uneven(reader, genes, size=3):
        values, start, number = reader.frame.to_numpy().T[:, genes], 0, cycle(sizes)
        while start < len(values):
            stop = start + min(next(number), size)
            yield values[start:stop]
            start = stop

    monkeypatch.setattr(FrameReader, "blocks", uneven)
    again = prepare(make(duplicates=rule), name="uneven", store=make.store)
    assert again.digest == expected.digest


@pytest.mark.parametrize("step", ["quantile_ranks", "expressed_sums", "NpyWriter.append"])
def test_a_failure_in_the_midst_of_the_blocks_leaves_the_earlier_dataset(make, monkeypatch, step):
    earlier = prepare(make(), store=make.store)

    def fail(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(f"genebench.preprocessing.recipe.{step}", fail)
    with pytest.raises(KeyboardInterrupt):
        prepare(make(split_seed=4), store=make.store)
    assert changed_files(make.store.open("made")) == []
    assert sorted(path.name for path in (make.store.root / "made").iterdir()) == sorted(
        ["current", earlier.digest]
    )


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (lambda block: block[:, :-1], r"a block of shape \(\d+, \d+\)"),
        (lambda block: np.repeat(block, 20, axis=0), r"a block of shape \(\d+, \d+\)"),
        (lambda block: block[:-1], r"\d+ of \d+ profiles"),
    ],
)
def test_a_reader_that_returns_wrong_shapes_is_an_error(make, monkeypatch, broken, words):
    whole = FrameReader.blocks
    monkeypatch.setattr(FrameReader, "blocks", lambda *args: map(broken, whole(*args)))
    with pytest.raises(UserError, match=f"the reader returned {words}"):
        prepare(make(), store=make.store)
    assert make.store.open("made") is None


def test_values_of_another_byte_order_are_taken(make, monkeypatch):
    whole = FrameReader.blocks
    expected = prepare(make(), store=make.store).digest
    turned = lambda *args: (block.astype(">f8") for block in whole(*args))  # noqa: E731
    monkeypatch.setattr(FrameReader, "blocks", turned)
    assert prepare(make(), store=make.store).digest == expected


def test_the_sums_are_those_of_the_files(make):
    dataset = prepare(make(), store=make.store)
    lines = (dataset.root / "SHA256SUMS").read_text().splitlines()
    files = {path.relative_to(dataset.root).as_posix() for path in dataset.root.rglob("[!.]*.*")}
    assert {line.split("  ")[1] for line in lines} == files
    for line in lines:
        checksum, name = line.split("  ")
        assert hashlib.sha256((dataset.root / name).read_bytes()).hexdigest() == checksum, name


def test_verify_notices_a_file_that_was_changed_with_its_sum(make):
    dataset = prepare(make(), store=make.store)
    path, sums = dataset.root / "gtex" / "expression.npy", dataset.root / "SHA256SUMS"
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    after = hashlib.sha256(content).hexdigest()
    sums.write_text(sums.read_text().replace(before, after))
    assert changed_files(dataset) == ["digest"]


def test_too_few_profiles_are_refused(make):
    nine = Platform(reader=FrameReader(make.geo.iloc[:, :9], "few.gctx"), ids="probe")
    with pytest.raises(
        UserError, match=r"few.gctx: 9 profiles, but platform geo needs at least 10"
    ):
        prepare(make(platforms={"geo": nine}), store=make.store)
    two = Platform(reader=FrameReader(make.counts[["w", "x"]], "two.tsv"), ids="ensembl")
    platforms = dict(make().platforms) | {"gtex": two}
    with pytest.raises(UserError, match=r"two.tsv: 2 profiles, but platform gtex needs at least 3"):
        prepare(make(platforms=platforms), store=make.store)


def test_a_column_with_one_of_our_names_keeps_its_content_under_another(make):
    columns = pd.DataFrame({"split": list("abcabcabcabc"), "group": "g"}, index=make.geo.columns)
    geo = Platform(reader=FrameReader(make.geo), ids="probe", profiles=columns)
    table = prepare(
        make(platforms=dict(make().platforms) | {"geo": geo}), store=make.store
    ).profile_table("geo")
    assert list(table["split_given"]) == list(columns["split"])
    assert set(table["split"]) == {"train", "validation", "test"}
    assert "group" not in table


def test_verify_notices_a_flipped_byte(make):
    dataset = prepare(make(), store=make.store)
    assert changed_files(dataset) == []
    path = dataset.root / "gtex" / "expression.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert changed_files(dataset) == ["gtex/expression.npy"]
    (dataset.root / "SHA256SUMS").unlink()
    assert changed_files(dataset) == ["SHA256SUMS"]


@pytest.fixture(scope="module")
def u133(real_home):
    return DataStore(real_home).open("u133")


@pytest.mark.realdata
def test_real_data_agree_with_an_independent_reading_on_every_gene(u133, realdata):
    """Every platform of u133, from the files by pandas and scipy, value by value."""
    expected = independent_reading(realdata)
    for platform, matrix in expected.items():
        np.testing.assert_allclose(u133.expression(platform), matrix, atol=1e-5, err_msg=platform)


@pytest.mark.realdata
def test_real_data_have_the_genes_and_parts_that_their_readme_tells(u133):
    assert (len(u133.landmark_genes), len(u133.target_genes)) == (877, 7653)
    assert u133.landmark_genes["twin"].sum() == 420
    split = u133.profile_table("geo")["split"].value_counts()
    assert (split["train"], split["validation"], split["test"]) == (473, 59, 60)
    assert u133.profile_table("geo")["group"].nunique() == 22
    assert u133.profile_table("gtex")["group"].nunique() == 202


def independent_reading(folder):
    """The published recipe with other tools: whole frames, scipy ranks, numpy.unique."""
    import h5py
    from scipy.stats import rankdata

    columns = ["symbol", "ensembl", "probes"]
    maps = [
        pd.read_csv(folder / name, sep="\t", header=None, names=columns, keep_default_na=False)
        for name in ("map_lm.txt", "map_tg.txt")
    ]
    with h5py.File(folder / "u133_n592x22215.gctx") as file:
        probes = [name.decode() for name in file["0/META/ROW/id"][:]]
        array = pd.DataFrame(file["0/DATA/0/matrix"][:].T.astype(np.float64), index=probes)
    lcl = pd.read_csv(folder / "lcl_pickrell_n69x17310.txt.gz", sep="\t", index_col=0)
    lcl = lcl.drop(columns=["Gene_Symbol", "Chr", "Coord"])
    gtex = pd.read_csv(
        folder / "gtex_rnaseqdb_n280x18679.gct.gz", sep="\t", skiprows=2, index_col=0,
        keep_default_na=False,
    ).drop(columns="Description")  # fmt: skip
    genes = pd.concat(
        [genes[genes.ensembl.isin(lcl.index) & genes.symbol.isin(gtex.index)] for genes in maps]
    )
    measured = set(probes)
    raw = np.array(
        [
            array.loc[[p for p in row.split(",") if p in measured]].mean(axis=0)
            for row in genes.probes
        ]
    )
    reference = np.sort(raw, axis=0).mean(axis=1)
    ranks = np.apply_along_axis(rankdata, 0, raw)
    n_genes = len(genes)

    def mapped(profile):
        distinct, dense = np.unique(profile, return_inverse=True)
        return reference[((dense + 1.0) / len(distinct) * n_genes).astype(int) - 1]

    return {
        "geo": reference[(ranks - 1).astype(int)].T,
        "1000g": np.apply_along_axis(mapped, 0, lcl.loc[genes.ensembl].to_numpy()).T,
        "gtex": np.apply_along_axis(mapped, 0, gtex.loc[genes.symbol].to_numpy(float)).T,
    }


@pytest.mark.parametrize("rule", ["exact", "kmeans"])
def test_a_duplicate_profile_is_removed_and_named(make, rule):
    twice = make.geo.assign(copy=make.geo["p3"] + 1e-3)
    geo = Platform(reader=FrameReader(twice), ids="probe")
    dataset = prepare(
        make(platforms=dict(make().platforms) | {"geo": geo}, duplicates=rule), store=make.store
    )
    assert dataset.info["duplicates"] == {"rule": rule, "removed": ["copy"]}
    assert dataset.info["platforms"]["geo"]["profiles"] == 12
    assert list(dataset.profile_table("geo").index) == list(make.geo.columns)
    without = prepare(make(), name="without", store=make.store)
    assert dataset.digest == without.digest


def write_npy(frame, path):
    """Genes × profiles, written as profiles × genes, with its ids."""
    np.save(path, frame.to_numpy().T)
    for axis, ids in (("genes", frame.index), ("profiles", frame.columns)):
        path.with_name(f"geo.{axis}.txt").write_text("".join(f"{id_}\n" for id_ in ids))


def test_no_thread_reads_a_file_that_was_closed_when_preparing_failed(make, monkeypatch, tmp_path):
    write_npy(make.geo, tmp_path / "geo.npy")
    reader = open_reader(tmp_path / "geo.npy")
    read, closed = FlatRows.read, []

    def slowly(*args):
        time.sleep(0.02)
        try:
            return read(*args)
        except ValueError as error:
            closed.append(str(error))
            raise

    def fail(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("genebench.preprocessing.recipe.RANKED_AT_ONCE", 1)
    monkeypatch.setattr("genebench.preprocessing.recipe.add_rows", fail)
    monkeypatch.setattr(FlatRows, "read", slowly)
    platforms = {"geo": Platform(reader=reader, ids="probe")}
    with suppress(KeyboardInterrupt):
        prepare(make(platforms=platforms), store=make.store)
    assert make.store.open("made") is None
    gc.collect()
    time.sleep(0.2)
    assert not closed
