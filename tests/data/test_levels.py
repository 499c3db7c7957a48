"""Levels: what real kinds of values look like, as they are and after what people do to them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genebench.data.levels import check_level, to_log2, units
from genebench.data.manifest import read_manifest
from genebench.data.prepare import prepare
from genebench.data.store import DataStore
from genebench.errors import UserError

GENES, PROFILES = 400, 60


def log2(seed: int = 0, profiles: int = PROFILES) -> np.ndarray:
    """Log2 expression: genes differ by more than the values of one gene do."""
    random = np.random.default_rng(seed)
    means = random.gamma(9, 0.8, GENES)
    return np.clip(random.normal(means, random.gamma(4, 0.2, GENES), (profiles, GENES)), 0.5, 16)


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
    "linear": r"look linear, .* values reach [\d,.]+, and [\d,]+ of 2[\d,]+ are above 30; give",
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
    def check():
        check_level(KINDS[kind], source="m.tsv", platform=platform, level=level)

    if kind not in faults:
        check()
        return
    with pytest.raises(UserError, match=f"m.tsv: .*{faults[kind]}") as error:
        check()
    assert f'or, if the values are right, write level = "any" in [platforms.{platform}]' in str(
        error.value
    )


@settings(max_examples=30)
@given(st.integers(1, 1024), st.integers(0, 99))
def test_the_verdict_does_not_hang_on_how_many_profiles_there_are(profiles, seed):
    values = log2(seed, profiles)
    check_level(values, source="m", platform="geo", level="log2")
    with pytest.raises(UserError, match="look linear"):
        check_level(2**values, source="m", platform="geo", level="log2")
    if profiles > 2:
        with pytest.raises(UserError, match="centred by gene"):
            check_level(standardised(values), source="m", platform="gtex", level="log2")


def test_linear_arrays_become_log2():
    given = LINEAR.astype(np.float32)
    values = to_log2(given, source="m", platform="geo", level="linear")
    np.testing.assert_allclose(values, np.log2(given.astype(float) + 1), rtol=1e-15)
    for platform, level in (("geo", "log2"), ("geo", "any"), ("gtex", "linear")):
        assert to_log2(given, source="m", platform=platform, level=level) is given
    with pytest.raises(UserError, match=r"m: declared linear, .* smallest value is -0\.5; log2"):
        to_log2(given - 0.5 - given.min(), source="m", platform="geo", level="linear")


def test_units_in_a_word():
    assert [units("geo", level) for level in ("log2", "linear", "any")] == [
        "log2", "log2(x + 1)", "as they are",
    ]  # fmt: skip
    assert units("gtex", "log2") == units("gtex", "any") == "by rank"


@pytest.mark.realdata
@pytest.mark.parametrize("platform", ["1000g", "gtex"])
def test_real_rna_seq_in_place_of_microarrays_is_refused(realdata, tmp_path, platform):
    compendium = read_manifest(realdata / "u133.toml")
    object.__setattr__(compendium, "platforms", {"geo": compendium.platforms[platform]})
    with pytest.raises(UserError, match="look linear, not log2 expression: values reach"):
        prepare(compendium, store=DataStore(tmp_path))
    assert not list((tmp_path / "datasets").iterdir())
