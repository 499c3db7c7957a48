"""Specs: parameters are read, checked and given per preset from one declaration."""

from __future__ import annotations

import json
import math
import re
import string
from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from genebench._util.text import typed
from genebench.errors import UserError
from genebench.protocols import GEO, GEO_SERIES, GEO_STRICT, GTEX, GTEX_STRICT
from genebench.specs import (
    PRESETS,
    DatasetSpec,
    EngineSpec,
    MethodSpec,
    MetricSpec,
    Param,
    Part,
    ProtocolSpec,
    ReporterSpec,
    SplitSpec,
    check_name,
    sized_name,
    values_from_json,
)

quick = settings(deadline=None, max_examples=60)

FINITE = st.floats(allow_nan=False, allow_infinity=False)
NOT_FINITE = ["nan", "NaN", "-nan", "inf", "-inf", "Infinity", "1e999", "-1e999"]


def param(default, **declared):
    return Param(name="p", default=default, help="h", **declared)


def method(*params, **declared):
    named = {"name": "m", "title": "t", "summary": "s", "code": "package.module:M"} | declared
    return MethodSpec(params=params, **named)


def protocol(**parts):
    named = {
        "train": Part(platform="geo", split="train"),
        "validation": Part(platform="geo", split="validation"),
        "test": Part(platform="geo", split="test"),
    }
    return ProtocolSpec(name="p", title="t", summary="s", **(named | parts))


# --- reading values -------------------------------------------------------------------------------


@quick
@given(st.integers())
def test_a_whole_number_is_read_back_as_it_was_written(value):
    read = param(1).parse(str(value), owner="m")
    assert read == value
    assert type(read) is int


@quick
@given(FINITE)
def test_a_number_is_read_back_exactly(value):
    read = param(1.0).parse(repr(value), owner="m")
    assert read == value
    assert type(read) is float


def test_a_whole_number_given_to_a_float_parameter_becomes_a_float():
    read = param(1.0).parse("3", owner="m")
    assert type(read) is float


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("True", True), ("1", True), ("false", False), ("FALSE", False), ("0", False)],
)
def test_booleans_are_read_in_any_case_and_as_digits(text, value):
    assert param(True).parse(text, owner="m") is value


@quick
@given(st.text())
def test_text_is_taken_as_it_is_but_for_space_around_it(text):
    assert param("adam").parse(f"  {text} ", owner="m") == text.strip()


@pytest.mark.parametrize(
    ("default", "text", "expected"),
    [
        (1, "3.5", "a whole number"),
        (1, "three", "a whole number"),
        (1, "", "a whole number"),
        (1, "true", "a whole number"),
        (1.0, "much", "a number"),
        (1.0, "", "a number"),
        (True, "yes", "true or false"),
        (True, "", "true or false"),
    ],
)
def test_a_value_of_another_type_is_refused_naming_what_was_expected(default, text, expected):
    with pytest.raises(UserError) as caught:
        param(default).parse(text, owner="m")
    assert str(caught.value).startswith(f"m.p={text} is not {expected}. Write {expected}, such as ")


@pytest.mark.parametrize("text", NOT_FINITE)
def test_a_number_that_is_not_finite_is_refused(text):
    with pytest.raises(UserError, match=r"^m\.p=.* is not a finite number\. Write a number, such"):
        param(1.0).parse(text, owner="m")


@pytest.mark.parametrize("default", [math.nan, math.inf, -math.inf])
def test_a_default_that_is_not_finite_is_refused(default):
    with pytest.raises(UserError, match="is not a finite number"):
        param(default)


# --- ranges and choices ---------------------------------------------------------------------------


@quick
@given(st.integers(-50, 50))
def test_bounds_belong_to_the_range_and_all_beyond_them_is_refused(value):
    ranged = param(0, minimum=-10, maximum=10)
    if -10 <= value <= 10:
        assert ranged.parse(str(value), owner="m") == value
    else:
        with pytest.raises(
            UserError, match=rf"^m\.p={value} is out of range\. The (small|larg)est"
        ):
            ranged.parse(str(value), owner="m")


