"""Facts that a model states about itself: plain types, or an error that names the fact."""

from __future__ import annotations

import numpy as np
import pytest

from genebench import Model
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
        ({"n_parameters": True}, "n_parameters: True"),
        ({"per_target": {"gap": [1.0]}}, r"gene-model.gap: \(1,\)"),
        ({"per_target": {"gap": ["a", "b"]}}, r"gene-model.gap: \(2,\)"),
    ],
)
def test_a_malformed_fact_is_named(facts, message):
    with pytest.raises(BadModelError, match=message):
        model_facts(stating(**facts), 2)
