"""The loop: every profile once an epoch, best epochs per set and part, runs that continue."""

from __future__ import annotations

import math
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from toy import PARAMS, Linear, simulated

from genebench import Context, Profiles
from genebench._util.progress import sparkline
from genebench._util.stopping import StoppedError
from genebench.methods.training import checkpoint, loop
from genebench.methods.training.errors import DivergedError, OutOfMemoryError
from genebench.methods.training.loop import train

TRAIN = simulated(30)
on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
SETS = {"geo": simulated(12, seed=1), "gtex": simulated(9, seed=2, noise=1.0)}


class Stopped(Exception):  # noqa: N818  stands for a kill
    """Ends a training from within."""


def trained(validation_sets=SETS, *, context=None, learner=None, data=TRAIN, **changes):
    learner = learner or Linear()
    return train(lambda _: learner, data, validation_sets, context or Context(), PARAMS | changes)


def stopping_at(epoch, steps=4):
    def progress(done, total, message):
        if done == epoch * steps:
            raise Stopped

    return progress


def equal(found, expected):
    assert found.keys() == expected.keys()
    for name in found:
        assert found[name].choices == expected[name].choices
        assert found[name].curves == expected[name].curves
        for ours, theirs in zip(found[name].weights, expected[name].weights, strict=True):
            assert ours.keys() == theirs.keys()
            assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def near(found, expected):
    """As the rounding of devices leaves it."""
    for name, one in found.items():
        ours, theirs = (each.curves["learning"] for each in (one, expected[name]))
        assert ours.keys() == theirs.keys()
        assert all(ours[key] == pytest.approx(theirs[key], rel=1e-4) for key in ours)


@pytest.fixture
def checkpoints_always(monkeypatch):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(loop, "CHECKPOINT_RATIO", 0.0)


def test_every_epoch_sees_each_profile_once_in_another_order_the_short_batch_included():
    learner = Linear()
    trained(learner=learner)
    orders = []
    for batches in learner.seen:
        assert [len(x) for x, _ in batches] == [8, 8, 8, 6]
        x, y = (torch.cat(each).numpy() for each in zip(*batches, strict=True))
        order = [int(np.flatnonzero((TRAIN.landmarks == row).all(axis=1))[0]) for row in x]
        assert sorted(order) == list(range(30))
        np.testing.assert_array_equal(y, TRAIN.targets[order])
        orders.append(order)
    assert len({tuple(order) for order in orders}) == PARAMS["epochs"]


def test_losses_are_means_over_the_profiles_of_an_epoch():
    curve = trained()["geo"].curves["learning"]
    # Σ over batches of (their size) ÷ 30 profiles: the toy's second "loss" is a batch's size.
    assert curve["size"] == [1.0] * 5
    first = Linear()
    trained(learner=first, epochs=1)
    again = Linear()
    again.begin_epoch(1)
    total = sum(float(again.step(x, y)["loss"]) for x, y in first.seen[0])
    assert curve["loss"][0] == pytest.approx(total / 30)


def test_the_curve_is_the_error_of_what_each_epoch_predicts():
    learner = Linear()
    snapshots = []
    learner.end_epoch = lambda errors: snapshots.append(learner.matrix.numpy().copy())
    found = trained(learner=learner)
    for name, validation in SETS.items():
        expected = [np.abs(validation.landmarks @ w - validation.targets).mean() for w in snapshots]
        assert found[name].curves["learning"][f"mae {name}"] == pytest.approx(expected, rel=1e-5)
        assert found[name].curves["learning"]["epoch"] == [1, 2, 3, 4, 5]


def test_each_part_keeps_the_epoch_that_is_best_for_it_on_each_set():
    learner = Linear(lr=0.9)
    snapshots = []
    learner.end_epoch = lambda errors: snapshots.append(learner.matrix.clone())
    found = trained(learner=learner, epochs=30)
    chosen = set()
    for name, validation in SETS.items():
        for part, genes in enumerate(learner.parts):
            errors = [
                np.abs((validation.landmarks @ w.numpy() - validation.targets)[:, genes]).mean()
                for w in snapshots
            ]
            best = int(np.argmin(errors))
            assert found[name].choices[f"epoch_{part + 1}"] == best + 1
            assert torch.equal(found[name].weights[part]["matrix"], snapshots[best][:, genes])
            chosen.add(best)
    # Else this would pass with one best epoch for all.
    assert len(chosen) > 1


def test_the_error_of_the_choice_is_that_of_its_parts_together():
    found = trained(learner=Linear(lr=0.9), epochs=30)
    for name, validation in SETS.items():
        matrix = torch.cat([part["matrix"] for part in found[name].weights], dim=1).numpy()
        error = np.abs(validation.landmarks @ matrix - validation.targets).mean()
        assert found[name].choices["validation_mae"] == pytest.approx(error, rel=1e-5)


