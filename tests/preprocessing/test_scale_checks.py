"""Levels: what real kinds of values look like, as they are and after what people do to them."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genebench.data.store import DataStore
from genebench.datasets.manifest import read_manifest
from genebench.errors import UserError
from genebench.formats.base import BLOCK, Reader, Rows
from genebench.preprocessing.compendium import Compendium, Platform
from genebench.preprocessing.recipe import prepare
from genebench.preprocessing.scale_checks import (
    Names,
    check_probes,
    check_scale,
    find_scale_fault,
    scale_label,
    to_log2,
)

GENES, PROFILES = 400, 60


def log2(seed: int = 0, profiles: int = PROFILES) -> np.ndarray:
    """Log2 expression: genes differ by more than the values of one gene do."""
    random = np.random.default_rng(seed)
    means = random.gamma(9, 0.8, GENES)
    return np.clip(random.normal(means, random.gamma(4, 0.2, GENES), (profiles, GENES)), 0.5, 16)


def names_of(values: np.ndarray) -> Names:
    rows, columns = values.shape
    return Names(
        pd.Index([f"p{row}" for row in range(rows)]),
        pd.Index([f"g{column}" for column in range(columns)]),
    )


def check(values: np.ndarray, *, source="m.tsv", platform="geo", scale="log2") -> None:
    check_scale(values, names=names_of(values), source=source, platform=platform, scale=scale)


def standardised(values: np.ndarray, axis: int = 0) -> np.ndarray:
    return (values - values.mean(axis, keepdims=True)) / (values.std(axis, keepdims=True) + 1e-3)


EXPRESSION = log2()
LINEAR = 2**EXPRESSION - 1
COUNTS = np.random.default_rng(1).poisson(LINEAR).astype(float)
KINDS = {
    "log2": EXPRESSION,
    "log2, rounded": EXPRESSION.round(),
    "log2 without a pseudocount": np.log2(np.maximum(LINEAR / 60, 0.01)),
    "linear": LINEAR,
    "linear with absurd maxima": np.append(LINEAR, np.full((1, GENES), 6.7e9), axis=0),
    "counts": COUNTS,
    "z-scores by gene": standardised(EXPRESSION),
    "z-scores of linear values": standardised(LINEAR),
    "z-scores of some profiles": standardised(log2(2, 600))[:20],
    "log2, centred by gene": EXPRESSION - np.median(EXPRESSION, axis=0),
    "z-scores by profile": standardised(EXPRESSION, axis=1),
    "zeros": np.zeros((3, 5)),
}
CENTRED = "z-scores or other values centred by gene: .* negative, and the means of genes differ"
FAULTS = {
    "linear": r"look linear, .* values reach [\d,.]+, and [\d,]+ of 2[\d,]+ are above 30\.",
    "linear with absurd maxima": "look linear, not log2 expression: values reach 6.7e.09, and",
    "counts": r"look raw counts \(all whole numbers\), not log2 .* write level = \"linear\"",
    "z-scores by gene": CENTRED,
    "z-scores of linear values": CENTRED,
    "z-scores of some profiles": CENTRED,
    "log2, centred by gene": CENTRED,
}
ON_ARRAYS = FAULTS | {
    "z-scores by profile": r"z-scores or log ratios, not log2 .*: \d\d% are negative, with mean",
}
BY_RANK = {kind: words for kind, words in FAULTS.items() if words == CENTRED}
LOGARITHMIC = 'declared linear, but these look logarithmic: no value is above .*level = "log2"'
NOT_LINEAR = dict.fromkeys(
    ("log2", "log2, rounded", "log2 without a pseudocount", "zeros"), LOGARITHMIC
) | {kind: words for kind, words in ON_ARRAYS.items() if "z-" in words}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("platform", "level", "faults"),
    [
        ("geo", "log2", ON_ARRAYS),
        ("geo", "linear", NOT_LINEAR),
        ("geo", "any", {}),
        ("gtex", "log2", BY_RANK),
        ("gtex", "linear", BY_RANK),
        ("gtex", "any", {}),
    ],
)
def test_each_kind_of_values_on_each_platform(platform, level, faults, kind):
    if kind not in faults:
        check(KINDS[kind], platform=platform, scale=level)
        return
    with pytest.raises(UserError, match=f"m.tsv: .*{faults[kind]}") as error:
        check(KINDS[kind], platform=platform, scale=level)
    assert f'If the values are right, write level = "any" in [platforms.{platform}].' in str(
        error.value
    )


def test_a_fault_is_a_problem_and_a_remedy_and_the_message_is_made_of_them():
    fault = find_scale_fault(LINEAR, platform="geo", scale="log2")
    assert re.fullmatch(r"these look linear, .* values reach .* are above 30\.", fault.problem)
    assert fault.remedy.startswith("Give log2 expression, or write level")
    with pytest.raises(UserError) as error:
        check(LINEAR)
    assert str(error.value).startswith(f"m.tsv: {fault.problem} {fault.remedy} If the values")
    assert find_scale_fault(EXPRESSION, platform="geo", scale="log2") is None
    assert find_scale_fault(LINEAR, platform="geo", scale="any") is None


@settings(max_examples=30)
@given(st.integers(1, 1024), st.integers(0, 99))
def test_the_verdict_does_not_depend_on_the_number_of_profiles(profiles, seed):
    values = log2(seed, profiles)
    check(values)
    with pytest.raises(UserError, match="look linear"):
        check(2**values)
    if profiles > 2:
        with pytest.raises(UserError, match="centred by gene"):
            check(standardised(values), platform="gtex")


class ArrayReader(Reader):
    """A reader of profiles that a test made."""

    def __init__(self, values: np.ndarray) -> None:
        self.source = "late.tsv"
        self.gene_ids = pd.Index([f"g{gene}" for gene in range(GENES)])
        self.profiles = pd.DataFrame(index=[f"p{i}" for i in range(len(values))])
        self._values = values

    def blocks(self, genes, size=BLOCK):
        for start in range(0, len(self._values), size):
            yield self._values[start : start + size, genes]


@pytest.fixture(scope="module")
def prepared_with(tmp_path_factory):
    """prepared_with(platform, level, values): a dataset of which one platform has these values."""
    store = DataStore(tmp_path_factory.mktemp("levels"))
    ids = [f"g{gene}" for gene in range(GENES)]
    genes = pd.DataFrame({"symbol": ids, "probes": ids}, index=ids)

    def prepared(platform, level, values):
        changed = Platform(reader=ArrayReader(values), ids="symbol", level=level)
        platforms = {
            "geo": Platform(reader=ArrayReader(EXPRESSION), ids="symbol"),
            platform: changed,
        }
        compendium = Compendium(
            name="late", title="", landmarks=genes[:9], targets=genes[9:], platforms=platforms
        )
        return prepare(compendium, store=store)

    return prepared


Z_SCORES = KINDS["z-scores by gene"]
LATE = {
    "linear": ("geo", "log2", EXPRESSION, LINEAR, "look linear, not log2 .* above 30"),
    "counts": ("geo", "log2", EXPRESSION, COUNTS, r"look raw counts \(all whole numbers\), not"),
    "z-scores": ("geo", "log2", EXPRESSION, Z_SCORES, CENTRED),
    "log2": ("geo", "linear", LINEAR, EXPRESSION, "these look logarithmic: no value is above"),
    "z-scores of RNA-seq": ("gtex", "log2", LINEAR, Z_SCORES, CENTRED),
}
"""Kind → platform, level, the first 1,100 profiles, later ones, and what is said of these."""


@pytest.mark.parametrize("kind", LATE)
@pytest.mark.parametrize("number", [20, 200, 300])
def test_late_profiles_in_other_units_are_refused_and_named(prepared_with, kind, number):
    platform, level, first, late, words = LATE[kind]
    values = np.concatenate([np.resize(first, (1100, GENES)), np.resize(late, (number, GENES))])
    with pytest.raises(UserError, match=f"late.tsv: .*{words}") as error:
        prepared_with(platform, level, values)
    named = re.search(r": (\d+) profiles? \(first 'p(\d+)'\): ", str(error.value))
    assert 0.9 * min(number, 256) < int(named[1]) <= number
    assert 1100 <= int(named[2]) < 1105
    assert ". Leave them out, or give them on the scale of the others. If" in str(error.value)
    assert 'level = "l' not in str(error.value), "the others are in the declared units"


def test_one_array_in_other_units_among_many_is_found(prepared_with):
    values = log2(3, 2000)
    values[1790] = 2 ** values[1790]
    with pytest.raises(UserError, match=r"1 profile \(first 'p1790'\): .* linear"):
        prepared_with("geo", "log2", values)


@pytest.mark.parametrize("platform", ["geo", "gtex"])
def test_many_negative_values_alone_are_no_fault(prepared_with, platform):
    values = np.log2(np.maximum((2 ** log2(4, 1500) - 1) / 60, 0.01))
    assert ((values < 0).mean(axis=1) > 0.2).sum() > 1000, "many suspects"
    prepared_with(platform, "log2", values)


CODED = [("geo", "log2", -99.0), ("geo", "log2", -31.0), ("gtex", "log2", -99.0)]
CODED += [("gtex", "linear", code) for code in (-99.0, -999.0, -9999.0)]


@pytest.mark.parametrize(("platform", "scale", "value"), CODED)
def test_a_code_in_one_of_several_probes_is_refused(platform, scale, value):
    values = np.full((3, 5), 7.0)
    values[1, 3] = value
    names = Names(pd.Index(["p0", "p1", "p2"]), pd.Index(["a_at", "b_at"]))
    rows = Rows(values, np.array([2, 3]))
    stated = {"names": names, "source": "m.tsv", "platform": platform}
    with pytest.raises(UserError, match=rf"profile 'p1', gene 'b_at' is {value:g}, .*\"any\""):
        check_probes(rows, scale=scale, **stated)
    check_probes(rows, scale="any", **stated)
    # Values of probes that no gene has may be codes.
    check_probes(Rows(values, np.array([0, 2])), scale=scale, **stated)


def test_low_levels_that_are_no_codes_are_taken():
    names = Names(pd.Index(["p"]), pd.Index(["a", "b"]))
    stated = {"names": names, "source": "m", "scale": "log2"}
    check_probes(Rows.of(np.array([[-29.0, 5]])), platform="geo", **stated)
    check_probes(Rows.of(np.array([[-99.5, -1e3]])), platform="gtex", **stated)


IMPOSSIBLE = [
    ("geo", "log2", 1e308),
    ("geo", "log2", 31.0),
    ("geo", "log2", -999.0),
    ("geo", "log2", -1e30),
    ("geo", "log2", np.nan),
    ("geo", "linear", 1e308),
    ("geo", "any", 1e308),
    ("geo", "any", -np.inf),
    ("gtex", "log2", 1e308),
    ("gtex", "linear", -1e30),
    ("gtex", "any", -1e30),
]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("platform", "level", "value"), IMPOSSIBLE)
@pytest.mark.parametrize("late", [False, True])
def test_one_cell_that_expression_cannot_hold_is_refused_and_named(
    prepared_with, platform, level, value, late
):
    values = np.resize(LINEAR if level == "linear" else EXPRESSION, (1100, GENES)).copy()
    values[1090 if late else 3, 7] = value
    named = f"late.tsv: profile 'p{1090 if late else 3}', gene 'g7' is {value:g}, which"
    with pytest.raises(UserError, match=re.escape(named)) as error:
        prepared_with(platform, level, values)
    assert "Correct it, or leave that profile out." in str(error.value)
    assert ('level = "any"' in str(error.value)) == (level != "any")


def test_values_that_are_only_absurd_are_left_to_the_ranks(prepared_with):
    values = LINEAR.copy()
    values[3, 7] = 6.7e9
    prepared_with("gtex", "log2", values)


def test_a_negative_cell_of_linear_arrays_is_named(prepared_with):
    values = np.resize(LINEAR, (1100, GENES)).copy()
    values[1090, 7] = -3.5
    named = "declared linear, but profile 'p1090', gene 'g7' is -3.5, and log2"
    with pytest.raises(UserError, match=named):
        prepared_with("geo", "linear", values)


def test_a_cell_and_a_few_linear_profiles_are_told_apart():
    values = EXPRESSION.copy()
    values[9] = 2 ** values[9]
    with pytest.raises(UserError, match="these look linear"):
        check(values)
    values[[3, 4], 7] = 99.0
    with pytest.raises(UserError, match="profile 'p3', gene 'g7' is 99"):
        check(values)


def test_linear_arrays_become_log2():
    linear = LINEAR.astype(np.float32)
    rows, names = Rows.of(linear), names_of(linear)
    values = to_log2(rows, names=names, source="m", platform="geo", scale="linear").pick()
    np.testing.assert_allclose(values, np.log2(linear.astype(float) + 1), rtol=1e-15)
    for platform, level in (("geo", "log2"), ("geo", "any"), ("gtex", "linear")):
        assert to_log2(rows, names=names, source="m", platform=platform, scale=level) is rows


def test_genes_that_are_not_requested_may_be_negative():
    rows = Rows(np.array([[3.0, -1.0, 0.0]]), np.array([2, 0]))
    names = names_of(rows.pick())
    values = to_log2(rows, names=names, source="m", platform="geo", scale="linear").pick()
    assert values.tolist() == [[0.0, 2.0]]


def test_units_in_a_word():
    assert [scale_label("geo", level) for level in ("log2", "linear", "any")] == [
        "log2", "log2(x + 1)", "as they are",
    ]  # fmt: skip
    assert scale_label("gtex", "log2") == scale_label("gtex", "any") == "by rank"


@pytest.mark.realdata
@pytest.mark.parametrize("platform", ["1000g", "gtex"])
def test_real_rna_seq_in_place_of_microarrays_is_refused(realdata, tmp_path, platform):
    compendium = read_manifest(realdata / "u133.toml")
    object.__setattr__(compendium, "platforms", {"geo": compendium.platforms[platform]})
    with pytest.raises(UserError, match="look linear, not log2 expression: values reach"):
        prepare(compendium, store=DataStore(tmp_path))
    assert not list((tmp_path / "datasets").iterdir())