def test_the_message_names_the_bound_that_was_passed():
    ranged = param(0.5, minimum=0.25, maximum=1)
    with pytest.raises(UserError, match=r"The smallest value is 0\.25\.$"):
        ranged.parse("0.2", owner="m")
    with pytest.raises(UserError, match=r"The largest value is 1\.$"):
        ranged.parse("1.5", owner="m")


def test_one_bound_alone_is_enough():
    assert param(1, minimum=1).parse("1000000", owner="m") == 1_000_000
    assert param(1, maximum=1).parse("-1000000", owner="m") == -1_000_000


def test_only_the_choices_can_be_chosen():
    chosen = param("relu", choices=("relu", "tanh"))
    assert chosen.parse("tanh", owner="m") == "tanh"
    with pytest.raises(UserError, match=r"^m\.p=elu is not a choice\. Choose relu or tanh\.$"):
        chosen.parse("elu", owner="m")


def test_choices_may_be_numbers():
    chosen = param(2, choices=(1, 2, 4))
    assert chosen.parse("4", owner="m") == 4
    with pytest.raises(UserError, match="Choose 1 or 2 or 4"):
        chosen.parse("3", owner="m")


@pytest.mark.parametrize(
    "declared",
    [
        {"default": 0, "minimum": 1},
        {"default": 3, "maximum": 2},
        {"default": 3, "choices": (1, 2)},
        {"default": 3, "maximum": 5, "presets": {"small": 6}},
    ],
)
def test_a_default_or_preset_outside_its_own_range_is_refused(declared):
    with pytest.raises(UserError):
        param(**declared)


# --- presets --------------------------------------------------------------------------------------


@quick
@given(st.dictionaries(st.sampled_from(PRESETS), st.integers()), st.sampled_from(PRESETS))
def test_a_preset_without_a_value_takes_that_of_the_next_larger_one(presets, preset):
    larger = PRESETS[PRESETS.index(preset) :]
    expected = next((presets[name] for name in larger if name in presets), -1)
    assert param(-1, presets=presets).value_for(preset) == expected


def test_the_published_value_is_the_default_when_no_preset_has_one():
    assert [param(7).value_for(preset) for preset in PRESETS] == [7, 7, 7]


def test_a_preset_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="preset 'huge' is not one of"):
        param(1, presets={"huge": 2})


@pytest.mark.parametrize(("default", "other"), [(1, 1.0), (1.0, 1), (1, True), ("1", 1)])
def test_a_preset_of_another_type_than_the_default_is_refused(default, other):
    with pytest.raises(ValueError, match="is not of type"):
        param(default, presets={"small": other})


# --- lists ----------------------------------------------------------------------------------------


@quick
@given(
    st.one_of(
        st.lists(st.integers(), min_size=1),
        st.lists(FINITE, min_size=1),
        st.lists(st.booleans(), min_size=1),
        st.lists(st.from_regex(r"[a-z+,=%-]{1,9}", fullmatch=True), min_size=1),
    )
)
def test_a_list_is_read_back_as_it_is_typed(values):
    declared = param(tuple(values[:1]))
    read = declared.parse(typed(tuple(values)), owner="m")
    assert read == tuple(values)
    assert declared.is_list
    assert {*map(type, read)} == {declared.type}


def test_a_single_value_is_a_list_of_one_and_spaces_do_not_count():
    assert param((1, 2)).parse("7", owner="m") == (7,)
    assert param((0.5, 2.0)).parse(" 1 : 2e3 ", owner="m") == (1.0, 2000.0)


def test_a_list_may_be_empty_where_that_is_declared():
    assert param((1, 2), min_length=0, presets={"tiny": ()}).value_for("tiny") == ()
    assert param((1, 2), min_length=0).parse("", owner="m") == ()
    with pytest.raises(UserError, match=r"m\.p has 0 values\. Give 1 to"):
        param((1, 2)).parse("", owner="m")


