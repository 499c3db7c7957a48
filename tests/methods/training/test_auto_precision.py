"""``precision=auto``: where bfloat16 is fast, whether it is near enough, and runs that continue."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from toy import PARAMS, Linear, simulated

from genebench import Context, Profiles
from genebench.methods.training import auto_precision, loop
from genebench.methods.training.auto_precision import is_fast
from genebench.methods.training.loop import train
from genebench.methods.training.precision import DTYPES

TRAIN = simulated(30)
SETS = {"geo": simulated(12, seed=1)}


class Stopped(Exception):  # noqa: N818  stands for a kill
    """Ends a training from within."""


class Rounded(Linear):
    """The toy with products in a precision, from first weights that are not 0."""

    def __init__(self, params):
        super().__init__(lr=params["lr"])
        self.dtype = DTYPES[params["precision"]]
        self.matrix += torch.linspace(-1, 1, self.matrix.numel()).view(self.matrix.shape)

    def step(self, landmarks, targets):
        return super().step(landmarks.to(self.dtype).float(), targets)

    def predict(self, landmarks):
        return (landmarks.to(self.dtype) @ self.matrix.to(self.dtype)).float()


def trained(precision, data=TRAIN, context=None):
    params = PARAMS | {"precision": precision}
    return train(Rounded, data, SETS, context or Context(), params)["geo"]


def same(found, expected):
    return found.curves == expected.curves


@pytest.fixture
def fast(monkeypatch):
    """A device that is fast at bfloat16, or not."""

    def set_to(value):
        monkeypatch.setattr(auto_precision, "is_fast", lambda _: value)

    set_to(True)
    return set_to


@pytest.mark.usefixtures("fast")
def test_bfloat16_is_taken_where_it_is_fast_and_near_and_the_result_says_so():
    found = trained("auto")
    assert same(found, trained("bfloat16"))
    assert not same(found, trained("float32"))
    assert found.choices["precision"] == "bfloat16"
    assert not any("precision" in note for note in found.notes)


def test_where_bfloat16_is_not_faster_it_is_float32(fast):
    fast(False)
    found = trained("auto")
    assert same(found, trained("float32"))
    assert found.choices["precision"] == "float32"
    assert found.notes[0] == "precision=auto took float32: bfloat16 is no faster on this processor."


@pytest.mark.usefixtures("fast")
def test_it_is_float32_where_bfloat16_loses_the_landmarks():
    """Numbers around 300 are whole and even in bfloat16. These differ by about 1."""
    data = Profiles.from_arrays(TRAIN.landmarks + 300, TRAIN.targets)
    params = PARAMS | {"lr": 1e-6}
    found, exact = (
        train(Rounded, data, {"geo": data}, Context(), params | {"precision": name})["geo"]
        for name in ("auto", "float32")
    )
    assert same(found, exact)
    assert found.choices["precision"] == "float32"
    assert re.fullmatch(
        r"precision=auto took float32\. predictions: relative difference of one bfloat16 step from "
        r"float32 is [\d.]+\. The limit is 0\.02\.",
        found.notes[0],
    )


@pytest.mark.usefixtures("fast")
def test_a_step_that_is_no_number_in_bfloat16_is_not_near():
    class Broken(Rounded):
        def predict(self, landmarks):
            return super().predict(landmarks) * (1 if self.dtype == torch.float32 else np.nan)

    found = train(Broken, TRAIN, SETS, Context(), PARAMS | {"precision": "auto"})["geo"]
    assert found.choices["precision"] == "float32"


@pytest.mark.usefixtures("fast")
def test_one_training_profile_is_too_few_to_compare():
    assert trained("auto", data=simulated(1)).choices["precision"] == "float32"


def test_a_fixed_precision_is_no_choice():
    assert "precision" not in trained("bfloat16").choices


def test_a_run_continues_in_its_precision_on_a_machine_that_would_choose_another(
    tmp_path, monkeypatch, fast
):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(loop, "CHECKPOINT_RATIO", 0.0)
    steps = []

    def stop(done, total, _):
        steps.append(done)
        if done == 12:
            raise Stopped

    with pytest.raises(Stopped):
        trained("auto", context=Context(scratch=tmp_path, progress=stop))
    fast(False)
    context = Context(scratch=tmp_path, progress=lambda done, *_: steps.append(done))
    found = trained("auto", context=context)
    assert steps == [4, 8, 12, 12, 16, 20]
    assert same(found, trained("bfloat16"))
    assert found.choices["precision"] == "bfloat16"


def test_a_run_that_continues_gives_the_reason_for_its_precision(tmp_path, monkeypatch, fast):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(loop, "CHECKPOINT_RATIO", 0.0)

    def stop(done, *_):
        if done == 12:
            raise Stopped

    fast(False)
    with pytest.raises(Stopped):
        trained("auto", context=Context(scratch=tmp_path, progress=stop))
    fast(True)
    found = trained("auto", context=Context(scratch=tmp_path))
    assert found.choices["precision"] == "float32"
    assert found.notes[0] == "precision=auto took float32: bfloat16 is no faster on this processor."


@pytest.mark.usefixtures("fast")
def test_a_damaged_checkpoint_is_a_note_and_a_fresh_choice(tmp_path):
    (tmp_path / "training.safetensors").write_bytes(b"no checkpoint")
    found = trained("auto", context=Context(scratch=tmp_path))
    assert found.choices["precision"] == "bfloat16"
    assert "damaged checkpoint" in found.notes[0]


@pytest.mark.parametrize(("gain", "expected"), [(3.7, True), (1.2, False), (0.65, False)])
def test_a_cpu_is_fast_at_bfloat16_where_a_product_takes_clearly_less(monkeypatch, gain, expected):
    monkeypatch.setattr(auto_precision, "_gain", lambda: gain)
    assert is_fast("cpu") is expected


@pytest.mark.skipif(not hasattr(torch.cpu, "get_capabilities"), reason="new in torch 2.13")
def test_a_cpu_is_fast_with_its_units_for_bfloat16_and_not_without_them():
    capabilities = torch.cpu.get_capabilities()
    if not capabilities.get("avx512_f"):
        pytest.skip("no processor that was measured")
    code = "from genebench.methods.training.auto_precision import is_fast; print(is_fast('cpu'))"

    def found(**environment):
        done = subprocess.run(
            [sys.executable, "-c", code], env=os.environ | environment, capture_output=True,
            text=True, check=True,
        )  # fmt: skip
        return done.stdout.strip()

    assert found(ONEDNN_MAX_CPU_ISA="AVX512_CORE") == "False"
    if capabilities.get("amx_bf16"):
        assert found() == "True"


def test_the_trial_leaves_the_number_of_threads_as_it_was():
    before = torch.get_num_threads()
    assert auto_precision._gain.__wrapped__() > 0
    assert torch.get_num_threads() == before