def test_what_is_chosen_on_one_set_does_not_depend_on_the_others():
    for changes in ({"epochs": 12}, {"epochs": 60, "patience": 3}):
        both = trained(learner=Linear(lr=0.5), **changes)
        for name, validation in SETS.items():
            alone = trained({name: validation}, learner=Linear(lr=0.5), **changes)
            equal({name: both[name]}, alone)


def test_the_same_seed_gives_the_same_and_another_seed_does_not():
    equal(trained(), trained())
    torch.manual_seed(123)
    np.random.seed(123)
    equal(trained(), trained(context=Context(seed=0)))
    other = trained(context=Context(seed=1))["geo"]
    assert not torch.equal(other.weights[0]["matrix"], trained()["geo"].weights[0]["matrix"])


def test_streamed_profiles_give_the_same_to_the_bit():
    equal(trained(storage="streamed", batch=3), trained(storage="resident", batch=3))


def test_a_run_that_was_stopped_continues_to_the_same_bits(tmp_path, checkpoints_always):
    expected = trained(epochs=9)
    learners = [Linear() for _ in range(3)]
    for learner, epoch in zip(learners, (3, 6), strict=False):
        with pytest.raises(Stopped):
            trained(
                learner=learner, epochs=9,
                context=Context(scratch=tmp_path, progress=stopping_at(epoch)),
            )  # fmt: skip
    found = trained(learner=learners[2], context=Context(scratch=tmp_path), epochs=9)
    equal(found, expected)
    # The epoch of the stop had no checkpoint yet: 3 epochs, then 3 … 6, then 6 … 9.
    assert [len(learner.seen) for learner in learners] == [3, 4, 4]


def test_a_run_continues_for_some_of_its_sets_and_starts_over_for_others(
    tmp_path, checkpoints_always
):
    some = {"gtex": SETS["gtex"]}
    for stopped, asked, epochs_left in ((SETS, some, 2), (some, SETS, 5)):
        folder = tmp_path / str(len(asked))
        folder.mkdir()
        with pytest.raises(Stopped):
            trained(stopped, context=Context(scratch=folder, progress=stopping_at(4)))
        learner = Linear()
        found = trained(asked, learner=learner, context=Context(scratch=folder))
        equal(found, trained(asked))
        assert len(learner.seen) == epochs_left


def test_checkpoints_are_rare_by_the_clock(tmp_path):
    with pytest.raises(Stopped):
        trained(context=Context(scratch=tmp_path, progress=stopping_at(4)))
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_asked_to_stop_keeps_its_epoch_whatever_the_clock_says(tmp_path):
    learners = Linear(), Linear()
    context = Context(scratch=tmp_path, stop_is_asked=lambda: len(learners[0].seen) == 4)
    with pytest.raises(StoppedError, match="after epoch 4"):
        trained(learner=learners[0], context=context, epochs=9)
    found = trained(learner=learners[1], context=Context(scratch=tmp_path), epochs=9)
    equal(found, trained(epochs=9))
    assert [len(learner.seen) for learner in learners] == [4, 5]