@pytest.mark.parametrize(
    ("default", "text", "message"),
    [
        ((1,), "512,256", "m.p: 512,256 is not a whole number. Write a list of this type with"),
        ((1,), "1::2", "m.p: an empty text is not a whole number"),
        ((1.0,), "1:nan", "m.p: nan is not a finite number"),
        ((True,), "true:2", "m.p: 2 is not true or false"),
        (("a",), "a::b", "m.p has the value ''. Give words without a colon"),
    ],
)
def test_a_list_that_cannot_be_read_is_one_line_with_the_value_at_fault(default, text, message):
    with pytest.raises(UserError) as caught:
        param(default).parse(text, owner="m")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_list_passes_through_json_and_stays_hashable():
    spec = method(param((512, 256), presets={"tiny": (8,)}))
    adapter = TypeAdapter(MethodSpec)
    assert adapter.validate_json(adapter.dump_json(spec)) == spec
    values = spec.values("tiny", {})
    assert values_from_json(json.loads(json.dumps(values))) == values == {"p": (8,)}
    assert len({*values.values()}) == 1


def test_an_option_of_an_engine_is_no_list():
    with pytest.raises(ValueError, match="option p is a list"):
        EngineSpec(name="e", title="t", code="package.module:launch", options=(param((1, 2)),))


def test_a_list_is_no_number_of_a_formula_and_no_list_of_members():
    with pytest.raises(ValueError, match="p, which is no numeric parameter"):
        method(param((1, 2)), work="2 * p")
    with pytest.raises(ValueError, match="is not one of its text parameters"):
        method(param(("a", "b")), members="p")


# --- declarations ---------------------------------------------------------------------------------


@pytest.mark.parametrize("default", [None, [1], {}, b"x", 1j])
def test_a_default_that_is_no_bool_int_float_or_str_is_refused(default):
    with pytest.raises(ValueError, match="p"):
        param(default)


@pytest.mark.parametrize(
    ("default", "declared", "message"),
    [
        ((), {}, "an empty list has no type"),
        ((1, 2.0), {}, "2.0 is not of type int"),
        ((1, True), {}, "True is not of type int"),
        ((1, (2,)), {}, "is not a bool, int, float or str"),
        (([1],), {}, "is not a bool, int, float or str"),
        ((1,), {"presets": {"tiny": 1}}, "1 is not a list"),
        (1, {"presets": {"tiny": (1,)}}, "is a list"),
        ((1,), {"presets": {"tiny": [1]}}, "is not a list"),
        ((1,), {"presets": {"tiny": ()}}, "has 0 values. Give 1 to"),
        ((1,), {"min_length": 2}, "has 1 value. Give 2 to"),
        ((1, 2, 3), {"max_length": 2}, "has 3 values. Give 1 to 2"),
        ((1, 2, 3), {"min_length": 2, "max_length": 2}, "has 3 values. Give 2, with colons"),
        ((1, 5), {"maximum": 4}, "p: 5 is out of range. The largest value is 4"),
        ((1, 5), {"minimum": 2}, "p: 1 is out of range. The smallest value is 2"),
        (("a", "c"), {"choices": ("a", "b")}, "p: c is not a choice. Choose a or b"),
        (("a:b",), {}, "without a colon"),
        (("a", ""), {}, "without a colon"),
        (1, {"max_length": 2}, "are for lists"),
        ((1,), {"min_length": -1}, "min_length=-1 and max_length=500 are no bounds"),
        ((1,), {"min_length": 3, "max_length": 2}, "min_length=3 and max_length=2 are no bounds"),
        ((1,), {"max_length": 501}, "max_length=501 are no bounds. Give 0 ≤ min_length"),
        (("a",), {"choices": ("a", "b:c")}, "choice 'b:c' is no value of a list"),
        (("a",), {"choices": ("a", "")}, "choice '' is no value of a list"),
        (("x" * 1_500, "y" * 1_500), {}, "has 3,001 letters"),
    ],
)
def test_a_list_of_many_types_lengths_or_values_out_of_bounds_is_refused(
    default, declared, message
):
    with pytest.raises((ValueError, UserError), match=re.escape(message)):
        param(default, **declared)


