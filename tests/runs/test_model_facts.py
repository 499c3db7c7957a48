"""Facts that a model states about itself: plain types, or an error that names the fact."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest

from genebench import Model
from genebench.results import limits
from genebench.results.untrusted import open_zip, read_arrays
from genebench.results.vectors import write_npz
from genebench.runs.model_facts import BadModelError, model_facts


def stating(**facts):
    """Return a model with these attributes."""
    predict = {"predict": lambda self, landmarks: landmarks}
    return type("Stating", (Model,), facts | predict)()


def test_facts_are_plain_python_values():
    model = stating(
        choices={"k": np.int64(3), "λ": np.float32(0.5)},
        notes=["stopped early"],
        curves={"path": {"k": np.arange(2)}, "learning": {"epoch": []}},
        per_target={"gap": [0.5, 1.5]},
        n_parameters=np.int32(7),
    )
    facts = model_facts(model, 2)
    assert facts.choices == {"k": 3, "λ": 0.5}
    assert [type(value) for value in facts.choices.values()] == [int, float]
    assert facts.notes == ("stopped early",)
    assert facts.curves == {"path": {"k": (0.0, 1.0)}}
    assert (facts.n_parameters, type(facts.n_parameters)) == (7, int)
    assert list(facts.vectors) == ["gene-model.gap"]
    np.testing.assert_array_equal(facts.vectors["gene-model.gap"], [0.5, 1.5])


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"curves": {"path": {"k": [1, 2], "mae": [1]}}}, "curve path: its columns"),
        ({"choices": {"k": [[1], 2]}}, "choice k: a list in a list"),
        ({"choices": {"k": np.ones((2, 2))}}, "choice k: a list in a list"),
        ({"choices": {"k": [np.ones(2)]}}, "choice k: a list in a list"),
        ({"n_parameters": True}, "n_parameters: True"),
        ({"per_target": {"gap": [1.0]}}, r"gene-model.gap: \(1,\)"),
        ({"per_target": {"gap": ["a", "b"]}}, r"gene-model.gap: \(2,\)"),
    ],
)
def test_a_malformed_fact_is_named(facts, message):
    with pytest.raises(BadModelError, match=message):
        model_facts(stating(**facts), 2)


def test_a_choice_may_be_a_list_or_an_array_and_a_cut_is_noted():
    choices = {
        "a": [np.int64(3), 4],
        "b": np.array([0.5, 1]),
        "c": np.array(2),
        "long": [*range(900)],
    }
    facts = model_facts(stating(choices=choices), 2)
    assert facts.choices == {"a": (3, 4), "b": (0.5, 1.0), "c": 2, "long": (*range(500),)}
    assert {type(value) for value in facts.choices["a"]} == {int}
    assert facts.notes == ("choice long: 900 values were given. The first 500 are kept.",)


def test_a_talkative_model_is_cut_and_the_record_says_so():
    model = stating(
        notes=[f"note {number}" for number in range(1_000_000)],
        choices={f"choice {number}": number for number in range(2_000)} | {"x" * 1_000: 1},
        curves={"learning": {"epoch": range(300_000), "mae": np.zeros(300_000)}},
    )
    facts = model_facts(model, 2)
    assert facts.notes[:2] == ("note 0", "note 1")
    assert facts.notes[limits.METHOD_NOTES :] == (
        (
            "1 of the choices were left out: their names have more than 200 letters, or letters "
            "that cannot be printed."
        ),
        "2,000 choices were given. The first 500 are kept.",
        "curve learning: of 300,000 points, 20,000 evenly spaced ones are kept.",
        "1,000,000 notes were given. The first 100 are kept.",
    )
    assert len(facts.choices) == limits.ENTRIES
    epochs = facts.curves["learning"]["epoch"]
    assert (epochs[0], epochs[-1], len(epochs)) == (0, 299_999, limits.POINTS)


def test_a_curve_of_published_length_is_kept_whole():
    curve = {"epoch": tuple(map(float, range(10_000))), "mae": (0.5,) * 10_000}
    facts = model_facts(stating(curves={"learning": curve, "path": curve, "third": curve}), 2)
    assert facts.curves == {"learning": curve, "path": curve, "third": curve}
    assert facts.notes == ()


def test_curves_beyond_the_size_of_a_record_are_left_out_and_named():
    curve = {f"column {number}": np.zeros(limits.POINTS) for number in range(15)}
    facts = model_facts(stating(curves={"first": curve, "second": curve}), 2)
    assert list(facts.curves) == ["first"]
    assert facts.notes == (
        "curve second was left out: the curves before it are as long as is kept.",
    )


def test_a_long_note_ends_in_an_ellipsis():
    [note] = model_facts(stating(notes=["x" * 50_000_000]), 2).notes
    assert (len(note), note[-2:]) == (limits.LINE_LETTERS, "x…")


@pytest.mark.parametrize("dtype", [np.float16, np.longdouble, ">f4", ">i8", np.float32, bool])
def test_values_per_target_can_be_read_on_every_machine(dtype):
    values = np.array([1, 0], dtype)
    vector = model_facts(stating(per_target={"gap": values}), 2).vectors["gene-model.gap"]
    stream = BytesIO()
    write_npz(stream, {"gap": vector})
    with open_zip(stream) as archive:
        np.testing.assert_array_equal(read_arrays(archive, 1000)["gap"], values)
