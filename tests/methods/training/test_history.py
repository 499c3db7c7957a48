"""The history of a training, epoch by epoch."""

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
    history = TrainingHistory.start(WIDTHS, ["geo", "gtex"])
    for index, errors in enumerate(epochs):
        history.add({"loss": 10.0 - index}, [], errors, patience)
    return history


def test_the_best_epoch_is_found_for_each_set_and_part():
    history = followed()
    assert history.best_epochs() == {(0, 4), (1, 3), (0, 1), (1, 2)}
    assert history.choices("geo") == {
        "epoch_1": 4, "epoch_2": 3, "validation_mae": pytest.approx((0.1 + 3 * 0.6) / 4),
    }  # fmt: skip
    assert history.notes("geo")
    assert history.notes("gtex") == ()


def test_a_curve_weighs_the_parts_by_their_genes_and_shows_one_set():
    curve = followed().learning("gtex")
    assert set(curve) == {"epoch", "loss", "mae gtex"}
    assert curve["mae gtex"] == pytest.approx([0.725, 0.675, 0.85, 0.875])
    assert curve["loss"] == [10.0, 9.0, 8.0, 7.0]


def test_out_of_patience_nothing_better_is_looked_for():
    history = followed(patience=1)
    # Part 1 on geo did not improve in epoch 3, so that its 0.1 of epoch 4 comes too late.
    assert history.choices("geo")["epoch_1"] == 2
    assert history.is_stopped
    assert history.learning("gtex")["epoch"] == [1, 2, 3]
    assert not followed(patience=2, epochs=EPOCHS[:3]).is_stopped


def test_equal_errors_keep_the_earlier_epoch():
    history = followed(epochs=[EPOCHS[0]] * 3)
    assert history.best_epochs() == {(0, 1), (1, 1)}


def test_json_keeps_all_of_it():
    history = followed(patience=2)
    stored = json.loads(json.dumps(history.to_checkpoint()))
    assert TrainingHistory.from_checkpoint(stored, ["geo", "gtex"]) == history
    part = TrainingHistory.from_checkpoint(stored, ["gtex"])
    assert part.learning("gtex") == history.learning("gtex")
    assert set(part.curve) == {"epoch", "loss", "mae gtex"}
    assert TrainingHistory.from_checkpoint(stored, ["geo", "geo-strict"]) is None