@pytest.mark.parametrize("name", ["", "P", "1p", "p-q", "p q", "_p", "p.q"])
def test_a_malformed_parameter_name_is_refused(name):
    with pytest.raises(ValueError, match="parameter name"):
        Param(name=name, default=1, help="h")


def test_a_parameter_declared_twice_is_refused():
    with pytest.raises(ValueError, match="declared twice"):
        method(param(1), param(2))


@quick
@given(st.from_regex(r"[a-z0-9]{1,10}([.-][a-z0-9]{1,8}){0,3}", fullmatch=True))
def test_names_are_lower_case_words_joined_by_single_dashes_or_dots(name):
    check_name("method", name)


@pytest.mark.parametrize(
    "name", ["", "A", "a b", "a_b", "-a", "a-", "a--b", ".a", "a/b", "a,b", "é", "a\n", "a" * 41]
)
def test_every_other_name_is_refused(name):
    with pytest.raises(ValueError, match=r"method name .* is malformed"):
        check_name("method", name)


@quick
@given(st.text(string.printable, max_size=6))
def test_no_name_can_leave_its_folder_or_split_a_list(name):
    try:
        check_name("method", name)
    except ValueError:
        return
    assert not set(name) & set("/\\, \t\n*?~$'\"")
    assert not name.startswith((".", "-"))


@pytest.mark.parametrize("code", ["", "module", "module:", ":M", "module.M", "a b:M", "m:a.b"])
def test_code_that_is_no_import_string_is_refused(code):
    with pytest.raises(ValueError, match="is not an import string"):
        method(code=code)


@pytest.mark.parametrize(
    "make",
    [
        lambda name: method(name=name),
        lambda name: DatasetSpec(name=name, title="t", code="m:f"),
        lambda name: EngineSpec(name=name, title="t", code="m:f"),
        lambda name: ReporterSpec(name=name, title="t", code="m:f"),
        lambda name: MetricSpec(
            name=name, title="t", summary="s", code="m:f", unit="1", direction="lower", best=0.0
        ),
        lambda name: ProtocolSpec(
            name=name,
            title="t",
            summary="s",
            train=Part(platform="a"),
            validation=Part(platform="b"),
            test=Part(platform="c"),
        ),
    ],
)
def test_specs_of_every_kind_check_their_name_and_cannot_be_changed(make):
    with pytest.raises(ValueError, match="is malformed"):
        make("Bad Name")
    spec = make("good")
    with pytest.raises(FrozenInstanceError):
        spec.name = "other"


def test_a_dataset_offers_known_presets_only():
    with pytest.raises(ValueError, match="preset 'big' is not one of"):
        DatasetSpec(name="d", title="t", code="m:f", presets=("big",))
    with pytest.raises(ValueError, match="preset 'big' is not one of"):
        DatasetSpec(name="d", title="t", code="m:f", preset="big")


@pytest.mark.parametrize("used_to", ["train", "validation"])
@pytest.mark.parametrize(
    ("fitted", "tested"),
    [("test", "test"), (None, "test"), ("train", None), (None, None)],
    ids=["same part", "part of all", "all of a part", "all"],
)
def test_a_protocol_that_tests_on_profiles_it_fits_on_is_refused(used_to, fitted, tested):
    parts = {
        used_to: Part(platform="gtex", split=fitted),
        "test": Part(platform="gtex", split=tested),
    }
    with pytest.raises(ValueError, match=r"can share profiles with .*, which is used to fit"):
        protocol(**parts)


def test_a_protocol_may_use_different_parts_of_one_platform():
    assert protocol().test == Part(platform="geo", split="test")


@pytest.mark.parametrize("by", ["random", "group", "tissue"])
def test_parts_of_different_splits_can_share_profiles(by):
    others = [name for name in ("random", "group", "tissue") if name != by]
    test = Part(platform="geo", split="test", by=by)
    parts = {name: Part(platform="geo", split=name, by=by) for name in ("train", "validation")}
    assert protocol(**parts, test=test).test == test
    for other in others:
        with pytest.raises(ValueError, match="can share profiles with"):
            protocol(**parts, test=Part(platform="geo", split="test", by=other))


