"""The record: every key is documented, nothing unknown or senseless gets in."""

from __future__ import annotations

import math
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from genebench.results.record import LARGEST, MOST, Failure, Record, Score, Timing

MEASURES = st.floats(-LARGEST, LARGEST)


def models(annotation):
    """Every model that an annotation mentions, and those that their fields mention."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from models(field.annotation)
    for argument in get_args(annotation):
        yield from models(argument)


ALL_MODELS = sorted(set(models(Record)), key=lambda model: model.__name__)
FIELDS = [
    pytest.param(field, id=f"{model.__name__}.{name}")
    for model in ALL_MODELS
    for name, field in model.model_fields.items()
]


def test_a_record_is_made_of_these_parts():
    assert [model.__name__ for model in ALL_MODELS] == [
        "Code", "Energy", "Failure", "Identity", "Member", "PluginOrigin", "Provenance", "Record",
        "Score", "Seal", "Timing",
    ]  # fmt: skip


@pytest.mark.parametrize("field", FIELDS)
def test_every_key_of_a_record_is_described_and_required(field):
    assert field.description
    assert field.is_required() or field.default in ({}, (), "", None, False, Timing())


@pytest.mark.parametrize("model", ALL_MODELS, ids=lambda model: model.__name__)
def test_every_part_is_described_closed_and_frozen(model):
    assert model.__doc__
    assert model.model_config["extra"] == "forbid"
    assert model.model_config["frozen"]


@pytest.mark.parametrize("key", ["mean", "std"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_no_finite_number_is_refused(key, value):
    with pytest.raises(ValidationError, match="finite number"):
        Score(**({"mean": 0.0, "std": 0.0, "genes": 1} | {key: value}))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"profiles": {"validation": 1, "test": 1}}, "has no train"),
        ({"profiles": {}}, "has no train and no validation and no test"),
        ({"genes": {"target": 1}}, "has no landmark"),
        ({"genes": {"target": -1, "landmark": 1}}, "greater than or equal to 0"),
        ({"peak_memory": MOST + 1}, "less than or equal"),
        ({"model_parameters": 10**400}, "less than or equal"),
        ({"seconds": {"fit": -1.0}}, "greater than or equal to 0"),
        ({"seconds": {"fit": 1e300}}, "less than or equal"),
        ({"choices": {"k": 10**400}}, "k is larger than any value"),
        ({"curves": {"path": {"k": (1, 2), "mae": (1,)}}}, "columns of path are empty, or not of"),
        ({"curves": {"path": {"k": (), "mae": ()}}}, "columns of path are empty, or not of"),
        ({"curves": {"path": {"k": (1,), "mae": (1e300,)}}}, "less than or equal"),
    ],
)
def test_what_no_page_could_show_is_refused(made_up, changes, said):
    with pytest.raises(ValidationError, match=said):
        made_up("lsr", {}, 0.5, **changes)


def test_a_test_setting_is_all_of_an_identity_but_method_parameters_seed_and_code(made_up):
    identity = made_up("knn", {}).identity
    setting = identity.test_setting()
    assert list(setting) == [
        "data", "protocol", "protocol_version", "train", "validation", "test", "numerics",
    ]  # fmt: skip
    rest = {"method", "params", "seed", "code"}
    assert identity.model_dump() == setting | identity.model_dump(include=rest)
    split = identity.model_copy(update={"splits": {"tissue": "0"}})
    assert split.test_setting() == setting | {"splits": {"tissue": "0"}}


def test_identities_that_differ_in_the_seed_alone_are_of_one_variant(made_up):
    first, second, other = (
        made_up("knn", params, seed=seed).identity
        for params, seed in (({}, 0), ({}, 1), ({"k": 3}, 0))
    )
    assert first.without_seed() == second.without_seed() != other.without_seed()


def test_an_unknown_key_is_refused():
    with pytest.raises(ValidationError, match="Extra inputs"):
        Failure(kind="k", message="m", traceback="t", remedy="none")


def test_a_record_cannot_be_changed():
    score = Score(mean=0.1, std=0.2, genes=3)
    with pytest.raises(ValidationError, match="frozen"):
        score.mean = 0.0


@settings(deadline=None, max_examples=60)
@given(MEASURES, MEASURES, st.integers(0, 10**6))
def test_a_score_is_read_from_json_exactly_as_it_was_written(mean, std, genes):
    score = Score(mean=mean, std=std, genes=genes)
    assert Score.model_validate_json(score.model_dump_json()) == score


@settings(deadline=None, max_examples=60)
@given(st.floats(-1, 1), st.floats(0, 1), st.integers(1, 10_000))
def test_scores_agree_when_they_differ_by_rounding_only(mean, std, genes):
    score = Score(mean=mean, std=std, genes=genes)
    assert score.agrees_with(Score(mean=mean + 1e-12, std=std - 1e-12, genes=genes))
    assert not score.agrees_with(Score(mean=mean + 1e-6, std=std, genes=genes))
    assert not score.agrees_with(Score(mean=mean, std=std + 1e-6, genes=genes))
    assert not score.agrees_with(Score(mean=mean, std=std, genes=genes + 1))
