"""The course of a training, epoch by epoch."""

from __future__ import annotations

import json

import pytest

from genebench.methods.training.history import TrainingHistory

WIDTHS = [1, 3]
EPOCHS = [
    {"geo": [0.9, 0.9], "gtex": [0.5, 0.8]},
    {"geo": [0.7, 0.8], "gtex": [0.6, 0.7]},
    {"geo": [0.8, 0.6], "gtex": [0.7, 0.9]},
    {"geo": [0.1, 0.9], "gtex": [0.8, 0.9]},
]


def followed(patience=0, epochs=EPOCHS):
    course = TrainingHistory.start(WIDTHS, ["geo", "gtex"])
    for at, errors in enumerate(epochs):
        course.add({"loss": 10.0 - at}, [], errors, patience)
    return course


def test_the_best_epoch_is_found_for_each_set_and_part():
    course = followed()
    assert course.wanted() == {(0, 4), (1, 3), (0, 1), (1, 2)}
    assert course.choices("geo") == {
        "epoch_1": 4, "epoch_2": 3, "validation_mae": pytest.approx((0.1 + 3 * 0.6) / 4),
    }  # fmt: skip
    assert course.notes("geo")
    assert course.notes("gtex") == ()


def test_a_curve_weighs_the_parts_by_their_genes_and_shows_one_set():
    curve = followed().learning("gtex")
    assert set(curve) == {"epoch", "loss", "mae gtex"}
    assert curve["mae gtex"] == pytest.approx([0.725, 0.675, 0.85, 0.875])
    assert curve["loss"] == [10.0, 9.0, 8.0, 7.0]


def test_out_of_patience_nothing_better_is_looked_for():
    course = followed(patience=1)
    # Part 1 on geo did not improve in epoch 3, so that its 0.1 of epoch 4 comes too late.
    assert course.choices("geo")["epoch_1"] == 2
    assert course.over
    assert course.learning("gtex")["epoch"] == [1, 2, 3]
    assert not followed(patience=2, epochs=EPOCHS[:3]).over


def test_equal_errors_keep_the_earlier_epoch():
    course = followed(epochs=[EPOCHS[0]] * 3)
    assert course.wanted() == {(0, 1), (1, 1)}


def test_json_keeps_all_of_it():
    course = followed(patience=2)
    stored = json.loads(json.dumps(course.stored()))
    assert TrainingHistory.read(stored, ["geo", "gtex"]) == course
    part = TrainingHistory.read(stored, ["gtex"])
    assert part.learning("gtex") == course.learning("gtex")
    assert set(part.curve) == {"epoch", "loss", "mae gtex"}
    assert TrainingHistory.read(stored, ["geo", "geo-strict"]) is None