@pytest.mark.parametrize(
    ("declared", "text"),
    [
        ({}, "geo"),
        ({"split": "train"}, "geo/train"),
        ({"split": "train", "by": "group"}, "geo/train/by-group"),
        ({"split": "test", "by": "tissue"}, "geo/test/by-tissue"),
        ({"split": "test", "statistics": "train"}, "geo/test/training-statistics"),
        (
            {"split": "test", "by": "tissue", "statistics": "train"},
            "geo/test/by-tissue/training-statistics",
        ),
    ],
)
def test_a_part_is_written_as_platform_split_and_units(declared, text):
    assert str(Part(platform="geo", **declared)) == text


@pytest.mark.parametrize("by", ["group", "tissue"])
def test_a_whole_platform_takes_the_training_statistics_of_the_random_split_alone(by):
    with pytest.raises(ValueError, match=f"of the random split, not of split '{by}'"):
        Part(platform="gtex", by=by, statistics="train")


def test_a_split_has_a_name_that_fits_into_the_name_of_a_part():
    with pytest.raises(ValueError, match="split name 'By Tissue' is malformed"):
        Part(platform="geo", split="train", by="By Tissue")
    with pytest.raises(ValueError, match="split name 'a/b' is malformed"):
        SplitSpec(name="a/b", title="t", summary="s", code="m:f")
    with pytest.raises(ValueError, match="is not an import string"):
        SplitSpec(name="tissue", title="t", summary="s", code="m.f")


# --- a method's parameters in effect --------------------------------------------------------------

LAYERS = Param(name="layers", default=3, help="h", minimum=1, presets={"tiny": 1})
RATE = Param(name="rate", default=0.1, help="h", maximum=1)


def test_parameters_in_effect_are_every_one_with_overrides_before_presets():
    net = method(LAYERS, RATE)
    assert net.values("paper", {}) == {"layers": 3, "rate": 0.1}
    assert net.values("tiny", {}) == {"layers": 1, "rate": 0.1}
    assert net.values("tiny", {"layers": "2"}) == {"layers": 2, "rate": 0.1}


def test_an_unknown_parameter_is_refused_with_near_misses():
    with pytest.raises(UserError, match=r"unknown parameter of m 'layer'\. Did you mean layers"):
        method(LAYERS, RATE).values("tiny", {"layer": "2"})


def test_an_override_out_of_range_names_method_and_parameter():
    with pytest.raises(UserError, match=r"^m\.layers=0 is out of range"):
        method(LAYERS).values("tiny", {"layers": "0"})


def test_a_method_without_parameters_says_that_it_has_none():
    with pytest.raises(UserError, match="There is no parameter of m"):
        method().values("tiny", {"layers": "2"})


# --- nothing declared is endless ------------------------------------------------------------------


@pytest.mark.parametrize(
    "declared",
    [
        {"default": "x" * 100_000},
        {"default": "x", "help": "x" * 100_000},
        {"default": "x", "choices": ("x", "y" * 100_000)},
        {"default": "x", "presets": {"tiny": "y" * 100_000}},
        {"default": 1, "choices": tuple(range(1_000))},
    ],
    ids=lambda declared: list(declared)[-1],
)
def test_a_declared_text_or_list_without_end_is_refused_in_a_short_line(declared):
    with pytest.raises(
        (ValueError, UserError), match=r"(letters|entries), more than|at most"
    ) as error:
        Param(**({"name": "p", "help": "h"} | declared))
    assert len(str(error.value)) < 200


@pytest.mark.parametrize("text", ["title", "equations"])
def test_a_spec_with_half_of_a_surrogate_pair_is_refused(text):
    with pytest.raises(ValueError, match=f"method m: {text} has half of a surrogate pair"):
        MethodSpec(**{"name": "m", "title": "t", "summary": "s", "code": "m:M", text: "a \ud800"})


@pytest.mark.parametrize("text", ["title", "summary", "reference"])
def test_a_spec_with_a_text_without_end_is_refused(text):
    with pytest.raises(ValueError, match=f"method m: {text} has 100,000 letters, more than 2,000"):
        method(**{text: "x" * 100_000})