KILLED = """
    import sys, time
    from pathlib import Path
    sys.path.insert(0, {tests!r})
    from toy import PARAMS, Linear, simulated
    from genebench import Context
    from genebench.methods.training import loop
    loop.CHECKPOINT_SECONDS = loop.CHECKPOINT_RATIO = 0.0
    def progress(done, total, message):
        print(done // 4, flush=True)
        time.sleep(0.1)
    loop.train(lambda _: Linear(), simulated(30), {{"geo": simulated(12, seed=1)}},
               Context(scratch=Path({scratch!r}), progress=progress), PARAMS | {{"epochs": 40}})
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_killed_process_leaves_a_checkpoint_to_continue_from(tmp_path):
    code = KILLED.format(tests=str(Path(__file__).parent), scratch=str(tmp_path))
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True
    )
    while int(process.stdout.readline()) < 5:
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    learner = Linear()
    data = {"geo": SETS["geo"]}
    found = trained(data, learner=learner, epochs=40, context=Context(scratch=tmp_path))
    assert 0 < len(learner.seen) <= 40 - 4
    equal(found, trained(data, epochs=40))


@on_cuda
def test_training_on_cuda_is_that_on_the_cpu():
    found = trained(learner=Linear(device="cuda"), context=Context(device="cuda"))
    near(found, trained())
    assert {value.device.type for one in found.values() for part in one.weights
            for value in part.values()} == {"cuda"}  # fmt: skip


@on_cuda
@pytest.mark.parametrize(("first", "second"), [("cpu", "cuda"), ("cuda", "cpu")])
def test_a_checkpoint_of_one_device_continues_on_the_other(
    tmp_path, checkpoints_always, first, second
):
    before = Context(device=first, scratch=tmp_path, progress=stopping_at(4))
    with pytest.raises(Stopped):
        trained(learner=Linear(device=first), context=before)
    learner = Linear(device=second)
    found = trained(learner=learner, context=Context(device=second, scratch=tmp_path))
    assert len(learner.seen) == 2
    near(found, trained())


def starts_over(folder, *, context=None, **changes) -> str:
    """The note of a run that finds no use for the checkpoint in a folder, and gives the same."""
    context = context or Context()
    learner = Linear()
    found = trained(learner=learner, context=replace(context, scratch=folder), **changes)
    equal(found, trained(context=context, **changes))
    assert len(learner.seen) == PARAMS["epochs"]
    notes = {trained.notes[0] for trained in found.values()}
    assert len(notes) == 1
    return notes.pop()


@pytest.fixture
def stored(tmp_path, checkpoints_always) -> Path:
    """The checkpoint of a whole run."""
    trained(context=Context(scratch=tmp_path))
    (path,) = tmp_path.iterdir()
    return path


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"context": Context(seed=7), "lr": 0.1}, "lr, seed"),
        ({"data": simulated(30, seed=5)}, "training profiles"),
    ],
)
def test_a_checkpoint_of_another_run_is_a_note_and_a_fresh_start(stored, changes, named):
    note = starts_over(stored.parent, **changes)
    assert note == f"Training began anew: checkpoint of another run (other {named})."


def test_a_checkpoint_of_another_format_is_a_note_and_a_fresh_start(stored, monkeypatch):
    monkeypatch.setattr(checkpoint, "CHECKPOINT_FORMAT", "of tomorrow")
    note = starts_over(stored.parent)
    assert note == "Training began anew: checkpoint of another run (other format)."


@pytest.mark.parametrize("length", [0, 5, 100, -1])
def test_a_truncated_checkpoint_is_a_note_and_a_fresh_start(stored, length):
    stored.write_bytes(stored.read_bytes()[:length])
    assert "Training began anew: damaged checkpoint" in starts_over(stored.parent)


@pytest.mark.parametrize("spoil", [lambda tensors, name: tensors.pop(name),
                                   lambda tensors, name: tensors.update({name: torch.zeros(2, 2)})],
                         ids=["absent", "another shape"])  # fmt: skip
@pytest.mark.parametrize("start", ["state/matrix", "kept/1/"])
def test_a_checkpoint_without_a_tensor_is_a_note_and_a_fresh_start(stored, start, spoil):
    with safe_open(stored, "pt") as whole:
        header = whole.metadata()
        tensors = {name: whole.get_tensor(name) for name in whole.keys()}  # noqa: SIM118
    gone = next(name for name in tensors if name.startswith(start))
    spoil(tensors, gone)
    save_file(tensors, stored, header)
    assert f"damaged checkpoint (without {gone})" in starts_over(stored.parent)


def test_a_fresh_start_replaces_the_checkpoint_that_was_of_no_use(stored):
    stored.write_bytes(b"")
    trained(context=Context(scratch=stored.parent))
    learner = Linear()
    trained(learner=learner, context=Context(scratch=stored.parent))
    assert learner.seen == []


def test_a_run_may_continue_on_another_device(stored):
    # As if written on a GPU: what the identity of the run says decides, not where tensors lay.
    there, here = (
        loop._checkpoint(Linear(), TRAIN, Context(scratch=stored.parent, device=device), PARAMS)
        for device in ("cuda", "cpu")
    )
    there.write(*here.read("cpu"), "float32")
    assert here.read("cpu") is not None


def test_two_runs_at_the_same_checkpoint_never_mix(stored, monkeypatch):
    """Another process writes, and renames, while this one is writing."""
    tensors = [{"state/matrix": torch.full((500,), value)} for value in (1.0, 2.0)]
    ours, theirs = (
        loop._checkpoint(Linear(), TRAIN, Context(scratch=stored.parent), PARAMS) for _ in range(2)
    )
    save = checkpoint.save_file

    def interleaved(*arguments):
        monkeypatch.setattr(checkpoint, "save_file", save)
        save(*arguments)
        theirs.write(tensors[1], {}, "float32")
        assert torch.equal(ours.read("cpu")[0]["state/matrix"], tensors[1]["state/matrix"])

    monkeypatch.setattr(checkpoint, "save_file", interleaved)
    ours.write(tensors[0], {}, "float32")
    assert torch.equal(ours.read("cpu")[0]["state/matrix"], tensors[0]["state/matrix"])
    assert list(stored.parent.iterdir()) == [stored]


def test_a_folder_that_goes_while_training_is_one_note(tmp_path, checkpoints_always):
    folder = tmp_path / "work"
    folder.mkdir()

    def progress(done, total, message):
        shutil.rmtree(folder, ignore_errors=True)

    found = trained(context=Context(scratch=folder, progress=progress))
    equal(found, trained())
    assert [note for note in found["geo"].notes if "checkpoint" in note] == [
        "No checkpoint could be written (No such file or directory)."
    ]


def test_a_checkpoint_that_cannot_be_written_is_a_note(tmp_path, checkpoints_always):
    gone = tmp_path / "gone"
    found = trained(context=Context(scratch=gone))
    assert "No checkpoint could be written" in found["geo"].notes[0]


def test_patience_ends_the_training_and_the_curve():
    fading = {"geo": Profiles.from_arrays(SETS["geo"].landmarks, np.zeros((12, 4)))}
    found = trained(fading, patience=3, epochs=50)["geo"]
    # Predicting 0 is right here, so the first epoch is the best of all.
    assert found.choices["epoch_1"] == found.choices["epoch_2"] == 1
    assert found.curves["learning"]["epoch"] == [1, 2, 3, 4]


def test_the_deadline_ends_at_the_end_of_an_epoch_and_is_said():
    found = trained(minutes=1e-9, epochs=1000)["geo"]
    assert found.curves["learning"]["epoch"] == [1]
    assert "Training stopped after epoch 1, because minutes=1e-09 were up." in found.notes


def test_a_best_epoch_at_the_end_is_said():
    note = "The last epoch is the best. More epochs may do better."
    assert note in trained(epochs=2)["geo"].notes
    fading = {"geo": Profiles.from_arrays(SETS["geo"].landmarks, np.zeros((12, 4)))}
    assert trained(fading)["geo"].notes == ()


def test_monitored_profiles_are_a_fixed_part_of_the_training_profiles():
    learner = Linear(monitored=10, lr=0.0)
    curve = trained(learner=learner)["geo"].curves["learning"]
    assert curve["mae train"] == [curve["mae train"][0]] * 5
    assert learner.told == [learner.told[0]] * 5
    everyone = Linear(monitored=1000, lr=0.0)
    trained(learner=everyone, epochs=1)
    expected = [np.abs(TRAIN.targets[:, part]).mean() for part in everyone.parts]
    assert everyone.told[0] == pytest.approx(expected, rel=1e-6)
    assert learner.told[0] != pytest.approx(expected, rel=1e-3)


def test_divergence_names_the_epoch_and_the_advice():
    with pytest.raises(DivergedError, match=r"^diverged at epoch \d+: lower lr of the toy$"):
        trained(learner=Linear(lr=1e6), epochs=60)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 99 bytes"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        MemoryError(),
    ],
)
def test_memory_that_runs_out_names_what_to_turn(error):
    def create(_):
        raise error

    with pytest.raises(OutOfMemoryError, match=r"batch \(now 8\), set precision=bfloat16, set"):
        train(create, TRAIN, SETS, Context(), PARAMS)
    used_up = {"precision": "bfloat16", "storage": "streamed"}
    with pytest.raises(OutOfMemoryError, match=r"now 8\), or take smaller networks"):
        train(create, TRAIN, SETS, Context(), PARAMS | used_up)


def test_other_errors_pass_unchanged():
    def create(_):
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        train(create, TRAIN, SETS, Context(), PARAMS)


def test_progress_counts_steps_and_reports_the_error_on_each_set(monkeypatch):
    monkeypatch.setattr(loop, "_PROGRESS_SECONDS", -math.inf)
    told = []
    trained(context=Context(progress=lambda *each: told.append(each)))
    assert [done for done, _, _ in told][:6] == [1, 2, 3, 4, 4, 5]
    assert told[-1][:2] == (20, 20)
    assert told[0][2] == "epoch 1 of 5, first epoch"
    curves = {name: one.curves["learning"][f"mae {name}"] for name, one in trained().items()}
    maes = [f"{name} {curve[-1]:.4f} {sparkline(curve)}" for name, curve in curves.items()]
    assert told[-1][2] == f"epoch 5 of 5, MAE {', '.join(maes)}"


def test_progress_within_an_epoch_is_reported_now_and_then(monkeypatch):
    monkeypatch.setattr(loop, "_PROGRESS_SECONDS", 0.1)
    now = [0.0]
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: now[0]))

    class Slow(Linear):
        def step(self, landmarks, targets):
            now[0] += 0.04
            return super().step(landmarks, targets)

    told = []
    context = Context(progress=lambda done, total, message: told.append(done))
    trained(learner=Slow(), data=simulated(64), epochs=1, context=context)
    assert told == [3, 6, 8]