def test_a_method_of_a_thousand_parameters_is_refused():
    params = [Param(name=f"p{number}", default=1, help="h") for number in range(1_000)]
    with pytest.raises(ValueError, match="method m: params has 1,000 entries, more than 500"):
        method(*params)


@pytest.mark.parametrize("text", ["1" + "0" * 4_000, "-1" + "0" * 400])
def test_a_whole_number_that_no_table_can_show_is_refused(text):
    with pytest.raises(UserError, match="out of range"):
        param(1).parse(text, owner="m")
    with pytest.raises(UserError, match="out of range"):
        param(int(text))


def test_a_text_without_end_cannot_be_set():
    with pytest.raises(UserError, match=r"m\.p has 2,001 letters\. Give at most 2,000"):
        param("").parse("x" * 2_001, owner="m")


# --- training subsets -----------------------------------------------------------------------------


def test_texts_of_parts_are_what_earlier_keys_hold():
    texts = {
        spec.name: [str(part) for part in spec.parts]
        for spec in (GEO, GTEX, GEO_STRICT, GTEX_STRICT, GEO_SERIES)
    }
    assert texts == {
        "geo": ["geo/train", "geo/validation", "geo/test"],
        "gtex": ["geo/train", "1000g", "gtex"],
        "geo-strict": [
            f"geo/{part}/training-statistics" for part in ("train", "validation", "test")
        ],
        "gtex-strict": [
            "geo/train/training-statistics", "1000g/training-statistics",
            "gtex/training-statistics",
        ],
        "geo-series": [f"geo/{part}/by-group" for part in ("train", "validation", "test")],
    }  # fmt: skip


def test_a_protocol_of_a_size_differs_in_its_name_and_training_set_only():
    sized = GEO_STRICT.of_size(2000)
    assert sized.name == "geo-strict-n2000"
    assert sized.title == "GEO, training statistics, 2,000 training profiles"
    assert str(sized.train) == "geo/train/training-statistics/2000-profiles"
    assert (sized.validation, sized.test) == (GEO_STRICT.validation, GEO_STRICT.test)
    assert sized.variant_of == ""
    assert sized.version == GEO_STRICT.version
    assert sized.trial().train == sized.train


@pytest.mark.parametrize(
    ("name", "base", "profiles"),
    [
        ("geo-n2000", "geo", 2000),
        ("a-n5-n20", "a-n5", 20),
        *((name, name, 0) for name in ("geo", "geo-n0", "geo-n020", "geo-n" + "9" * 5000)),
    ],
)
def test_the_name_of_a_protocol_may_end_in_a_size(name, base, profiles):
    assert sized_name(name) == (base, profiles)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (Part(platform="geo", split="train", profiles=7), "trains on 7 profiles already"),
        (Part(platform="rna"), "has no training subsets: it trains on rna"),
    ],
)
def test_only_a_whole_training_set_has_subsets(train, message):
    with pytest.raises(UserError, match=message):
        protocol(train=train).of_size(5)


@pytest.mark.parametrize("profiles", [0, -1, 10**40])
def test_a_size_out_of_range_is_one_line(profiles):
    with pytest.raises(UserError, match="out of range"):
        protocol().of_size(profiles)


@pytest.mark.parametrize(
    "part",
    [
        {"split": "test", "profiles": 5},
        {"split": None, "profiles": 5},
        {"split": "train", "profiles": -1},
    ],
)
def test_only_training_profiles_can_be_reduced(part):
    with pytest.raises(ValueError, match="is not possible"):
        Part(platform="geo", **part)


def test_a_name_that_ends_in_a_size_needs_a_training_set_of_that_size():
    with pytest.raises(ValueError, match="means a number of training profiles"):
        replace(protocol(), name="mine-n12")
    train = Part(platform="geo", split="train", profiles=12)
    assert replace(protocol(train=train), name="mine-n12").train.profiles == 12


def by_tissue(split, **options):
    return Part(platform="gtex", split=split, by="group", column="tissue", **options)


def folded(**changes):
    parts = {name: by_tissue(name) for name in ("train", "validation", "test")}
    named = {"name": "p", "title": "t", "summary": "s", "folds": 5}
    return ProtocolSpec(**named | parts | changes)


@pytest.mark.parametrize(
    ("part", "other", "overlap"),
    [
        ({"where": {"tissue": "lung"}}, {"where": {"tissue": ("skin", "liver")}}, False),
        ({"where": {"tissue": "lung"}}, {"where": {"tissue": ("skin", "lung")}}, True),
        ({"where": {"tissue": "lung"}}, {"without": {"tissue": ("lung", "skin")}}, False),
        ({"where": {"tissue": "lung"}}, {"without": {"tissue": "skin"}}, True),
        ({"where": {"tissue": "lung"}}, {"where": {"donor": "d1"}}, True),
        ({"without": {"tissue": "lung"}}, {"without": {"tissue": "skin"}}, True),
    ],
)
def test_parts_are_apart_if_their_filters_exclude_each_other(part, other, overlap):
    a, b = Part(platform="gtex", **part), Part(platform="gtex", **other)
    assert a.overlaps(b) is b.overlaps(a) is overlap


def test_parts_of_one_column_are_apart_and_those_of_two_may_overlap():
    assert not by_tissue("train").overlaps(by_tissue("test"))
    assert by_tissue("train").overlaps(Part(platform="gtex", split="test", by="group"))


def test_the_text_of_a_part_names_what_it_is_made_of():
    part = by_tissue("test", where={"b": ("y", "x"), "a/b": "1|2"}, without={"c": "z z"})
    assert str(part) == "gtex/test/by-group/column-tissue/a%2Fb=1%7C2/b=x|y/c!=z z"
    other = by_tissue("test", where={"tissue": tuple(map(str, range(200)))})
    assert len(str(other)) <= 190
    assert str(other) != str(by_tissue("test", where={"tissue": tuple(map(str, range(201)))}))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"column": "tissue"}, "no split by groups"),
        ({"split": "test", "column": "tissue"}, "no split by groups"),
        ({"where": {"tissue": ()}}, "has no value"),
        ({"where": {"tissue": 3}}, "are text|not iterable"),
        ({"statistics": Part(platform="geo", statistics="train")}, "has statistics itself"),
    ],
)
def test_parts_that_cannot_be_are_refused(options, error):
    with pytest.raises((ValueError, TypeError), match=error):
        Part(platform="gtex", **options)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"folds": 2}, "Give 3 to 200"),
        ({"folds": 5, "repeats": 5}, "not both"),
        ({"folds": 0, "repeats": 1}, "Give 2 to 200"),
        ({"name": "a" * 21}, "up to 20 letters"),
        ({"test": Part(platform="geo")}, "has no split"),
        (
            {"test": Part(platform="geo", split="test", by="mine")},
            "give repeats",
        ),
        (
            {"test": Part(platform="geo", split="test"), "folds": "leave-one-out"},
            "needs by='group'",
        ),
        ({"test": by_tissue("test", statistics=Part(platform="gtex"))}, "can share profiles"),
    ],
)
def test_folds_that_cannot_be_made_are_refused(changes, error):
    with pytest.raises(ValueError, match=error):
        folded(**changes)


def test_one_fold_is_a_protocol_of_its_own_that_survives_json():
    one = folded(folds="leave-one-out", name="loto").one_fold("lung")
    assert (one.name, one.is_family) == ("loto.lung", False)
    assert {part.fold.label for part in one.parts} == {"lung"}
    adapter = TypeAdapter(ProtocolSpec)
    assert adapter.validate_json(adapter.dump_json(one)) == one


def test_other_platforms_and_parts_of_statistics_follow_the_folds_or_stay():
    source = by_tissue("train")
    spec = folded(
        train=Part(platform="geo", split="train"), test=by_tissue("test", statistics=source)
    )
    one = spec.one_fold("3")
    assert one.train == spec.train
    assert one.test.statistics.fold == one.test.fold
    assert one.test.fold.number == 5
    with pytest.raises(UserError, match="has no fold '6'"):
        spec.one_fold("6")
